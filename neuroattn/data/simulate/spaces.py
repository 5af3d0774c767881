"""One set of targets in every space: where each stands in a volume and on a native surface.

fsaverage is the space in which things are planted. A volume holds the planted targets and as
many null ones as make a mask worth having, each in a voxel of its own; a native surface holds
every vertex in another order, and some of its own. So one beta has one value everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from neuroattn.core.seeding import generator
from neuroattn.data.simulate.cortex import Cortex
from neuroattn.surface.coordinates import HEMISPHERES
from neuroattn.surface.meshes import N_VERTICES, mid_surface

Ids = NDArray[np.int64]
_Kind = TypeVar("_Kind", bound=np.generic)

NULL_VOXELS: Final = 800
#: Side of a voxel, mm, in the grids that stand for 1.8 and 1 mm, for all of fsaverage5.
GRIDS: Final = {"func1pt8mm": 6.0, "func1mm": 5.0}
_CORNER: Final = (-81.0, -117.0, -60.0)  # mm, the outer corner of every grid
_EXTENT: Final = (162.0, 204.0, 156.0)  # mm
_EXTRA: Final = (37, 52)  # native vertices of each hemisphere that fsaverage has no use for


@dataclass(frozen=True, eq=False)
class Volume:
    """A volume.

    Parameters
    ----------
    shape : (x, y, z).
    affine : voxel to mm (MNI305).
    targets : (voxels,) the target in each used voxel.
    voxels : (voxels, 3) their x, y, z.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    targets: Ids
    voxels: Ids

    def fill(self, values: NDArray[_Kind], empty: float) -> NDArray[_Kind]:
        """Values of all targets (targets,) in their voxels, ``empty`` elsewhere: (x, y, z)."""
        volume: NDArray[_Kind] = np.full(self.shape, empty, dtype=values.dtype)
        volume[tuple(self.voxels.T)] = values[self.targets]
        return volume


def grid(space: str, vertices: int) -> tuple[float, tuple[int, int, int]]:
    """Side of a voxel in mm, and shape (x, y, z), of a volume for so many vertices."""
    size = GRIDS[space] * (N_VERTICES / vertices) ** (1 / 3)
    x, y, z = (int(np.ceil(extent / size)) for extent in _EXTENT)
    return size, (x, y, z)


def plan_volume(space: str, cortex: Cortex, seed: int, subject: int) -> Volume:
    """Give every planted target, and some null ones, the nearest free voxel of its hemisphere."""
    size, shape = grid(space, cortex.per_hemisphere)
    random = generator(seed, "volume", subject)
    null = np.flatnonzero((cortex.roi < 0) & cortex.cortex)
    spare = NULL_VOXELS * cortex.per_hemisphere // N_VERTICES
    targets = np.sort(np.concatenate([cortex.planted, random.permutation(null)[:spare]]))
    corner = np.array(_CORNER) + 1.5 * (subject - 1)
    affine = np.diag([size, size, size, 1.0])
    affine[:3, 3] = corner + size / 2
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 3)
    centres = (places * size + affine[:3, 3]).astype(np.float64)
    voxels = np.zeros((len(targets), 3), dtype=np.int64)
    for side, hemisphere in enumerate(HEMISPHERES):
        own = np.flatnonzero(targets // cortex.per_hemisphere == side)
        points = mid_surface(hemisphere).coordinates[cortex.vertex(targets[own])]
        allowed = np.flatnonzero((centres[:, 0] < 0) == (side == 0))
        voxels[own] = places[allowed[_nearest_free(centres[allowed], points)]]
    return Volume(shape, affine, targets, voxels)


def _nearest_free(places: NDArray[np.float64], points: NDArray[np.float64]) -> Ids:
    """A place for every point, each place once, nearest first in the order of the points."""
    _, options = cKDTree(places).query(points, k=min(400, len(places)))
    taken = np.zeros(len(places), dtype=bool)
    chosen = np.zeros(len(points), dtype=np.int64)
    for index, row in enumerate(options):
        chosen[index] = row[np.argmin(taken[row])]
        taken[chosen[index]] = True
    return chosen


@dataclass(frozen=True, eq=False)
class NativeSurface:
    """One hemisphere of a subject's own surface.

    Parameters
    ----------
    source : (native vertices,) vertex of fsaverage, -1 for those of its own.
    to_fsaverage : (vertices,) native vertex of each vertex of fsaverage, from 0.
    """

    source: Ids
    to_fsaverage: Ids

    def carry(self, values: NDArray[_Kind], empty: float) -> NDArray[_Kind]:
        """Values over vertices of fsaverage (last axis) as values over native vertices."""
        carried: NDArray[_Kind] = values[..., np.maximum(self.source, 0)]
        carried[..., self.source < 0] = empty
        return carried


def plan_native(vertices: int, seed: int, subject: int, side: int) -> NativeSurface:
    """An order of vertices that no other subject or hemisphere has."""
    random = generator(seed, "native", subject, side)
    extra = _EXTRA[side] + subject
    source = np.concatenate([np.arange(vertices), np.full(extra, -1)])
    source = random.permutation(source)
    own = np.flatnonzero(source >= 0)
    to_fsaverage = np.zeros(vertices, dtype=np.int64)
    to_fsaverage[source[own]] = own
    return NativeSurface(source, to_fsaverage)
