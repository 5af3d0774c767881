"""Network ablation: partial products of the first layer against a masked pass for every mask.

With n brains, v inputs and h hidden units the first layer costs 2 n v h operations; what comes
behind it, r. Seven networks that share the inputs, each left out and kept alone, cost 14 passes of
2 n v h + r when inputs are masked, and 2 x 2 n v h + 15 r by partial products: one pass for the
whole, and one for all parts together. The floor is one pass over the inputs, since every input
must be read once.
"""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.harness import Table, milliseconds, ratio, take_turns
from neuroattn.decoding.partial import MaskedPasses, PartialProducts, Split

NETWORKS = 7


def run(tiny: bool) -> Table:
    """Time both on one residual decoder, after checking that they agree to 1e-5."""
    brains, inputs, hidden, dim = (8, 70, 16, 8) if tiny else (1000, 15_724, 1024, 768)
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    x = rng.normal(size=(brains, inputs)).astype(np.float32)
    weight = (rng.normal(size=(hidden, inputs)) / inputs**0.5).astype(np.float32)
    bias = rng.normal(size=hidden).astype(np.float32)
    rest = torch.nn.Sequential(
        torch.nn.LayerNorm(hidden), torch.nn.GELU(), torch.nn.Linear(hidden, hidden),
        torch.nn.LayerNorm(hidden), torch.nn.GELU(), torch.nn.Linear(hidden, dim),
    ).eval()  # fmt: skip
    networks = np.array_split(rng.permutation(inputs), NETWORKS)

    def embed(values: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            out: np.ndarray = rest(torch.from_numpy(values @ weight.T + bias)).numpy()
        return out

    def partial() -> list[np.ndarray]:
        made = PartialProducts(Split(weight, bias, rest), x)
        return [made.whole(), *(out for part in networks for out in made.both(part))]

    def masked() -> list[np.ndarray]:
        made = MaskedPasses(embed, x)
        return [made.whole(), *(out for part in networks for out in made.both(part))]

    difference = max(
        float(np.abs(one - other).max()) for one, other in zip(partial(), masked(), strict=True)
    )
    if difference > 1e-4:
        raise RuntimeError(f"the two disagree by {difference}")
    seconds = take_turns(
        {"partial": partial, "masked": masked, "floor": lambda: x @ weight.T}, 1 if tiny else 3
    )
    names = {
        "partial": "neuroattn, partial products",
        "masked": "a masked pass for every mask",
        "floor": "floor: one pass of the first layer",
    }
    return Table(
        title=f"Ablation of {NETWORKS} networks, {brains:,} brains x {inputs:,} inputs",
        columns=("contender", "median time", "relative to ours"),
        rows=[
            (names[k], milliseconds(s), ratio(s, seconds["partial"])) for k, s in seconds.items()
        ],
        notes=(
            f"Each network left out and kept alone; {hidden:,} hidden units, two layers behind.",
            f"Largest difference of any output: {difference:.1e}.",
        ),
    )
