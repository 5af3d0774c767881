"""One look for every figure: fonts, colours, and the frame that carries title and provenance.

The palette is one blue for data, one orange for what summarises it, and greys; blue and
orange differ in lightness as well, so they survive every common colour blindness and a
grey print. DejaVu Sans ships inside matplotlib, so the glyphs (and the bytes) do not depend
on the fonts of the machine.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine

INK = "#1f2933"
MUTED = "#5b6773"
RULE = "#c9d1d9"
GRID = "#e6eaee"
BLUE = "#2a6592"
PALE = "#a9c7dd"
ORANGE = "#b95116"
AMBER = "#8a5300"
AMBER_WASH = "#fff3d6"

FONT = "DejaVu Sans"
WIDTH = 7.2  # inches; every figure spans the report's text column
TOP, BOTTOM = 0.56, 0.32  # inches kept for the title block and the provenance line

RC: dict[str, Any] = {
    "font.family": FONT,
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # names are foreign text: a dollar sign must not start a formula
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.labelsize": 8.5,
    "axes.titlesize": 8.5,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.borderaxespad": 0.0,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 100,
    "svg.fonttype": "path",
    "svg.hashsalt": "neuroattn",
}

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Stamp:
    """Where the numbers of a figure come from; drawn into every figure.

    Parameters
    ----------
    source : the artefact, as in ``encode/ridge-1a2b3c4d``.
    simulated : whether the responses were simulated; the figure then says so.
    """

    source: str
    simulated: bool = False


def themed(function: Callable[P, R]) -> Callable[P, R]:
    """Run ``function`` under the theme, whatever the caller's matplotlib settings are."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(cast("Any", RC))
            return function(*args, **kwargs)

    return run


def frame(height: float, title: str, subtitle: str, stamp: Stamp) -> Figure:
    """An empty figure of `WIDTH` by ``height`` inches with title, provenance and label.

    The axes added to it are laid out between the title block and the provenance line.
    """
    room = (0.012, BOTTOM / height, 0.976, 1 - (TOP + BOTTOM) / height)
    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(rect=room))
    top = 1 - 0.1 / height
    figure.text(0.012, top, legible(title, 70), fontsize=10.5, fontweight="bold", va="top")
    figure.text(
        0.012, 1 - 0.325 / height, legible(subtitle, 110), color=MUTED, fontsize=8, va="top"
    )
    figure.text(
        0.012, 0.09 / height, legible(f"Source: {stamp.source}", 100), color=MUTED, fontsize=7
    )
    if stamp.simulated:
        figure.text(
            0.985, top, "simulated responses", color=AMBER, fontsize=7.5, ha="right", va="top",
            bbox={"facecolor": AMBER_WASH, "edgecolor": AMBER, "linewidth": 0.6, "pad": 2.5},
        )  # fmt: skip
    return figure


def explain_absence(axes: Axes, reason: str) -> None:
    """Say inside the axes why nothing is drawn; an empty figure explains nothing."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, reason, transform=axes.transAxes, ha="center", va="center", color=MUTED)


def legible(text: str, limit: int = 28) -> str:
    """Foreign text as one printable line of at most ``limit`` characters.

    Control and direction marks go, and what the font cannot draw becomes a placeholder:
    matplotlib would warn about each missing glyph.
    """
    drawable = _charmap()
    kept = [
        character if ord(character) in drawable else "\N{WHITE SQUARE}"
        for character in " ".join(text[: 4 * limit].split())
        if not unicodedata.category(character).startswith("C")
    ]
    line = "".join(kept)
    return line if len(line) <= limit else line[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"


@functools.cache
def _charmap() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())
