"""From targets to a whole volume: its shape and affine, NaN where there are no data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError

GRID = "grid.json"  # payload of prepare
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Voxels:
    """Where targets stand in a volume.

    Parameters
    ----------
    space : its name.
    shape : (x, y, z); affine : (4, 4) voxel to mm.
    voxel : (targets,) numbers of voxels, first axis fastest.
    """

    space: str
    shape: tuple[int, int, int]
    affine: Values
    voxel: NDArray[np.int64]

    def spread(self, values: NDArray[np.floating[Any]]) -> Values:
        """Values of targets (targets,) as a volume (x, y, z), NaN elsewhere."""
        flat = np.full(int(np.prod(self.shape)), np.nan)
        flat[self.voxel] = values
        return flat.reshape(self.shape, order="F")


def voxels_of(targets: pd.DataFrame, space: str, grid: Mapping[str, Any]) -> Voxels:
    """Places of ``targets`` in the volume that `GRID` describes.

    Raises
    ------
    DataError : targets have no voxel, or stand outside.
    """
    x, y, z = (int(size) for size in grid["shape"])
    voxel = pd.to_numeric(targets["vertex"], errors="coerce")
    if voxel.isna().any() or voxel.min() < 0 or voxel.max() >= x * y * z:
        raise DataError(
            "these targets do not stand in their volume",
            expected=f"voxel numbers 0 to {x * y * z - 1} in the column vertex",
            found=f"{int(voxel.isna().sum())} without, {voxel.min()} to {voxel.max()}",
            fix="correct the voxel numbers of the dataset, and prepare it again",
        )
    affine = np.asarray(grid["affine"], dtype=np.float64)
    return Voxels(space, (x, y, z), affine, voxel.to_numpy(dtype=np.int64))
