"""Captions a second: batched with a cache against one at a time without.

For a caption of n words behind p prefix tokens and m beams, the search without a cache sends
m * sum_k (p + k) tokens through the network, with one m * (p + n); all captions of a batch share a
call. Operations: two for each weight and token. The floor is those of the cached search at the
speed of a float32 matrix product of its widest layer (measured beside it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.harness import Table, milliseconds, ratio, take_turns
from neuroattn.generators.captioner import LENGTH, CaptionNetwork, language_model
from neuroattn.generators.decoding import Ends, search
from neuroattn.generators.registry import CaptionerConfig
from neuroattn.generators.text import END, PAD, START

_BEAMS, _DIM, _WORDS = 5, 256, 220


def run(tiny: bool) -> Table:
    """Time both on the same embeddings, with random weights, after checking that they agree."""
    config = CaptionerConfig(width=16, layers=1) if tiny else CaptionerConfig()
    count, some, turns = (4, 2, 1) if tiny else (256, 8, 3)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = CaptionNetwork(_DIM, config.prefix, language_model(_WORDS, config)).eval()
        given = torch.nn.functional.normalize(torch.randn(count, _DIM), dim=1)
    network.requires_grad_(False)
    length = 8 if tiny else 20

    def ours() -> list[list[int]]:
        ends = Ends(START, END, length, (PAD, START))
        return [one.tokens for one in search(network.language, network.before(given), ends, _BEAMS)]

    def plain() -> list[list[int]]:
        return [_plain(network, given[row : row + 1], length) for row in range(some)]

    if ours()[:some] != plain():
        raise RuntimeError("the two write other captions")
    words = float(np.mean([len(row) for row in ours()]))
    weights = sum(weight.numel() for weight in network.language.parameters())
    left, right = (
        torch.rand(count * _BEAMS, config.width),
        torch.rand(config.width, 4 * config.width),
    )
    seconds = take_turns({"ours": ours, "plain": plain, "floor": lambda: left @ right}, turns)
    speed = 2 * left.numel() * right.shape[1] / seconds["floor"]
    each = {
        "ours": seconds["ours"] / count,
        "plain": seconds["plain"] / some,
        "floor": 2 * weights * _BEAMS * (config.prefix + words) / speed,
    }
    names = {
        "ours": f"neuroattn, {count} captions at a time, cached",
        "plain": "transformers, one at a time, without a cache",
        "floor": "floor: operations of the cached search",
    }
    return Table(
        title=f"Captions with {_BEAMS} beams, {words:.0f} words on average (limit {LENGTH})",
        columns=("contender", "median time a caption", "relative to ours"),
        rows=[(names[k], milliseconds(s), ratio(s, each["ours"])) for k, s in each.items()],
        notes=(
            f"The same captions word for word; {turns} turns.",
            f"The embedded captioner's shape, random weights: {weights / 1e6:.1f} million.",
        ),
    )


@torch.no_grad()
def _plain(network: Any, given: torch.Tensor, length: int) -> list[int]:
    start = network.language.get_input_embeddings()(torch.full((1, 1), START))
    (row,) = network.language.generate(
        inputs_embeds=torch.cat([network.before(given), start], dim=1),
        num_beams=_BEAMS, do_sample=False, use_cache=False, max_new_tokens=length - 1,
        suppress_tokens=[PAD, START], eos_token_id=END, pad_token_id=PAD,
    )  # fmt: skip
    return [word for word in row.tolist() if word not in (END, PAD)]
