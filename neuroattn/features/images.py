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


def fit_picture(
    picture: NDArray[np.uint8],
    side: int,
    resize: Resize = Resize.squash,
    interpolation: Interpolation = Interpolation.bilinear,
) -> NDArray[np.uint8]:
    """Make (height, width, 3) sRGB square: (side, side, 3), antialiased.

    ``squash`` keeps the whole picture, as the participant saw it: a token's place in the grid
    is its place in the picture. ``crop`` keeps the aspect ratio, as ImageNet networks were
    trained, and loses what lies outside the largest centred square. On square pictures, such
    as those of NSD, they agree.
    """
    if resize is Resize.crop:
        left, top, right, bottom = centre_square(*picture.shape[:2])
        picture = picture[top:bottom, left:right]
    if picture.shape[:2] == (side, side):
        return picture
    # Pillow widens the kernel with the scale, so that fine texture does not alias. Its ``box``
    # would let the kernel look beyond the crop.
    fitted = Image.fromarray(picture).resize((side, side), _KERNELS[interpolation])
    return np.array(fitted, dtype=np.uint8)


def centre_square(height: int, width: int) -> tuple[int, int, int, int]:
    """Largest centred square as (left, top, right, bottom), in whole pixels."""
    edge = min(height, width)
    left, top = (width - edge) // 2, (height - edge) // 2
    return left, top, left + edge, top + edge
