"""Where everything is planted: which vertex of fsaverage5 belongs to which region.

Retinotopic areas come first (`retinotopy.py`); the other regions grow along the surface from
their peaks, a vertex at a time in turn, so that neighbours meet half way and no vertex has two
rules. What no region claims stays null: noise without signal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate.retinotopy import Retinotopy, retinotopy
from neuroattn.data.simulate.rois import Roi, load_rois
from neuroattn.surface.coordinates import HEMISPHERES, to_mni305
from neuroattn.surface.meshes import N_VERTICES, Floats, Ints, load_mesh, mid_surface
from neuroattn.surface.neighbours import geodesic

PER_ROI: Final = 36  # vertices of a region in each hemisphere
NULL: Final = -1
_SHIFT_MM: Final = 2.0  # standard deviation of a later subject's positions around the table's


@dataclass(frozen=True, eq=False)
class Cortex:
    """The planted map of one subject; the left hemisphere's vertices stand before the right's.

    Parameters
    ----------
    roi : (targets,) index into `load_rois`, `NULL` where nothing is planted.
    x, y, width : (targets,) receptive field in degrees, NaN where there is none.
    distance : (targets,) mm along the surface from the region's peak (from fixation, in
        degrees, in a retinotopic area), NaN where there is none.
    cortex : (targets,) False on the medial wall.
    """

    roi: Ints
    x: Floats
    y: Floats
    width: Floats
    distance: Floats
    cortex: NDArray[np.bool_]

    @property
    def per_hemisphere(self) -> int:
        """Number of vertices of one hemisphere."""
        return len(self.roi) // 2

    @property
    def planted(self) -> Ints:
        """Targets with signal, ascending."""
        return np.flatnonzero(self.roi != NULL)

    def vertex(self, targets: Ints) -> Ints:
        """Vertex numbers, within their hemisphere."""
        return np.asarray(targets % self.per_hemisphere)

    def hemisphere(self, targets: Ints) -> list[str]:
        """``lh`` or ``rh`` of each target."""
        return [HEMISPHERES[side] for side in targets // self.per_hemisphere]

    def members(self, name: str) -> Ints:
        """Targets of the region called ``name``, both hemispheres, ascending."""
        index = [roi.name for roi in load_rois()].index(name)
        return np.flatnonzero(self.roi == index)


def plan_cortex(seed: int, subject: int, vertices: int = N_VERTICES) -> Cortex:
    """The map of ``subject`` (from 1) on the leading ``vertices`` of each hemisphere.

    Subject 1 has the positions of the table; those of others are moved by about 2 mm.
    """
    sides = [_hemisphere(side, _shifts(seed, subject, side)) for side in HEMISPHERES]
    return Cortex(*(np.concatenate([side[part][:vertices] for side in sides]) for part in range(6)))


def _shifts(seed: int, subject: int, hemisphere: str) -> Floats:
    """Displacements of three landmarks, then of every region, (3 + regions, 3), mm."""
    size = (3 + len(load_rois()), 3)
    if subject == 1:
        return np.zeros(size)
    return generator(seed, "positions", subject, hemisphere).normal(scale=_SHIFT_MM, size=size)


def _hemisphere(
    hemisphere: str, shifts: Floats
) -> tuple[Ints, Floats, Floats, Floats, Floats, NDArray[np.bool_]]:
    early = retinotopy(hemisphere, shifts[:3])
    cortex = np.zeros(N_VERTICES, dtype=bool)
    cortex[load_mesh(hemisphere, "flat").faces] = True  # the flat mesh leaves out the medial wall
    early = _clip(early, cortex)
    roi, distance = _grow(hemisphere, shifts[3:], cortex & (early.area == NULL))
    is_early = early.area != NULL
    roi[is_early] = early.area[is_early]
    distance[is_early] = np.hypot(early.x, early.y)[is_early]
    return roi, early.x, early.y, early.width, distance, cortex


def _clip(early: Retinotopy, cortex: NDArray[np.bool_]) -> Retinotopy:
    area = np.where(cortex, early.area, NULL)
    parts = (np.where(cortex, part, np.nan) for part in (early.x, early.y, early.width))
    return Retinotopy(area, *parts)


def _grow(hemisphere: str, shifts: Floats, free: NDArray[np.bool_]) -> tuple[Ints, Floats]:
    """Region and distance of every vertex outside the retinotopic areas."""
    mesh = mid_surface(hemisphere)
    regions = [(index, roi) for index, roi in enumerate(load_rois()) if roi.peak]
    seeds = [_seed(roi, hemisphere, shifts[index], free) for index, roi in regions]
    distances = geodesic(mesh, seeds, limit=max(roi.radius for _, roi in regions))
    owner, nearest = np.full(N_VERTICES, NULL), np.full(N_VERTICES, np.nan)
    order = np.argsort(distances, axis=1, kind="stable")
    reached = [
        int(np.count_nonzero(distances[row] <= roi.radius)) for row, (_, roi) in enumerate(regions)
    ]
    queues = [iter(order[row, :count]) for row, count in enumerate(reached)]
    # In turn, so that a region between others keeps its share.
    for _ in range(PER_ROI):
        for row, (index, _) in enumerate(regions):
            vertex = next((v for v in queues[row] if free[v] and owner[v] == NULL), None)
            if vertex is not None:
                owner[vertex], nearest[vertex] = index, distances[row, vertex]
    return owner, nearest


def _seed(roi: Roi, hemisphere: str, shift: Floats, free: NDArray[np.bool_]) -> int:
    """The free vertex nearest to the region's peak."""
    mesh = mid_surface(hemisphere)
    point = to_mni305(roi.peak_in(hemisphere) + shift)
    distance = np.linalg.norm(mesh.coordinates - point, axis=1)
    return int(np.argmin(np.where(free, distance, np.inf)))
