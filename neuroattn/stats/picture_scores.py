"""PixCorr and SSIM: scores of reconstructed pictures that need no network.

As in the published comparisons on NSD: pictures at 425 pixels, Pearson's r over all values, and
the structural similarity of grey pictures under a Gaussian window (sigma 1.5, population moments,
range 1; Wang et al. 2004, IEEE Trans Image Process 13:600).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Pictures = NDArray[Any]
Floats = NDArray[np.float64]

SIDE: Final = 425  # pixels, the size of the stimuli of NSD
_GREY = np.array([0.2125, 0.7154, 0.0721])  # luminance of RGB, as scikit-image weighs it


def pixel_correlation(true: Pictures, made: Pictures, side: int = SIDE) -> Floats:
    """Pearson's r (images,) of all values of two pictures; NaN where one is a plain colour.

    Parameters
    ----------
    true, made : (images, height, width, 3), uint8 or 0 to 1; sizes may differ.
    """
    return np.array([_pearson(a.ravel(), b.ravel()) for a, b in _pairs(true, made, side)])


def structural_similarity(true: Pictures, made: Pictures, side: int = SIDE) -> Floats:
    """SSIM (images,) of grey pictures: 1 for equal ones."""
    from skimage.metrics import structural_similarity as ssim

    measure: Any = ssim
    how = {
        "data_range": 1.0,
        "gaussian_weights": True,
        "sigma": 1.5,
        "use_sample_covariance": False,
    }
    return np.array([measure(a @ _GREY, b @ _GREY, **how) for a, b in _pairs(true, made, side)])


def _pairs(true: Pictures, made: Pictures, side: int) -> Iterator[tuple[Floats, Floats]]:
    if len(true) != len(made) or true.shape[-1:] != (3,) or made.shape[-1:] != (3,):
        raise ValueError(f"pictures do not pair: {true.shape} and {made.shape}")
    for a, b in zip(true, made, strict=True):
        yield _resized(a, side), _resized(b, side)


def _resized(picture: Pictures, side: int) -> Floats:
    from skimage import transform

    resize: Any = transform.resize
    scale = 255.0 if picture.dtype == np.uint8 else 1.0
    values = np.asarray(picture, dtype=np.float64) / scale
    if values.shape[:2] == (side, side):
        return values
    shape = (side, side, 3)
    return np.asarray(resize(values, shape, order=1, anti_aliasing=True), dtype=np.float64)


def _pearson(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    length = np.linalg.norm(x) * np.linalg.norm(y)
    return float(x @ y / length) if length > 1e-10 else float("nan")
