"""The rules of the generated demo dataset: photographs to crops, crops to simulated responses.

Pure functions of a seed. The responses are stated in terms of the picture, never of a
network that will read it, so that no encoder is true by construction.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuroattn.core.errors import MissingDataError
from neuroattn.core.seeding import generator
from neuroattn.data.pictures import decode

Floats = NDArray[np.float64]
EARLY, LATE, BOTH = "early_sim", "late_sim", "visual_sim"
HEMISPHERES = ("lh", "rh")
SIDE = 96  # pixels

# Photograph: (package, file below it, category).
PHOTOGRAPHS = {
    "astronaut": ("skimage", "data/astronaut.png", "people"),
    "brick": ("skimage", "data/brick.png", "surfaces"),
    "camera": ("skimage", "data/camera.png", "people"),
    "chelsea": ("skimage", "data/chelsea.png", "nature"),
    "china": ("sklearn", "datasets/images/china.jpg", "places"),
    "coffee": ("skimage", "data/coffee.png", "things"),
    "coins": ("skimage", "data/coins.png", "things"),
    "flower": ("sklearn", "datasets/images/flower.jpg", "nature"),
    "grass": ("skimage", "data/grass.png", "nature"),
    "gravel": ("skimage", "data/gravel.png", "surfaces"),
    "hopper": ("matplotlib", "mpl-data/sample_data/grace_hopper.jpg", "people"),
    "hubble": ("skimage", "data/hubble_deep_field.jpg", "sky"),
    "moon": ("skimage", "data/moon.png", "sky"),
    "motorcycle": ("skimage", "data/motorcycle_left.png", "things"),
    "rocket": ("skimage", "data/rocket.jpg", "places"),
}
CATEGORIES = tuple(sorted({category for _, _, category in PHOTOGRAPHS.values()}))


@dataclass(frozen=True)
class Target:
    """Planted truth of one target.

    Parameters
    ----------
    roi : ``early_sim``, ``late_sim``, or "" for one without signal.
    x, y, sigma : centre and width of the receptive field, in widths of the picture, with the
        origin at its top left (0 for late targets, which see the whole picture).
    ncsnr : standard deviation of the signal over that of the noise of one trial.
    """

    roi: str
    hemisphere: str
    x: float
    y: float
    sigma: float
    ncsnr: float


def photograph(name: str) -> NDArray[np.uint8]:
    """A photograph that ships in an installed package: (height, width, 3).

    Raises
    ------
    MissingDataError : the package, or the file in it, is not there.
    """
    package, file, _ = PHOTOGRAPHS[name]
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    path = Path(folders[0]) / file if folders else Path(package) / file
    if not path.is_file():
        raise MissingDataError(
            "a photograph of the generated dataset is missing",
            file=path,
            expected=f"{file} inside the package {package}",
            found="nothing",
            fix="python -m pip install --force-reinstall scikit-image scikit-learn matplotlib",
        )
    return decode(path)


def crop(picture: NDArray[np.uint8], random: np.random.Generator) -> Image.Image:
    """A random square of ``picture``, maybe mirrored, tinted, scaled to `SIDE` pixels.

    The tint is drawn apart from the photograph, so that overall colour does not tell it.
    """
    height, width, _ = picture.shape
    side = int(min(height, width) * random.uniform(0.4, 1.0))
    top, left = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
    square = picture[top : top + side, left : left + side]
    if random.random() < 0.5:
        square = square[:, ::-1]
    small = Image.fromarray(square).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    tinted = np.asarray(small) * random.uniform(0.6, 1.0, size=3)
    return Image.fromarray(np.rint(tinted).astype(np.uint8))


def plan_targets(count: int, seed: int) -> list[Target]:
    """``count`` targets: of ten, four early, four late, two without signal; sides alternate.

    Early receptive fields lie in the half of the picture opposite to their hemisphere.
    """
    targets = []
    for index in range(count):
        random = generator(seed, "target", index)
        roi = EARLY if index % 10 < 4 else LATE if index % 10 < 8 else ""
        hemisphere = HEMISPHERES[index % 2]
        ncsnr = float(random.uniform(0.6, 1.6)) if roi else 0.0
        x, y, sigma = random.uniform((0.55, 0.15, 0.08), (0.9, 0.85, 0.2))
        if roi != EARLY:
            x = y = sigma = 0.0
        elif hemisphere == "rh":
            x = 1 - x
        targets.append(Target(roi, hemisphere, float(x), float(y), float(sigma), ncsnr))
    return targets


def opponent(pictures: NDArray[np.uint8]) -> Floats:
    """Luminance, red-green, blue-yellow and squared luminance of sRGB values in 0 to 1.

    From (images, height, width, 3) to (4, images, height * width).
    """
    flat = pictures.reshape(len(pictures), -1, 3) / 255.0
    red, green, blue = np.moveaxis(flat, -1, 0)
    luminance = (red + green + blue) / 3
    return np.stack([luminance, red - green, blue - (red + green) / 2, luminance**2])


def early_signal(channels: Floats, target: Target, random: np.random.Generator) -> Floats:
    """Local colour and local contrast under a Gaussian receptive field: (images,).

    The means of the `opponent` channels under the field, and the standard deviation of
    luminance under it, each standardised over images, with weights of length 1 drawn once
    per target.
    """
    grid = (np.arange(SIDE) + 0.5) / SIDE
    distance = (grid[:, None] - target.y) ** 2 + (grid[None] - target.x) ** 2
    field = np.exp(-distance / (2 * target.sigma**2)).ravel()
    *means, squared = np.einsum("cnp,p->cn", channels, field / field.sum())
    contrast = np.sqrt(np.maximum(squared - means[0] ** 2, 0))
    parts = standardise(np.column_stack([*means, contrast]))
    return standardise(parts @ _direction(parts.shape[1], random))


def late_signal(channels: Floats, categories: list[str], random: np.random.Generator) -> Floats:
    """Half preference for categories of photographs, half overall colour: (images,)."""
    preference = dict(zip(CATEGORIES, random.normal(size=len(CATEGORIES)), strict=True))
    what = standardise(np.array([preference[name] for name in categories]))
    colour = standardise(channels[:3].mean(axis=2).T) @ _direction(3, random)
    return standardise(what + standardise(colour))


def signals(
    pictures: NDArray[np.uint8], categories: list[str], targets: list[Target], seed: int
) -> Floats:
    """Signal of every target, mean 0 and variance 1 over images: (images, targets)."""
    channels = opponent(pictures)
    out = np.zeros((len(pictures), len(targets)))
    for index, target in enumerate(targets):
        random = generator(seed, "rule", index)
        if target.roi == EARLY:
            out[:, index] = early_signal(channels, target, random)
        elif target.roi == LATE:
            out[:, index] = late_signal(channels, categories, random)
    return out


def standardise(values: Floats) -> Floats:
    """Mean 0 and variance 1 over axis 0; a constant column becomes 0."""
    centred = values - values.mean(axis=0)
    spread = values.std(axis=0)
    return np.asarray(centred / np.where(spread > 0, spread, 1.0))


def _direction(size: int, random: np.random.Generator) -> Floats:
    weights = random.normal(size=size)
    return np.asarray(weights / np.sqrt(np.sum(weights**2)))
