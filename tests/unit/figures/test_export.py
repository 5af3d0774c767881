from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroattn.core.errors import ConfigError
from neuroattn.figures import (
    Example,
    Stamp,
    data_uri,
    measured_against_predicted,
    save,
    score_histogram,
    to_png,
    to_svg,
    to_webp,
)

DRAW = """
import hashlib, numpy as np
from neuroattn.figures import *
figure = score_histogram(np.linspace(-0.2, 0.8, 50), Stamp("encode/x-1", simulated=True))
print(*(hashlib.sha256(to(figure)).hexdigest() for to in (to_svg, to_png, to_webp)))
"""


def figure():
    return score_histogram(np.linspace(-0.2, 0.8, 50), Stamp("encode/x-1", simulated=True))


def test_bytes_are_the_same_in_another_process_at_another_time() -> None:
    environment = {
        **os.environ,
        "PYTHONHASHSEED": "7",
        "SOURCE_DATE_EPOCH": "86400",
        "TZ": "Asia/Tokyo",
    }
    output = subprocess.run(
        [sys.executable, "-c", DRAW], env=environment, capture_output=True, text=True, check=True
    ).stdout
    drawn = figure()
    ours = [
        hashlib.sha256(content).hexdigest()
        for content in (to_svg(drawn), to_png(drawn), to_webp(drawn))
    ]
    assert output.split() == ours


def test_drawing_twice_gives_equal_bytes() -> None:
    assert to_svg(figure()) == to_svg(figure())
    assert to_png(figure()) == to_png(figure())


def test_svg_names_no_date_and_no_address_but_namespaces() -> None:
    svg = to_svg(figure()).decode()
    assert svg.startswith("<?xml")
    assert "<svg" in svg
    assert "DOCTYPE" not in svg
    assert "metadata" not in svg
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert "http" not in without_namespaces


def test_png_is_not_blank(tmp_path: Path) -> None:
    image = Image.open(io.BytesIO(to_png(figure()))).convert("RGB")
    colours = image.getcolors(maxcolors=1 << 20)
    assert colours is not None
    assert len(colours) > 50
    inked = 1 - max(count for count, _ in colours) / (image.width * image.height)
    assert 0.05 < inked < 0.6


def test_webp_shows_what_png_shows_in_fewer_bytes() -> None:
    """A picture of noise under a title: what photographs are to a lossless format."""
    drawn = figure()
    noise = np.random.default_rng(0).random((60, 60, 3))
    drawn.axes[0].imshow(noise, extent=(0, 1, 0, 1), interpolation="bilinear")
    png, webp = (Image.open(io.BytesIO(to(drawn))).convert("RGB") for to in (to_png, to_webp))
    assert png.size == webp.size
    apart = np.abs(np.asarray(png, dtype=float) - np.asarray(webp, dtype=float))
    assert apart.mean() < 4
    assert len(to_webp(drawn)) < 0.7 * len(to_png(drawn))


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_save_writes_the_format_of_the_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    save(figure(), path)
    assert path.read_bytes() == {".svg": to_svg, ".png": to_png}[suffix](figure())
    assert list(tmp_path.iterdir()) == [path]


def test_save_refuses_other_formats(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        save(figure(), tmp_path / "scores.pdf")


def test_data_uri_holds_the_bytes() -> None:
    uri = data_uri(b"<svg/>", "svg")
    head, _, body = uri.partition(",")
    assert head == "data:image/svg+xml;base64"
    assert base64.b64decode(body) == b"<svg/>"


def test_positions_are_settled_before_writing() -> None:
    """The layout solver's last digits change from run to run; they must not reach the bytes."""
    example = Example("t", "best", np.arange(9.0), np.arange(9.0), 1.0)
    drawn = measured_against_predicted([example] * 3, Stamp("encode/x-1"))
    for export in (to_svg, to_png):
        export(drawn)
        edges = [edge for axes in drawn.axes for edge in axes.get_position().bounds]
        np.testing.assert_allclose(edges, np.round(edges, 4), rtol=0, atol=1e-12)
    svg = to_svg(drawn)
    drawn.set_layout_engine("none")
    assert to_svg(drawn) == svg


def test_axes_stay_inside_the_frame_with_room_for_the_title_block() -> None:
    drawn = figure()
    to_svg(drawn)
    left, bottom, width, height = drawn.axes[0].get_position().bounds
    assert left > 0.05
    assert bottom > 0.1
    assert left + width < 1
    assert bottom + height < 0.85
