"""Label files and localiser maps of the planted cortex, in the collections that NSD has.

``prf-visualrois`` and ``floc-*`` are the planted regions of the subject. ``nsdgeneral`` and
``streams`` are group atlases, the same for all subjects, and wider: they hold null vertices
too, as they do in NSD.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate.cortex import Cortex
from neuroattn.data.simulate.rois import FLOC, NETWORKS, STREAMS, VISUAL, load_rois
from neuroattn.surface.coordinates import HEMISPHERES
from neuroattn.surface.meshes import Floats, mid_surface

Labels = NDArray[np.int32]

COLLECTIONS: Final = (VISUAL, *FLOC, "nsdgeneral", "streams")
GROUP: Final = ("nsdgeneral", "streams")
#: nsdgeneral holds 37,984 of the 327,684 vertices of fsaverage.
GENERAL_SHARE: Final = 37_984 / 327_684
_STREAM_MM: Final = 8.0
_STREAM_OF: Final = {
    **dict.fromkeys(("V1v", "V1d", "V2v", "V2d", "V3v", "V3d"), "early"),
    "hV4": "midventral",
    **dict.fromkeys(("OFA", "OWFA"), "midlateral"),
    "OPA": "midparietal",
    "EBA": "lateral",
    **dict.fromkeys(("RSC", "pIPS", "aIPS"), "parietal"),
    **dict.fromkeys(("FFA-1", "FFA-2", "FBA-1", "FBA-2", "PPA"), "ventral"),
    **dict.fromkeys(("VWFA-1", "VWFA-2", "mfs-words"), "ventral"),
}


def labels(cortex: Cortex, collection: str) -> Labels:
    """Labels of a collection (targets,), 0 where there is none.

    For the group atlases ``cortex`` is that of subject 1.
    """
    if collection == "nsdgeneral":
        return _general(cortex)
    if collection == "streams":
        return _streams(cortex)
    number = np.zeros(len(load_rois()) + 1, dtype=np.int32)  # the last: of null targets
    for index, roi in enumerate(load_rois()):
        number[index] = roi.label if roi.collection == collection else 0
    return number[cortex.roi]


def networks(cortex: Cortex) -> Labels:
    """Labels of the network regions (targets,), which NSD has no file for."""
    return labels(cortex, NETWORKS)


def t_map(cortex: Cortex, collection: str, seed: int, subject: int) -> Floats:
    """Simulated t values of a localiser contrast (targets,): noise, and its regions as hills."""
    t = generator(seed, "localiser", subject, collection).normal(size=len(cortex.roi))
    inside = labels(cortex, collection) > 0
    t[inside] += 4.0 + 10.0 * np.exp(-((cortex.distance[inside] / 8.0) ** 2))
    t[~cortex.cortex] = 0.0
    return t


def _general(cortex: Cortex) -> Labels:
    """The visual regions and the cortex nearest to them, up to the share it has in NSD."""
    is_general = np.array([*(roi.general for roi in load_rois()), False])
    _, distance = _nearest(cortex, np.flatnonzero(is_general[cortex.roi]))
    chosen = np.zeros(len(distance), dtype=np.int32)
    per = cortex.per_hemisphere
    for side in range(2):
        block = distance[side * per : (side + 1) * per]
        order = np.argsort(block, kind="stable")[: round(GENERAL_SHARE * per)]
        chosen[side * per + order[np.isfinite(block[order])]] = 1
    return chosen


def _streams(cortex: Cortex) -> Labels:
    names = [_STREAM_OF.get(roi.name) for roi in load_rois()]
    number = np.array([STREAMS.index(name) + 1 if name else 0 for name in names] + [0])
    sources = np.flatnonzero(number[cortex.roi] > 0)
    nearest, distance = _nearest(cortex, sources)
    found = number[cortex.roi[nearest]]
    return np.where(distance <= _STREAM_MM, found, 0).astype(np.int32)


def _nearest(cortex: Cortex, sources: NDArray[np.int64]) -> tuple[NDArray[np.int64], Floats]:
    """The source target nearest to every target of its hemisphere, and how far it is, mm."""
    from scipy.spatial import cKDTree

    per = cortex.per_hemisphere
    nearest, distance = np.zeros(2 * per, dtype=np.int64), np.full(2 * per, np.inf)
    for side, hemisphere in enumerate(HEMISPHERES):
        own = sources[(sources >= side * per) & (sources < (side + 1) * per)]
        if len(own) == 0:
            continue
        points = mid_surface(hemisphere).coordinates[:per]
        far, index = cKDTree(points[own - side * per]).query(points)
        part = slice(side * per, (side + 1) * per)
        nearest[part], distance[part] = own[index], far
    distance[~cortex.cortex] = np.inf
    return nearest, distance
