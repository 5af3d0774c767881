"""Hemisphere names and the two spaces in which peaks are published and meshes are drawn.

The fsaverage meshes lie in MNI305 space (the "Talairach" of FreeSurfer); papers report peaks
in MNI152. The two differ by up to about 4 mm, which is one vertex of fsaverage5.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.errors import ConfigError

Floats = NDArray[np.float64]

LEFT: Final = "lh"
RIGHT: Final = "rh"
HEMISPHERES: Final = (LEFT, RIGHT)
SIDE: Final = {LEFT: "left", RIGHT: "right"}

# FreeSurfer, "Coordinate systems", case 8: MNI305 (fsaverage) to MNI152, RAS in mm.
MNI305_TO_MNI152: Final[Floats] = np.array(
    [
        [0.9975, -0.0073, 0.0176, -0.0429],
        [0.0146, 1.0009, -0.0024, 1.5496],
        [-0.0130, -0.0093, 0.9971, 1.1840],
        [0.0, 0.0, 0.0, 1.0],
    ]
)


def check_hemisphere(hemisphere: str) -> str:
    """Return ``hemisphere`` if it is ``lh`` or ``rh``.

    Raises
    ------
    ConfigError : another name.
    """
    if hemisphere not in HEMISPHERES:
        raise ConfigError(
            "no such hemisphere", expected=" or ".join(HEMISPHERES), found=hemisphere,
            fix="write lh for the left one, rh for the right one",
        )  # fmt: skip
    return hemisphere


def to_mni152(points: ArrayLike) -> Floats:
    """Points (..., 3) of MNI305, in mm, as points of MNI152."""
    return _transform(points, MNI305_TO_MNI152)


def to_mni305(points: ArrayLike) -> Floats:
    """Points (..., 3) of MNI152, in mm, as points of MNI305, where fsaverage lies."""
    return _transform(points, np.asarray(np.linalg.inv(MNI305_TO_MNI152), dtype=np.float64))


def _transform(points: ArrayLike, matrix: Floats) -> Floats:
    values = np.asarray(points, dtype=np.float64)
    return np.asarray(values @ matrix[:3, :3].T + matrix[:3, 3])
