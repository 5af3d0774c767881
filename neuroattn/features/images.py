"""Pictures on their way to a network: made square once, in 8 bits, by the same rule everywhere.

Decoding belongs to the dataset (`neuroattn.data.pictures`); pixels stay uint8 until they
are on the network's device, a quarter of the bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from neuroattn.features.registry import Interpolation, Resize

_KERNELS = {
    Interpolation.bilinear: Image.Resampling.BILINEAR,
    Interpolation.bicubic: Image.Resampling.BICUBIC,
}

# Mean colour of ImageNet's photographs: what it becomes when pixels are normalised is 0.
MEAN_COLOUR = (124, 116, 104)


def fit_picture(
    picture: NDArray[np.uint8],
    side: int,
    resize: Resize = Resize.squash,
    interpolation: Interpolation = Interpolation.bilinear,
    fraction: float = 1.0,
) -> NDArray[np.uint8]:
    """Make (height, width, 3) sRGB square: (side, side, 3), antialiased.

    ``squash`` keeps the whole picture, as the participant saw it: a token's place in the grid
    is its place in the picture. ``crop`` keeps the aspect ratio, as ImageNet networks were
    trained, and loses what lies outside the largest centred square, or outside ``fraction``
    of it. On square pictures, such as those of NSD, they agree while that is 1. ``pad`` keeps
    every pixel as it is, at the top left of a square of the mean colour, and shrinks only what
    does not fit (Adeli, Sun & Kriegeskorte 2025: 425 pixels on 434).
    """
    if resize is Resize.pad:
        return _padded(picture, side, interpolation)
    if resize is Resize.crop:
        height, width = picture.shape[:2]
        left, top, right, bottom = centre_square(height, width, fraction)
        picture = picture[top:bottom, left:right]
    if picture.shape[:2] == (side, side):
        return picture
    # Pillow widens the kernel with the scale, so that fine texture does not alias. Its ``box``
    # would let the kernel look beyond the crop.
    fitted = Image.fromarray(picture).resize((side, side), _KERNELS[interpolation])
    return np.array(fitted, dtype=np.uint8)


def _padded(
    picture: NDArray[np.uint8], side: int, interpolation: Interpolation
) -> NDArray[np.uint8]:
    height, width = padded_size(picture.shape[0], picture.shape[1], side)
    if picture.shape[:2] != (height, width):
        shrunk = Image.fromarray(picture).resize((width, height), _KERNELS[interpolation])
        picture = np.array(shrunk, dtype=np.uint8)
    square = np.full((side, side, 3), MEAN_COLOUR, dtype=np.uint8)
    square[:height, :width] = picture
    return square


def padded_size(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of a picture on a square of ``side``: never larger than it is."""
    scale = min(1.0, side / max(height, width))
    return max(1, round(scale * height)), max(1, round(scale * width))


def centre_square(height: int, width: int, fraction: float = 1.0) -> tuple[int, int, int, int]:
    """Largest centred square, or a share of its side, as (left, top, right, bottom) in pixels."""
    edge = max(1, int(fraction * min(height, width)))
    left, top = (width - edge) // 2, (height - edge) // 2
    return left, top, left + edge, top + edge
