"""Which places of a space are kept, and the table of targets: hemisphere, number, regions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.tables import TARGETS
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.files import ALL, FILE, NsdFiles
from neuroattn.data.nsd.maps import read_labels, read_mask
from neuroattn.data.nsd.rois import joined_names, labels_of, names_of
from neuroattn.data.registry import NsdConfig

Places = NDArray[np.int64]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Space:
    """The parts of a space: ``shapes`` and, per part, the ``places`` that are kept, ascending."""

    sides: tuple[str | None, ...]
    shapes: list[Shape]
    places: list[Places]

    @property
    def count(self) -> int:
        """Targets over all parts."""
        return sum(map(len, self.places))

    def without(self, lost: NDArray[np.bool_]) -> Space:
        """The space less the targets where ``lost`` (targets,) holds."""
        cuts = np.cumsum([len(places) for places in self.places])[:-1]
        kept = [
            places[~gone] for places, gone in zip(self.places, np.split(lost, cuts), strict=True)
        ]
        return Space(self.sides, self.shapes, kept)

    def unmask(self, values: ArrayLike) -> list[NDArray[np.float32]]:
        """``values`` (targets,) back on all places of each part, NaN on those not kept."""
        cuts = np.cumsum([len(places) for places in self.places])[:-1]
        parts = np.split(np.asarray(values, dtype=np.float32), cuts)
        full = [np.full(int(np.prod(shape)), np.nan, np.float32) for shape in self.shapes]
        for part, places, mine in zip(full, self.places, parts, strict=True):
            part[places] = mine
        return full


def masked_space(config: NsdConfig, files: NsdFiles, shapes: list[Shape]) -> Space:
    """The places that ``dataset.mask`` keeps.

    Raises
    ------
    DataError : none is kept, or a file does not fit the betas.
    """
    sides = layout.sides(config.space.value)
    if config.mask == FILE and files.mask_file:
        masks = read_mask(files.mask_file, shapes)
    elif config.mask == ALL:
        masks = [np.ones(int(np.prod(shape)), dtype=np.bool_) for shape in shapes]
    else:
        label = files.labels[config.mask]
        masks = [
            labels_of(label, part, shape, config.floc_threshold) > layout.UNLABELLED
            for part, shape in enumerate(shapes)
        ]
    space = Space(sides, shapes, [np.flatnonzero(mask) for mask in masks])
    if space.count == 0:
        raise DataError(
            f"the mask {config.mask} keeps nothing", file=files.root,
            expected="one target at least", found="none",
            fix="correct dataset.mask or dataset.floc_threshold",
        )  # fmt: skip
    return space


def target_table(config: NsdConfig, files: NsdFiles, space: Space) -> pd.DataFrame:
    """One row per target, with the columns of `TARGETS`.

    ``vertex`` is the number of the vertex within its hemisphere, or of the voxel in the order
    of the file (first axis fastest), from 0.
    """
    members = []
    for name in config.rois:
        labels = [
            labels_of(files.labels[name], part, shape, config.floc_threshold)[places]
            for part, (shape, places) in enumerate(zip(space.shapes, space.places, strict=True))
        ]
        joined = np.concatenate(labels)
        members.append((joined, names_of(files.labels[name], np.unique(joined))))
    columns = {
        "target": np.arange(space.count),
        "subject": files.subject,
        "hemisphere": _hemispheres(files, space),
        "vertex": np.concatenate(space.places),
        "rois": joined_names(members, space.count),
    }
    return pd.DataFrame(columns)[list(TARGETS)].astype({"vertex": "Int64"})


def _hemispheres(files: NsdFiles, space: Space) -> list[str]:
    if space.sides != (None,):
        return [
            str(side)
            for side, places in zip(space.sides, space.places, strict=True)
            for _ in range(len(places))
        ]
    sides = np.full(space.count, "", dtype="<U2")
    if not files.cortex:
        return [str(side) for side in sides]
    inside = [
        read_labels(path, space.shapes[0])[space.places[0]] > layout.OUTSIDE
        for path in files.cortex
    ]
    for side, here, other in zip(layout.HEMISPHERES, inside, reversed(inside), strict=True):
        sides[here & ~other] = side  # a voxel that both claim belongs to none
    return [str(side) for side in sides]
