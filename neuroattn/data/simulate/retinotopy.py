"""V1 to hV4 from a formula: a log-polar map of the visual field, laid along the calcarine.

The wedge-dipole form (Balasubramanian, Polimeni and Schwartz 2002, Neural Networks 15:1157)
without its far pole: a point at eccentricity E and polar angle is squeezed into a wedge of the
plane and mapped by ``k log(z + a)``. V1, V2 and V3 are neighbouring wedges, each the mirror
image of the last, so they meet at the fovea and share meridians. Outer wedges are narrower, so
that all areas get about as many vertices. The template is synthetic: no brain was
measured for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.data.simulate.rois import VISUAL_AREAS
from neuroattn.surface.coordinates import LEFT, to_mni305
from neuroattn.surface.meshes import Floats, load_mesh
from neuroattn.surface.neighbours import nearest_vertex

FIELD_DEGREES: Final = 8.4  # side of the pictures in NSD
_SCALE: Final = 18.0  # k, mm of the sphere, set so that an area has 30 to 40 vertices
_FOVEA: Final = 0.7  # a, degrees
# Where V1, V2 and V3 end on either side of the horizontal meridian, and hV4 on one.
_EDGES: Final = np.deg2rad([0.0, 66.0, 112.0, 139.0, 155.0])
_ECCENTRICITY: Final = (0.25, 3.9)  # degrees: inside the picture

# Right hemisphere, MNI152: the foveal confluence, a point down the calcarine sulcus, and one
# above it, which tells dorsal from ventral.
_LANDMARKS: Final = np.array([[12.0, -99.0, -3.0], [10.0, -72.0, 7.0], [9.0, -86.0, 26.0]])

# Full width at half maximum of the receptive field at the fovea and its growth per degree.
_WIDTHS: Final = {"V1": 1.0, "V2": 1.15, "V3": 1.3, "hV4": 1.45}
_GROWTH: Final = 0.14


@dataclass(frozen=True, eq=False)
class Retinotopy:
    """Areas and receptive fields of one hemisphere.

    Parameters
    ----------
    area : (vertices,) index into `VISUAL_AREAS`, -1 elsewhere.
    x, y : (vertices,) centre, degrees right of and above fixation; NaN elsewhere.
    width : (vertices,) full width at half maximum, degrees.
    """

    area: NDArray[np.int64]
    x: Floats
    y: Floats
    width: Floats


def retinotopy(hemisphere: str, shift: Floats | None = None) -> Retinotopy:
    """The template on fsaverage5; ``shift`` (3, 3) moves the landmarks, in mm, for a subject."""
    along, across = _sheet(hemisphere, np.zeros((3, 3)) if shift is None else shift)
    plane = _FOVEA * np.exp((along + 1j * across) / _SCALE) - _FOVEA
    eccentricity, phase = np.abs(plane), np.angle(plane)
    area, angle = _unfold(phase)
    inside = (eccentricity >= _ECCENTRICITY[0]) & (eccentricity <= _ECCENTRICITY[1])
    area = np.where(inside & (np.abs(across) < np.pi * _SCALE), area, -1)
    side = 1.0 if hemisphere == LEFT else -1.0  # the left cortex sees the right field
    x = side * eccentricity * np.cos(angle)
    y = eccentricity * np.sin(angle)
    width = np.array([_WIDTHS[name.rstrip("vd")] for name in (*VISUAL_AREAS, "V1")])[area]
    width = np.clip(width + _GROWTH * eccentricity, 1.0, 2.0)
    nowhere = area < 0
    return Retinotopy(area, *(np.where(nowhere, np.nan, part) for part in (x, y, width)))


def _sheet(hemisphere: str, shift: Floats) -> tuple[Floats, Floats]:
    """Every vertex in a plane: mm along the calcarine from the fovea, and mm ventral of it."""
    sphere = load_mesh(hemisphere, "sphere").coordinates
    white = load_mesh(hemisphere, "white")
    mirror = np.array([-1.0 if hemisphere == LEFT else 1.0, 1.0, 1.0])
    points = to_mni305(_LANDMARKS * mirror + shift)
    fovea, calcarine, dorsal = (sphere[nearest_vertex(white, point)] for point in points)
    radius = float(np.linalg.norm(fovea))
    pole = fovea / radius
    ahead = _tangent(calcarine, pole)
    down = -_tangent(dorsal - ahead * (dorsal @ ahead), pole)
    unit = sphere / radius
    distance = radius * np.arccos(np.clip(unit @ pole, -1, 1))
    bearing = np.arctan2(unit @ down, unit @ ahead)
    return distance * np.cos(bearing), distance * np.sin(bearing)


def _tangent(point: Floats, pole: Floats) -> Floats:
    """Unit vector from ``pole`` towards ``point``, in the plane that touches the sphere."""
    flat = point - pole * (point @ pole)
    return np.asarray(flat / np.linalg.norm(flat))


def _unfold(phase: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Area and polar angle (upper field positive) of a phase (ventral positive).

    V1 reads from the horizontal meridian to the vertical one, V2 back, V3 forth again; hV4,
    ventral only, reads on from the upper vertical meridian to the lower.
    """
    sign, depth = np.sign(phase), np.abs(phase)
    band = np.clip(np.searchsorted(_EDGES, depth, side="right") - 1, 0, 3)
    part = (depth - _EDGES[band]) / (_EDGES[band + 1] - _EDGES[band])
    quarter = np.pi / 2 * np.choose(band, [part, 1 - part, part, 0.0])
    dorsal = (sign < 0).astype(np.int64)
    area = np.where(band < 3, 2 * band + dorsal, -1)
    is_hv4 = (band == 3) & (sign > 0) & (part < 1)
    area = np.where(is_hv4, VISUAL_AREAS.index("hV4"), area)
    angle = np.where(is_hv4, np.pi / 2 - np.pi * part, sign * quarter)
    return area, angle
