"""Every kind of picture file becomes the same (height, width, 3) uint8."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.data.pictures import composite, decode


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


@pytest.fixture
def colours() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM"])
def test_colour_survives_exactly(form: str, colours: Any) -> None:
    decoded = decode(encoded(Image.fromarray(colours), form))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, colours)


def test_path_and_bytes_agree(tmp_path: Path, colours: Any) -> None:
    content = encoded(Image.fromarray(colours), "JPEG")
    (tmp_path / "a.jpg").write_bytes(content)
    np.testing.assert_array_equal(decode(tmp_path / "a.jpg"), decode(content))


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_greyscale_is_three_equal_channels(form: str) -> None:
    grey = np.full((4, 5), 77, dtype=np.uint8)
    np.testing.assert_array_equal(
        decode(encoded(Image.fromarray(grey), form)), np.full((4, 5, 3), 77)
    )


def test_bilevel_is_black_and_white() -> None:
    image = Image.fromarray(np.array([[0, 255]], dtype=np.uint8)).convert("1")
    assert decode(encoded(image)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_cut(form: str) -> None:
    deep = np.array([[0, 128, 257, 32896, 65535]], dtype=np.uint16)
    assert decode(encoded(Image.fromarray(deep), form))[0, :, 0].tolist() == [0, 0, 1, 128, 255]


def test_palette_is_expanded() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image)).tolist() == [[[10, 20, 30], [200, 100, 50]]]


def test_palette_transparency_shows_grey() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.putpixel((1, 0), 1)
    assert decode(encoded(image, transparency=0)).tolist() == [[[127] * 3, [200, 100, 50]]]


def test_alpha_is_composited_on_grey() -> None:
    rgba = np.array([[[255, 0, 0, 255], [255, 0, 0, 0], [255, 0, 0, 128]]], dtype=np.uint8)
    expected = [[[255, 0, 0], [127, 127, 127], [191, 63, 63]]]
    assert decode(encoded(Image.fromarray(rgba))).tolist() == expected


def test_composite_rounds_to_nearest() -> None:
    random = np.random.default_rng(1)
    rgba = random.integers(0, 256, (50, 50, 4), dtype=np.uint8)
    alpha = rgba[..., 3:] / 255
    exact = rgba[..., :3] * alpha + 127 * (1 - alpha)
    assert np.abs(composite(rgba) - exact).max() <= 0.5 + 1e-9


def test_exif_orientation_is_applied(colours: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    content = encoded(Image.fromarray(colours), exif=exif)
    np.testing.assert_array_equal(decode(content), np.rot90(colours, -1))


def test_cmyk_becomes_rgb() -> None:
    decoded = decode(encoded(Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "JPEG"))
    assert decoded.shape == (8, 8, 3)
    assert decoded.max() < 10


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP"])
def test_cut_off_is_an_error_that_names_file_and_fix(tmp_path: Path, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    content = encoded(Image.fromarray(noise), form)
    path = tmp_path / "00007.jpg"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"00007\.jpg") as caught:
        decode(path)
    assert "copy the file again" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"\x89PNG\r\n\x1a\n"], ids=len)
def test_no_picture_is_an_error(content: bytes) -> None:
    with pytest.raises(DataError, match="cannot be decoded"):
        decode(content)


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    content = (
        b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )
    with pytest.raises(DataError, match="too large"):
        decode(content)


def test_one_above_our_limit_and_below_pillows_is_refused() -> None:
    image = Image.new("1", (9000, 8000))
    with pytest.raises(DataError, match="9000 x 8000"):
        decode(encoded(image))


def test_animations_and_floating_point_are_refused() -> None:
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 128, 255)]
    with pytest.raises(DataError, match="3 frames"):
        decode(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    with pytest.raises(DataError, match="float32"):
        decode(encoded(Image.fromarray(np.ones((4, 4), dtype=np.float32)), "TIFF"))


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="restore"):
        decode(tmp_path / "none.png")
