"""A language model behind a prefix made from the embedding: ours, or ClipCap's weights.

A folder of ClipCap's form::

    weights.safetensors | weights.pt     clip_project.* and gpt.* (a state dict and nothing else)
    language/                            GPT-2's config.json and tokeniser, of transformers

Older weights hold ``attn.bias`` and ``attn.masked_bias``: masks that transformers kept as buffers
then and makes itself now. They are dropped by name; any other key that is missing or too many is
an error, for a captioner with random weights still speaks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from neuroattn.captioning.captioners import Setting, Told, embeddings
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.registry import CLIPCAP, PrefixLmConfig
from neuroattn.core.errors import DataError
from neuroattn.core.seeding import derive_seed
from neuroattn.generators.cards import CARD
from neuroattn.generators.decoding import Caption, Ends, sampled, search
from neuroattn.generators.loading import find, load

_ROUNDED = 0.01  # halves are exact to a two-thousandth, and so are sums of them
log = logging.getLogger("neuroattn.captioning")
MASKS = re.compile(r"(^|\.)attn\.(bias|masked_bias)$")  # buffers of older transformers


@dataclass(frozen=True, eq=False)
class Speaker:
    """A captioner's parts, whatever its family.

    Parameters
    ----------
    prefix : (captions, dim) -> (captions, tokens, width).
    unit : whether it was trained on embeddings of unit length.
    decode : tokens to a sentence.
    """

    prefix: Callable[[Tensor], Tensor]
    language: Any
    dim: int
    unit: bool
    start: int | None
    end: int
    banned: tuple[int, ...]
    longest: int
    decode: Callable[[list[int]], str]


class PrefixLm:
    """Embeddings to sentences."""

    def __init__(self, config: PrefixLmConfig, setting: Setting) -> None:
        self.config, self.setting = config, setting
        self.speaker = read_speaker(config, setting.device)
        self._measured = self.speaker.unit  # one that makes them of unit length needs no warning

    def caption(self, concepts: Sequence[Concept]) -> list[Told]:
        """A sentence for each concept; sure is the mean probability of its words (geometric)."""
        given = torch.from_numpy(embeddings(concepts, self.config.name)).to(self.setting.device)
        self._check(given)
        seeds = [
            derive_seed(self.setting.seed, "caption", str(c.row), str(c.number)) for c in concepts
        ]
        told: list[Told] = []
        for start in range(0, len(given), self.config.batch):
            part = slice(start, start + self.config.batch)
            told += [self._told(one) for one in self._said(given[part], seeds[part])]
        return told

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        how = f"{config.beams} beams" if config.sample == 0 else f"temperature {config.sample:g}"
        return (
            f"captions were written by a language model behind a prefix ({Path(config.model).name},"
            f" {how}; ClipCap, Mokady et al., 2021)"
        )

    def _check(self, given: Tensor) -> None:
        if given.shape[1] != self.speaker.dim:
            raise DataError(
                "the captioner was trained on embeddings of another space",
                file=self.config.model,
                expected=f"embeddings of {self.speaker.dim} numbers",
                found=given.shape[1],
                fix="set captioner.model to one for the space of backbone.model",
            )
        self._check_length(given)

    def _check_length(self, given: Tensor) -> None:
        """Say once that lengths were lost: the weights met embeddings with lengths of their own."""
        lost = not self._measured and bool(((given.norm(dim=1) - 1).abs() < _ROUNDED).all())
        self._measured = True
        if lost:
            log.warning(
                "the captioner's weights expect embeddings with lengths of their own, and those of"
                " the bank are of unit length: features of a CLIP that were made before its lengths"
                " were stored are made again once their folder is deleted"
            )

    @torch.no_grad()
    def _said(self, given: Tensor, seeds: Sequence[int]) -> list[Caption]:
        speaker, config = self.speaker, self.config
        if speaker.unit:
            given = nn.functional.normalize(given, dim=1)
        ends = Ends(speaker.start, speaker.end, min(config.length, speaker.longest), speaker.banned)
        prefix = speaker.prefix(given)
        if config.sample > 0:
            return sampled(speaker.language, prefix, ends, config.sample, seeds)
        return search(speaker.language, prefix, ends, config.beams)

    def _told(self, said: Caption) -> Told:
        return Told(self.speaker.decode(said.tokens), exp(min(0.0, said.log_probability)))


def read_speaker(config: PrefixLmConfig, device: str) -> Speaker:
    """The captioner that ``captioner.model`` names.

    Raises
    ------
    MissingDataError : it is not there.
    DataError : it lacks a part, or its weights are of another form.
    """
    folder = find(config.model)
    if (folder / CARD).is_file() or not any((folder / name).is_file() for name in CLIPCAP):
        return _ours(load(config.model, device), config.model)
    return _clipcap(folder, config.stop, device)


def _ours(captioner: Any, name: str) -> Speaker:
    from neuroattn.generators.captioner import LENGTH, Captioner
    from neuroattn.generators.text import END, PAD, START

    if not isinstance(captioner, Captioner):
        raise DataError(
            "this model is no captioner", file=name,
            expected="the embedded `captioner`, a folder of one, or ClipCap's weights",
            found=type(captioner).__name__, fix="set captioner.model to a captioner",
        )  # fmt: skip
    network = captioner.network
    first: Any = network.prefix[0]
    return Speaker(
        prefix=network.before,
        language=network.language, dim=int(first.in_features), unit=True, start=START, end=END,
        banned=(PAD, START), longest=LENGTH, decode=captioner.words.decode,
    )  # fmt: skip


def _clipcap(folder: Path, stop: str, device: str) -> Speaker:
    import transformers

    state = without_masks(_state(folder))
    try:
        settings: Any = transformers.GPT2Config.from_pretrained(folder / "language")
        words: Any = transformers.AutoTokenizer.from_pretrained(
            folder / "language", local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise _incomplete(folder, f"language/: {str(error).splitlines()[0]}") from error
    language: Any = transformers.GPT2LMHeadModel(settings)
    prefix = _prefix_network(state, folder)
    width = int(settings.hidden_size)
    _fill(language, _under(state, "gpt."), folder, tied=("lm_head.weight",))
    for part in (language, prefix):
        part.to(device).eval().requires_grad_(False)
    end = words.encode(stop)[-1] if stop else int(settings.eos_token_id)
    first: Any = prefix[0]
    last: Any = prefix[-1]
    return Speaker(
        prefix=lambda given: prefix(given).unflatten(1, (-1, width)),
        language=language, dim=int(first.in_features), unit=False, start=None, end=int(end),
        banned=(), longest=int(settings.n_positions) - int(last.out_features) // width,
        decode=lambda tokens: _sentence(words.decode(tokens), stop),
    )  # fmt: skip


def _sentence(text: str, stop: str) -> str:
    text = text.strip()
    return f"{text}{stop}" if stop and text else text


def _state(folder: Path) -> dict[str, Tensor]:
    """The weights of a folder: names to tensors, and no code."""
    from safetensors.torch import load_file

    file = next(folder / name for name in CLIPCAP if (folder / name).is_file())
    if file.suffix == ".safetensors":
        return load_file(file)
    found: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return found


def without_masks(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights without the attention masks that older versions kept beside them."""
    return {name: value for name, value in state.items() if not MASKS.search(name)}


def _under(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): v for name, v in state.items() if name.startswith(prefix)}


def _prefix_network(state: dict[str, Tensor], folder: Path) -> nn.Sequential:
    """ClipCap's perceptron, of the sizes that its weights have."""
    own = _under(state, "clip_project.model.")
    if not {"0.weight", "0.bias", "2.weight", "2.bias"} <= set(own):
        raise _incomplete(folder, "no clip_project.model.0 and clip_project.model.2")
    hidden, dim = own["0.weight"].shape
    made = nn.Sequential(nn.Linear(dim, hidden), nn.Tanh(), nn.Linear(hidden, len(own["2.bias"])))
    _fill(made, own, folder)
    return made


def _fill(
    module: nn.Module, state: dict[str, Tensor], folder: Path, tied: tuple[str, ...] = ()
) -> None:
    """Put weights into a network; every key must be there, and none beside.

    Parameters
    ----------
    tied : names that may be missing, because they are another weight again.
    """
    missing, unexpected = module.load_state_dict(state, strict=False)
    absent = [name for name in missing if name not in tied]
    if absent or unexpected:
        raise _incomplete(folder, f"missing: {absent[:3]}, unknown: {unexpected[:3]}")


def _incomplete(folder: Path, found: str) -> DataError:
    return DataError(
        "the captioner is not complete",
        file=folder,
        expected="weights.safetensors (or .pt) with clip_project.* and gpt.*, and language/",
        found=found,
        fix="copy the whole model into the folder; no part is made up",
    )
