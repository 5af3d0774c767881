"""The fsaverage5 meshes that ship inside nilearn, read without importing nilearn.

nilearn takes seconds to import and would offer a download; its packaged files need neither.
Coarser meshes of the same family are the leading vertices: a subdivided icosahedron keeps
the vertices of the one before it, in order.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, MissingDataError
from neuroattn.surface.coordinates import SIDE, check_hemisphere

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
_Kind = TypeVar("_Kind", bound=np.generic)

N_VERTICES: Final = 10_242  # per hemisphere of fsaverage5

_FILES: Final = {
    "white": "white", "pial": "pial", "sphere": "sphere", "inflated": "infl", "flat": "flat",
}  # fmt: skip
_MAPS: Final = {"sulc": "sulc", "curv": "curv", "area": "area", "thickness": "thick"}


@dataclass(frozen=True, eq=False)
class Mesh:
    """A triangle mesh.

    Parameters
    ----------
    coordinates : (vertices, 3), mm.
    faces : (faces, 3) vertex numbers. A flat mesh leaves out the medial wall and the cuts.
    """

    coordinates: Floats
    faces: Ints


@cache
def load_mesh(hemisphere: str, kind: str = "white") -> Mesh:
    """A mesh of fsaverage5: ``white``, ``pial``, ``sphere``, ``inflated`` or ``flat``.

    White and pial lie in MNI305; the sphere has a radius of 100. The arrays are read-only.

    Raises
    ------
    ConfigError : no such hemisphere or mesh.
    MissingDataError : nilearn, or the file in it, is not installed.
    """
    image = nib.load(_file(hemisphere, kind, _FILES))
    coordinates = image.agg_data("pointset").astype(np.float64)
    return Mesh(_frozen(coordinates), _frozen(image.agg_data("triangle").astype(np.int64)))


@cache
def load_map(hemisphere: str, name: str = "sulc") -> Floats:
    """A map of fsaverage5 (vertices,): ``sulc``, ``curv``, ``area`` or ``thickness``.

    Raises as `load_mesh` does.
    """
    return _frozen(nib.load(_file(hemisphere, name, _MAPS)).agg_data().astype(np.float64))


def mid_surface(hemisphere: str) -> Mesh:
    """The surface half way between white matter and pia, in MNI305."""
    white, pial = load_mesh(hemisphere, "white"), load_mesh(hemisphere, "pial")
    return Mesh((white.coordinates + pial.coordinates) / 2, white.faces)


def _file(hemisphere: str, name: str, names: dict[str, str]) -> Path:
    side = SIDE[check_hemisphere(hemisphere)]
    if name not in names:
        raise ConfigError("fsaverage5 has no such file", expected=" | ".join(names), found=name)
    spec = importlib.util.find_spec("nilearn")
    folders = (spec.submodule_search_locations if spec else None) or ["nilearn"]
    path = Path(folders[0]) / "datasets/data/fsaverage5" / f"{names[name]}_{side}.gii.gz"
    if not path.is_file():
        raise MissingDataError(
            "the fsaverage5 meshes are missing",
            file=path,
            expected="the files that ship inside nilearn",
            found="nothing",
            fix="python -m pip install --force-reinstall nilearn",
        )
    return path


def _frozen(values: NDArray[_Kind]) -> NDArray[_Kind]:
    values.setflags(write=False)
    return values
