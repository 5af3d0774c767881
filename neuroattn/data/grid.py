"""The grid of a volume: what turns voxel numbers into places, kept by ``prepare``.

Targets of a volume have the number of their voxel, first axis fastest. Without the shape and
the affine nobody could write them as an image again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.data.volumes import open_image

GRID = "grid.json"


@dataclass(frozen=True)
class Grid:
    """Shape (x, y, z), and affine: rows of the matrix from voxel to mm, (4, 4)."""

    shape: tuple[int, ...]
    affine: tuple[tuple[float, ...], ...]


def grid_of(files: Sequence[Path], shape: Sequence[int]) -> Grid | None:
    """The grid in the header of the first of ``files`` that has this shape; None without one."""
    for path in files:
        if path.name.endswith((".nii", ".nii.gz", ".mgz")):
            with open_image(path) as image:
                if tuple(image.shape[:3]) == tuple(shape):
                    affine = np.asarray(image.affine, dtype=np.float64)
                    return Grid(
                        tuple(map(int, shape)),
                        tuple(tuple(float(value) for value in row) for row in affine),
                    )
    return None


def write_grid(out: ArtefactWriter, dataset: Any) -> None:
    """Write `GRID` where the reader of ``dataset`` has a property ``grid`` that is not None."""
    grid = getattr(dataset, "grid", None)
    if grid is not None:
        out.json(GRID, {"shape": list(grid.shape), "affine": [list(row) for row in grid.affine]})
