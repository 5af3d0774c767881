"""Pictures from files: every format and mode becomes (height, width, 3) uint8, or a clear error.

One decoder for all readers, because a picture decoded in two ways is two stimuli.
Transparent parts show the grey on which stimuli were presented (127, as in NSD).
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from neuroattn.core.errors import DataError, MissingDataError, NeuroattnError

GREY = 127
MAX_PIXELS = 64_000_000
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM")
_TRANSPARENT = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})


def decode(source: str | Path | bytes, *, name: str = "") -> NDArray[np.uint8]:
    """Decode one picture to (height, width, 3) sRGB uint8.

    The EXIF orientation is applied, greyscale and palette are expanded, 16-bit grey is
    scaled to 8 bits, transparent parts are composited on grey 127.

    Parameters
    ----------
    source : path of a file, or its bytes.
    name : what to call the bytes in an error.

    Raises
    ------
    MissingDataError : there is no such file.
    DataError : no picture, cut off, damaged, animated, in floating point, or larger than
        `MAX_PIXELS` (a small file can unfold to many gigabytes).
    """
    label = name or ("the picture's bytes" if isinstance(source, bytes) else str(source))
    opened = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with Image.open(opened, formats=FORMATS) as image:
            _check(image, label)
            return _rgb(ImageOps.exif_transpose(image), label)
    except NeuroattnError:
        raise
    except FileNotFoundError as error:
        raise MissingDataError(
            "a picture is missing", file=label, fix="restore the file"
        ) from error
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_large(label, error) from error
    except Exception as error:  # decoders raise nearly anything on damaged bytes
        raise DataError(
            "the picture cannot be decoded",
            file=label,
            expected="a whole JPEG, PNG, BMP, TIFF, WebP, GIF or PPM",
            found=f"{error}" or type(error).__name__,
            fix="copy the file again, or save it as PNG",
        ) from error


def _check(image: Image.Image, label: str) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _too_large(label, f"{width} x {height} pixels")
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":  # MPO: a JPEG with a preview
        raise DataError(
            "the picture is an animation",
            file=label,
            expected="one frame",
            found=f"{frames} frames",
            fix="save the frame that was shown as PNG",
        )


def _too_large(label: str, found: object) -> DataError:
    return DataError(
        "the picture is too large to be a stimulus",
        file=label,
        expected=f"{MAX_PIXELS} pixels at most",
        found=found,
        fix="scale the picture down to the size at which it was shown",
    )


def _rgb(image: Image.Image, label: str) -> NDArray[np.uint8]:
    if image.mode in ("I", "F"):
        return _deep(image, label)
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image, dtype=np.uint32))
    if image.mode in _TRANSPARENT or "transparency" in image.info:
        return composite(np.asarray(image.convert("RGBA"), dtype=np.uint8))
    return np.array(image.convert("RGB"), dtype=np.uint8)


def _deep(image: Image.Image, label: str) -> NDArray[np.uint8]:
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise DataError(
            "the range of the picture's values is not known",
            file=label,
            expected="8 or 16 bits per channel",
            found=f"{values.dtype} from {values.min()} to {values.max()}",
            fix="save the picture as 8-bit PNG, scaled as it was shown",
        )
    return _grey(values.astype(np.uint32))


def _grey(values: NDArray[np.uint32]) -> NDArray[np.uint8]:
    # 65535 / 255 = 257 exactly, so black and white stay black and white.
    grey = ((values + 128) // 257).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def composite(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay (height, width, 4) with straight alpha on grey 127: (height, width, 3)."""
    colour: NDArray[Any] = rgba[..., :3].astype(np.uint32)
    alpha: NDArray[Any] = rgba[..., 3:].astype(np.uint32)
    laid: NDArray[np.uint8] = ((colour * alpha + GREY * (255 - alpha) + 127) // 255).astype(
        np.uint8
    )
    return laid
