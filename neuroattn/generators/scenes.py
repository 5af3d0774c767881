"""Training scenes with their truth, drawn once and kept as arrays.

Sides never share a picture: training scenes and held-out ones of the same sources have other
numbers, and unseen sources stand in a pool of their own. A scene depends on the seed, the
pool and its number, so more scenes leave the first ones as they are.

Cost: about 6 ms of one core a scene, at either size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.seeding import derive_seed
from neuroattn.data.simulate.compose import ENCODER, GENERATOR, NEAR, Layout, compose
from neuroattn.data.simulate.scene import (
    ATTRIBUTES,
    CATEGORIES,
    PLACES,
    VERSION_NUMBER,
    Pool,
    Scene,
)
from neuroattn.features.backbones import fit_pixels
from neuroattn.features.registry import Interpolation, Resize
from neuroattn.generators.chunks import gathered
from neuroattn.generators.registry import ScenesConfig
from neuroattn.training.batches import Batch
from neuroattn.training.sampler import Indices

LAYOUTS: Final[dict[str, Layout]] = {"small": GENERATOR, "large": ENCODER, "near": NEAR}
#: What the referee tells of each thing: the attributes that show in its pixels.
JUDGED: Final = ATTRIBUTES
HELD_FIRST: Final = 1_000_000  # numbers of held-out scenes begin here
_LAYOUT_IDS: Final = {"small": 0, "large": 10_000_000, "near": 20_000_000}
_UNSEEN_IDS: Final = 100_000_000


class Side(StrEnum):
    """What a set of scenes is for."""

    train = "train"
    held = "held"  # the same sources, other compositions
    unseen = "unseen"  # sources from which the model never learned


@dataclass(frozen=True, eq=False)
class SceneSet:
    """Scenes of one layout and side; rows of all arrays belong together.

    Parameters
    ----------
    ids : (scenes,) int64, unique over layouts and sides.
    pixels : (scenes, side, side, 3) uint8.
    presence : (scenes, categories) uint8.
    attributes : (scenes, categories, attributes) float32, 0 where the category is absent.
    place : (scenes,) int64 index into `PLACES`.
    kinds : (scenes, categories) the noun of the thing, empty where absent.
    captions : (scenes, 5).
    group : (scenes,) number of the source group.
    folder : where the arrays lie; what is computed from them may be kept there too.
    layout : one of `LAYOUTS`.
    """

    ids: NDArray[np.int64]
    pixels: NDArray[np.uint8]
    presence: NDArray[np.uint8]
    attributes: NDArray[np.float32]
    place: NDArray[np.int64]
    kinds: NDArray[np.str_]
    captions: NDArray[np.str_]
    group: NDArray[np.int64]
    folder: Path
    layout: str

    @property
    def called(self) -> str:
        """In the names of scores: ``near``, or the pixels of a side."""
        return self.layout if self.layout == "near" else str(self.pixels.shape[1])

    def __len__(self) -> int:
        return len(self.ids)


def scene_set(cache: Path, layout: str, side: Side, config: ScenesConfig, seed: int) -> SceneSet:
    """The scenes of one layout and side, drawn first where they are not in ``cache``."""
    pool = _pool(config, side)
    count = getattr(config, layout) if side is Side.train else config.held
    first = HELD_FIRST if side is Side.held else 0
    stream = derive_seed(seed, "scenes", config.stream)
    name = f"{config.stream}-{seed}-{layout}-{pool.value}-{side.value}-{count}-v{VERSION_NUMBER}"

    def make(rows: range) -> dict[str, NDArray[Any]]:
        numbers = range(first + rows.start, first + rows.stop)
        return _arrays(
            [compose(n, seed=stream, layout=LAYOUTS[layout], pool=pool) for n in numbers]
        )

    arrays = gathered(cache / name, count, make, chunk=config.chunk)
    start = first + _LAYOUT_IDS[layout] + (_UNSEEN_IDS if side is Side.unseen else 0)
    ids = start + np.arange(count, dtype=np.int64)
    return SceneSet(ids=ids, folder=cache / name, layout=layout, **arrays)


def _pool(config: ScenesConfig, side: Side) -> Pool:
    """Where a side's sources come from: what a judge never saw is what all others learned from."""
    if getattr(config, "apart", False):
        return Pool.seen if side is Side.unseen else Pool.apart
    return Pool.unseen if side is Side.unseen else Pool.seen


def scene_sets(cache: Path, side: Side, config: ScenesConfig, seed: int) -> list[SceneSet]:
    """The scenes of a side in every layout that the configuration trains on."""
    return [
        scene_set(cache, layout, side, config, seed)
        for layout in LAYOUTS
        if getattr(config, layout, 0) > 0
    ]


def drawn_layout(near: int) -> str:
    """The layout that a generator draws, from how many near scenes it is given."""
    return "near" if near > 0 else "small"


def drawn_sets(cache: Path, config: ScenesConfig, seed: int) -> dict[Side, SceneSet]:
    """The scenes of all sides in the layout that a generator draws, and autoencoders make again."""
    layout = drawn_layout(getattr(config, "near", 0))
    return {side: scene_set(cache, layout, side, config, seed) for side in Side}


def in_words(config: ScenesConfig, *, drawn: bool = False) -> str:
    """The training scenes in words, for the card of what learns from them.

    Parameters
    ----------
    drawn : of the layout that a generator draws alone.
    """
    layouts = [drawn_layout(getattr(config, "near", 0))] if drawn else list(LAYOUTS)
    counts = {layout: getattr(config, layout, 0) for layout in layouts}
    kinds = "; ".join(f"{count} of {_kind(LAYOUTS[n])}" for n, count in counts.items() if count)
    sources = "sources set apart" if _pool(config, Side.train) is Pool.apart else "seen sources"
    return f"simulated scenes of {sources}: {kinds}"


def _kind(layout: Layout) -> str:
    few, many = layout.things
    things = "1 thing" if many == 1 else f"{few} to {many} things"
    where = " in the middle" if layout.centred else ""
    low, high = layout.sizes
    return f"{layout.side} pixels with {things}{where}, {low:g} to {high:g} of the side"


def _arrays(scenes: Sequence[Scene]) -> dict[str, NDArray[Any]]:
    presence = np.zeros((len(scenes), len(CATEGORIES)), dtype=np.uint8)
    attributes = np.zeros((*presence.shape, len(JUDGED)), dtype=np.float32)
    kinds = np.full(presence.shape, "", dtype="<U24")
    for row, scene in enumerate(scenes):
        for thing in scene.things:
            at = row, CATEGORIES.index(thing.category)
            presence[at], kinds[at] = 1, thing.kind
            attributes[at] = [thing.attributes[name] for name in JUDGED]
    return {
        "pixels": np.stack([scene.pixels for scene in scenes]),
        "presence": presence,
        "attributes": attributes,
        "kinds": kinds,
        "place": np.array([PLACES.index(scene.background) for scene in scenes]),
        "captions": np.array([scene.captions for scene in scenes]),
        "group": np.array([int(scene.group.rpartition("-")[2]) for scene in scenes]),
    }


def to_unit(pixels: NDArray[np.uint8]) -> Tensor:
    """Pixels (scenes, side, side, 3) uint8 as (scenes, 3, side, side) in [0, 1]."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))).float() / 255


def fitted(pixels: Tensor, side: int) -> Tensor:
    """Square pixels (images, 3, any, any) in [0, 1] at another size, differentiably."""
    return fit_pixels(pixels, side, Resize.squash, Interpolation.bilinear)


class SceneSource:
    """Batches over several sets of scenes, all pictures fitted to one side.

    Each batch has ``pixels`` in [0, 1], ``presence``, ``attributes`` and ``place``.
    """

    def __init__(self, sets: Sequence[SceneSet], side: int) -> None:
        self.sets, self.side = list(sets), side
        self.starts = np.cumsum([0, *map(len, self.sets)])

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of all scenes, in order."""
        return np.concatenate([one.ids for one in self.sets])

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Scenes ``indices``."""
        rows = np.asarray(indices)
        which = np.searchsorted(self.starts, rows, side="right") - 1
        out: Batch = {}
        for number, one in enumerate(self.sets):
            at = np.flatnonzero(which == number)
            for name, values in self._read(one, rows[at] - self.starts[number]).items():
                whole = out.setdefault(
                    name, torch.empty(len(rows), *values.shape[1:], dtype=values.dtype)
                )
                whole[at] = values
        return out

    def _read(self, one: SceneSet, rows: NDArray[np.int64]) -> Batch:
        return {
            "pixels": fitted(to_unit(one.pixels[rows]), self.side),
            "presence": torch.from_numpy(one.presence[rows]).float(),
            "attributes": torch.from_numpy(one.attributes[rows]),
            "place": torch.from_numpy(one.place[rows]),
        }
