"""Figures to bytes: the same figure gives the same bytes, today and tomorrow.

matplotlib writes the date and random element ids into an SVG unless told otherwise, and its
layout solver visits constraints in the order of memory addresses, so that the last digit of
a position changes from run to run.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

from matplotlib.figure import Figure

from neuroattn.core.atomic import write_bytes
from neuroattn.core.errors import ConfigError
from neuroattn.figures.theme import themed

PNG_DPI = 160
DECIMALS = 4  # of positions: 0.02 mm on the page
_WEBP = {
    "quality": 90,
    "method": 4,
}  # a sixth of PNG where there are photographs
_MIME = {"svg": "image/svg+xml", "png": "image/png", "webp": "image/webp"}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@themed
def to_svg(figure: Figure) -> bytes:
    """SVG bytes; text is drawn as outlines, so no font is needed to show it."""
    _settle(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata=_NO_METADATA, dpi=PNG_DPI)
    return _without_doctype(buffer.getvalue())


@themed
def to_png(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """PNG bytes at ``dpi`` dots per inch."""
    _settle(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None}, dpi=dpi)
    return buffer.getvalue()


@themed
def to_webp(figure: Figure, dpi: int = PNG_DPI) -> bytes:
    """WebP bytes: for pages that hold many photographs and maps of the cortex."""
    _settle(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="webp", dpi=dpi, pil_kwargs=_WEBP)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write ``figure`` atomically in the format that the suffix of ``path`` names.

    Raises
    ------
    ConfigError : the suffix is neither ``.svg`` nor ``.png``.
    """
    writers = {".svg": to_svg, ".png": to_png}
    if path.suffix not in writers:
        raise ConfigError(
            "figures cannot be written in this format",
            file=path,
            expected=" or ".join(writers),
            found=path.suffix or "no suffix",
            fix="choose a file name that ends in .svg or .png",
        )
    write_bytes(path, writers[path.suffix](figure))


def data_uri(content: bytes, kind: str) -> str:
    """``content`` as an address that holds it, for pages that load nothing; svg, png or webp."""
    return f"data:{_MIME[kind]};base64,{base64.b64encode(content).decode('ascii')}"


def _settle(figure: Figure) -> None:
    """Lay the figure out once, and keep positions to a ten-thousandth of its size."""
    engine = figure.get_layout_engine()
    if engine is None:
        return
    engine.execute(figure)
    figure.set_layout_engine("none")
    for axes in figure.axes:
        for which in ("original", "active"):
            bounds = axes.get_position(original=which == "original").bounds
            left, bottom, width, height = (round(float(edge), DECIMALS) for edge in bounds)
            axes.set_position((left, bottom, width, height), which=which)


def _without_doctype(svg: bytes) -> bytes:
    # The document type names an external address, which some viewers try to load.
    start = svg.index(b"<!DOCTYPE")
    return svg[:start] + svg[svg.index(b">", start) + 1 :].lstrip()
