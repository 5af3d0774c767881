"""The planted truth of a simulated dataset, as ``prepare`` keeps it in ``truth.h5``.

It says what every planted target reads of a scene, and where each thing lies in each picture.
Nothing that is fitted may read it: it is for scoring, and for the oracle readout, which says
so by its name. Real recordings have no such file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import h5py
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]

FILE: Final = "truth.h5"
EARLY, CATEGORY, NETWORK = "early", "category", "network"  # kinds of regions
PLACE: Final = "place"  # the background of a scene: everywhere, so it has no mask


@dataclass(frozen=True, eq=False)
class Content:
    """What the rules read of one category in each image.

    Parameters
    ----------
    presence : (images,) 0 or 1.
    attributes : (images, attributes), mean 0 and variance 1 over the scenes in which they are
        known, 0 in the others.
    names : of the attributes, as in `Truth.weight_names`.
    """

    presence: Floats
    attributes: Floats
    names: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Truth:
    """What is planted, for the targets of one prepared dataset.

    Parameters
    ----------
    target : (planted,) numbers of the targets with signal, as in ``targets.tsv``.
    roi, kind, category : (planted,) the region of each, early or category or network, and what
        it reads (``n/a`` for early ones).
    weights, weight_names : (names, planted) weight of every channel and attribute.
    images, scenes, unseen : (images,) ids, ascending; the scene behind each; whether all in it
        is of exemplars that no training picture shows.
    noiseless : (images, planted) responses without noise, z-scored over images.
    content : by category.
    thing_scene, thing_category, exemplar, box : (things,) scene, category, source exemplar, and
        (things, 4) top, left, height, width in pixels of the scene.
    masks : (things, side, side / 8) uint8, bits of the pixels of each thing.
    """

    target: Ids
    roi: NDArray[np.str_]
    kind: NDArray[np.str_]
    category: NDArray[np.str_]
    weights: Floats
    weight_names: tuple[str, ...]
    images: Ids
    scenes: Ids
    unseen: NDArray[np.bool_]
    noiseless: NDArray[np.float16]
    content: Mapping[str, Content]
    thing_scene: Ids
    thing_category: NDArray[np.str_]
    exemplar: NDArray[np.str_]
    box: Ids
    masks: NDArray[np.uint8]

    def rows(self, images: Ids) -> Ids:
        """Rows of some images.

        Raises
        ------
        KeyError : the simulation has no such image.
        """
        place = np.searchsorted(self.images, images)
        found = self.images[np.minimum(place, len(self.images) - 1)]
        if (found != images).any():
            raise KeyError(f"no planted truth of image {images[found != images][0]}")
        return place

    def regions(self, kind: str) -> list[str]:
        """Names of the regions of one kind, those that read one category side by side."""
        kept = self.kind == kind
        pairs = set(zip(self.category[kept].tolist(), self.roi[kept].tolist(), strict=True))
        return [roi for _, roi in sorted(pairs)]

    def components(self, planted: Ids, rows: Ids) -> tuple[Floats, Floats]:
        """Presence (rows,) and attributes (rows, planted) that targets of one region read.

        Their sum is the noiseless response, but for the scale of each. The attributes are 0
        where there is no thing of the category.
        """
        content = self.content[str(self.category[planted[0]])]
        names = np.array([self.weight_names.index(name) for name in content.names])
        weights = self.weights[names[:, None], planted]
        return content.presence[rows], content.attributes[rows] @ weights

    def things(self, images: Ids, category: str) -> Ids:
        """The thing of a category in each image (images,), -1 where there is none."""
        chosen = np.flatnonzero(self.thing_category == category)
        place = dict(zip(self.thing_scene[chosen].tolist(), chosen.tolist(), strict=True))
        scenes = self.scenes[self.rows(images)].tolist()
        return np.array([place.get(scene, -1) for scene in scenes], dtype=np.int64)

    def coverage(self, things: Ids, grid: tuple[int, int]) -> NDArray[np.float32]:
        """Share of each cell of a grid that a thing covers: (things, cells), row by row.

        A thing of -1 covers nothing.
        """
        side = self.masks.shape[1]
        down, across = (_pooling(cells, side) for cells in grid)
        out = np.zeros((len(things), grid[0] * grid[1]), dtype=np.float32)
        there = np.flatnonzero(things >= 0)
        for rows in np.array_split(there, len(there) // 256 + 1):
            bits = np.unpackbits(self.masks[things[rows]], axis=2).astype(np.float32)
            out[rows] = (down @ bits @ across.T).reshape(len(rows), -1)
        return out


def _pooling(cells: int, side: int) -> NDArray[np.float32]:
    """Matrix (cells, side) of means over the pixels under each cell, parts of pixels included."""
    edges = np.linspace(0, side, cells + 1)
    pixel = np.arange(side)
    low, high = edges[:-1, None], edges[1:, None]
    under = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, 1)
    return np.asarray(under * cells / side, dtype=np.float32)


def read_truth(file: h5py.File) -> Truth:
    """The content of ``truth.h5``."""
    category = {
        name: Content(
            presence=group["presence"][()].astype(np.float64),
            attributes=group["attributes"][()].astype(np.float64),
            names=tuple(map(str, group.attrs["names"])),
        )
        for name, group in file["content"].items()
    }
    targets, images, things = file["targets"], file["images"], file["things"]
    return Truth(
        target=targets["target"][()],
        roi=_text(targets["roi"]),
        kind=_text(targets["kind"]),
        category=_text(targets["category"]),
        weights=targets["weights"][()].astype(np.float64),
        weight_names=tuple(map(str, targets.attrs["weight_names"])),
        images=images["image"][()],
        scenes=images["scene"][()],
        unseen=images["unseen"][()].astype(bool),
        noiseless=images["noiseless"][()],
        content=category,
        thing_scene=things["scene"][()],
        thing_category=_text(things["category"]),
        exemplar=_text(things["exemplar"]),
        box=things["box"][()],
        masks=things["masks"][()],
    )


def _text(dataset: Any) -> NDArray[np.str_]:
    return np.array(dataset.asstr()[()], dtype=np.str_)
