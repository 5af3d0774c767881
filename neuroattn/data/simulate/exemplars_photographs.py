"""Photographs that ship inside installed packages: which, on what terms, and what is cut out.

No file is fetched: a photograph that is missing is an error that names its package.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuroattn.core.errors import MissingDataError
from neuroattn.data.pictures import decode
from neuroattn.data.simulate.drawn import PATCH, Floats


@dataclass(frozen=True)
class Photograph:
    """One photographic source.

    Parameters
    ----------
    package, file : where it ships.
    licence : its terms, as the package states them.
    shows : what is in it.
    group : number of the source group of everything cut from it.
    """

    package: str
    file: str
    licence: str
    shows: str
    group: int


_STATED = "as distributed with scikit-image (BSD-3-Clause); see its data README"
PHOTOGRAPHS: Final = {
    "astronaut": Photograph(
        "skimage", "data/astronaut.png", "public domain (NASA)", "Eileen Collins", 3
    ),
    "brick": Photograph("skimage", "data/brick.png", "CC0 (CC0Textures)", "paving", 5),
    "camera": Photograph("skimage", "data/camera.png", "CC0 (Lav Varshney)", "a cameraman", 4),
    "chelsea": Photograph("skimage", "data/chelsea.png", "CC0 (Stefan van der Walt)", "a cat", 0),
    "china": Photograph(
        "sklearn", "datasets/images/china.jpg", "CC BY 2.0 (danielbuechele)", "a pagoda", 7
    ),
    "coffee": Photograph("skimage", "data/coffee.png", "CC0 (Rachel Michetti)", "a cup", 1),
    "grass": Photograph("skimage", "data/grass.png", "CC0 (DeclanQuinn)", "grass", 9),
    "hopper": Photograph(
        "matplotlib",
        "mpl-data/sample_data/grace_hopper.jpg",
        "public domain (US Navy)",
        "Grace Hopper",
        6,
    ),
    "lfw": Photograph(
        "skimage",
        "data/lfw_subset.npy",
        f"{_STATED}; Labeled Faces in the Wild (Huang et al. 2007)",
        "100 faces of 25 x 25 pixels, grey",
        -1,  # a hundred photographs: each has its own group
    ),
    "motorcycle": Photograph(
        "skimage",
        "data/motorcycle_left.png",
        f"{_STATED}; Middlebury stereo data (Scharstein et al. 2014)",
        "a motorcycle in a garage",
        2,
    ),
    "rocket": Photograph("skimage", "data/rocket.jpg", "public domain (SpaceX)", "a rocket", 8),
}
FACES: Final = 100

#: Squares cut out as things: (photograph, category, kind, (left, top, edge)) in pixels.
CROPS: Final = (
    ("astronaut", "face", "face", (135, 12, 185)),
    ("hopper", "face", "face", (160, 100, 225)),
    ("astronaut", "body", "astronaut", (10, 182, 330)),
    ("camera", "body", "cameraman", (0, 40, 360)),
    ("chelsea", "animal", "cat", (60, 0, 300)),
    ("chelsea", "animal", "cat", (105, 35, 245)),
    ("coffee", "food", "cup of coffee", (70, 0, 400)),
    ("coffee", "food", "cup of coffee", (130, 10, 300)),
    ("motorcycle", "vehicle", "motorcycle", (100, 20, 480)),
    ("motorcycle", "vehicle", "motorcycle", (160, 50, 440)),
    ("rocket", "vehicle", "rocket", (200, 110, 250)),
    ("rocket", "vehicle", "rocket", (140, 60, 366)),
)

#: Squares used as places, with no thing in them: (photograph, place, (left, top, edge)).
VIEWS: Final = (
    ("china", "city", (0, 0, 427)),
    ("china", "city", (60, 60, 340)),
    ("brick", "city", (0, 0, 512)),
    ("camera", "field", (372, 150, 140)),
    ("grass", "field", (0, 0, 512)),
)


def cut(name: str, square: tuple[int, int, int], side: int) -> Floats:
    """The square (left, top, edge) of a photograph at (side, side, 3), in [0, 1]."""
    left, top, edge = square
    part = Image.fromarray(_photograph(name)[top : top + edge, left : left + edge])
    fitted = part.resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(fitted, dtype=np.float32) / np.float32(255)


def face(index: int) -> Floats:
    """One of the `FACES` small photographs of faces, enlarged: (patch, patch, 3)."""
    return _enlarged(_faces()[index])


def mixed_face(indices: Sequence[int], rng: np.random.Generator) -> Floats:
    """The mean of some of these faces, which stand alike, in another light: (patch, patch, 3).

    It is mirrored by chance, lit from a side, and seen a little askew.
    """
    mean: Floats = _faces()[list(indices)].mean(axis=0)
    if rng.random() < 0.5:
        mean = mean[:, ::-1]
    at = np.linspace(-1, 1, len(mean), dtype=np.float32)
    across, down = rng.uniform(-0.35, 0.35, size=2).astype(np.float32)
    lit = Image.fromarray(mean * (1 + across * at[None, :]) * (1 + down * at[:, None]))
    edge = float(len(mean))
    corners = np.array([0, 0, 0, edge, edge, edge, edge, 0]) + rng.normal(0, 0.05 * edge, 8)
    corners = np.clip(corners, 0, edge)
    askew = lit.transform(
        lit.size, Image.Transform.QUAD, corners.tolist(), Image.Resampling.BICUBIC
    )
    return _enlarged(np.asarray(askew))


def _enlarged(face: Floats) -> Floats:
    large = np.asarray(Image.fromarray(face).resize((PATCH, PATCH), Image.Resampling.BICUBIC))
    return np.repeat(np.clip(large, 0, 1)[..., None], 3, axis=2)


@functools.cache
def _photograph(name: str) -> NDArray[np.uint8]:
    return decode(locate(name))


@functools.cache
def _faces() -> Floats:
    values = np.load(locate("lfw"), allow_pickle=False)[:FACES]
    return np.asarray(values, dtype=np.float32)


def locate(name: str) -> Path:
    """Where a photograph lies in its installed package; the package is not imported.

    Raises
    ------
    MissingDataError : the package, or the file in it, is not there.
    """
    source = PHOTOGRAPHS[name]
    spec = importlib.util.find_spec(source.package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / source.file if folders else Path(source.package) / source.file
    if not path.is_file():
        raise MissingDataError(
            "a photograph for the simulated scenes is missing",
            file=path,
            expected=f"the file ships in {source.package}",
            found="no such file",
            fix=f"install {source.package} again from its wheel",
        )
    return path
