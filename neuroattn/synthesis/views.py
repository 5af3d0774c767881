"""What looks at pictures beside the guide and the judge: referee, image-text space, features.

The referee and the embedded space know simulated scenes alone. Of other data they would say
something too, and it would mean nothing: so they are asked there only if a folder is named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.phrases import PICTURE_OF
from neuroattn.data.simulate.rules import BUILT
from neuroattn.data.simulate.scene import CATEGORIES, PLACES
from neuroattn.encoding.localiser import REGIONS
from neuroattn.generators import load
from neuroattn.generators.cards import how_to_build
from neuroattn.generators.loading import find
from neuroattn.synthesis.evaluation_schemas import EvaluationConfig
from neuroattn.synthesis.wishes import Wish

Pictures = UInt8[np.ndarray, "images height width 3"]
Floats = NDArray[np.float64]
BATCH = 32
TOGETHER = 4 * BATCH  # pictures that are held in memory
PLACE: Final = "place"
#: The category that a region of the localiser's contrast prefers.
PREFERRED: Final[Mapping[str, str]] = {
    "faces": "face", "bodies": "body", "places": PLACE, "characters": "word",
}  # fmt: skip
#: Words for a category in the zero-shot match; several are averaged.
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "face": ("a face", "a portrait"),
    "body": ("a body", "a person"),
    PLACE: ("a place", "a city", "a room"),
    "word": ("a word", "a sign with writing"),
    "food": ("food", "a meal"),
}


def preferred(wish: Wish) -> str | None:
    """The category that an objective should bring out, where regions of one domain are raised."""
    raised = [part for part in wish.raised if part.factor > 0]
    domains = set()
    for part in raised:
        for region in part.regions or ("",):
            name = region.removeprefix("lh.").removeprefix("rh.")
            found = [domain for domain, regions in REGIONS.items() if name in regions]
            domains.add(found[0] if found else "")
    return PREFERRED.get(domains.pop()) if len(domains) == 1 else None


@dataclass(frozen=True, eq=False)
class Views:
    """Everything that looks.

    Parameters
    ----------
    features : pictures to (images, features), of the judge's backbone or else the guide's.
    named : what it is called.
    """

    features: Callable[[Pictures], Floats]
    named: str
    referee: Any = None
    space: Any = None
    prompt: str = PICTURE_OF
    absent: Mapping[str, str] = field(default_factory=dict)

    def judged(self, pictures: Pictures) -> dict[str, Floats]:
        """What the referee sees: presence of each category and place, attributes."""
        if self.referee is None:
            return {}
        parts: list[dict[str, Floats]] = []
        for batch in _batches(pictures):
            told = self.referee.judge(batch)
            presence, place = told["presence"], told["place"]
            row = {name: presence[:, n] for n, name in enumerate(CATEGORIES)}
            row[PLACE] = sum(place[:, PLACES.index(name)] for name in BUILT)
            row |= {f"place.{name}": place[:, n] for n, name in enumerate(PLACES)}
            row |= _attributes(told["attributes"])
            parts.append({name: value.double().cpu().numpy() for name, value in row.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def matched(self, pictures: Pictures) -> list[str]:
        """The category whose words are nearest to each picture; empty without a space."""
        if self.space is None:
            return []
        words, found = self._vocabulary, list[str]()
        names = list(WORDS)
        for batch in _batches(pictures):
            with torch.no_grad():
                cosine = self.space.encode_image(batch).cpu() @ words.T
            found += [names[number] for number in cosine.argmax(1).tolist()]
        return found

    @cached_property
    def _vocabulary(self) -> Tensor:
        """Embeddings (categories, dim) of the words."""
        return torch.stack([self._words(name) for name in WORDS])

    def _words(self, name: str) -> Tensor:
        told = self.space.encode_text([self.prompt.format(word) for word in WORDS[name]]).cpu()
        mean = told.mean(0)
        return torch.nn.functional.normalize(mean, dim=0)


def _attributes(told: Tensor) -> dict[str, Tensor]:
    from neuroattn.generators.scenes import JUDGED

    return {
        f"{category}.{name}": told[:, row, column]
        for row, category in enumerate(CATEGORIES)
        for column, name in enumerate(JUDGED)
    }


def open_views(
    config: EvaluationConfig, backbone: Any, named: str, device: str, *, simulated: bool
) -> Views:
    """The views of a run; what is left out says why."""
    models: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for part, model in (("referee", config.referee), ("space", config.space)):
        reason = _reason(part, model, simulated=simulated)
        if reason:
            absent[part] = reason
        else:
            models[part] = load(model, device)

    def features(pictures: Pictures) -> Floats:
        parts = []
        for batch in _batches(pictures):
            with torch.no_grad():
                parts.append(backbone.pooled(batch).double().cpu().numpy())
        return np.concatenate(parts)

    return Views(features, named, models.get("referee"), models.get("space"), config.prompt, absent)


def _reason(part: str, model: str, *, simulated: bool) -> str:
    if not model:
        return "left out"
    if model == part and not simulated:
        return "the embedded one knows simulated scenes alone"
    if model == part and not find(model).is_dir():
        return f"not built: {how_to_build(find(model))}"
    return ""


def _batches(pictures: Pictures) -> Iterator[Tensor]:
    """Pixels in [0, 1], some pictures at a time."""
    for start in range(0, len(pictures), BATCH):
        block = torch.from_numpy(np.ascontiguousarray(pictures[start : start + BATCH]))
        yield block.permute(0, 3, 1, 2).float() / 255


def small(pictures: Sequence[NDArray[np.uint8]], side: int = 32) -> Floats:
    """Pictures of any size at one small size, in [0, 1], for distances of pixels."""
    from neuroattn.features.backbones import fit_pixels
    from neuroattn.features.registry import Interpolation, Resize

    rows = [
        fit_pixels(batch, side, Resize.squash, Interpolation.bilinear)
        for picture in pictures
        for batch in _batches(picture[None])
    ]
    return torch.cat(rows).double().numpy()
