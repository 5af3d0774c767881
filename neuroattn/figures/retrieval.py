"""Figures of retrieval: accuracy with intervals, over the size of the gallery, and in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from neuroattn.figures.comparison import COLOURS, MARKERS
from neuroattn.figures.theme import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PALE,
    RULE,
    WIDTH,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

Floats = NDArray[np.floating[Any]]
_GAP = 0.07  # inches between pictures


@dataclass(frozen=True)
class Accuracy:
    """One figure of retrieval: where it stands, its interval, and what chance would give."""

    row: str
    series: str
    value: float
    low: float
    high: float
    chance: float


@dataclass(frozen=True, eq=False)
class Curve:
    """Accuracy (sizes,) over the size of the gallery; ``dashed`` for a second convention."""

    name: str
    ways: Floats
    accuracy: Floats
    colour: int
    dashed: bool = False


@dataclass(frozen=True, eq=False)
class Query:
    """A picture that was seen, the rank of its own, and the first that were retrieved.

    Parameters
    ----------
    own : which of ``found`` is the picture that was seen; None where it is none of them.
    """

    seen: NDArray[np.uint8]
    caption: str
    found: Sequence[NDArray[np.uint8]]
    captions: Sequence[str]
    own: int | None


@themed
def accuracies(
    panels: Sequence[tuple[str, Sequence[Accuracy]]], stamp: Stamp, *, title: str, subtitle: str
) -> Figure:
    """Dots with intervals and grey ticks at chance, a panel for each number of guesses."""
    rows = list(dict.fromkeys(each.row for _, panel in panels for each in panel))
    series = list(dict.fromkeys(each.series for _, panel in panels for each in panel))
    height = 2.0 + max(2, len(rows)) * max(0.34, 0.16 * (len(series) + 0.6))
    figure = frame(height, title, subtitle, stamp)
    if not rows:
        explain_absence(figure.add_subplot(), "nothing was retrieved")
        return figure
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for place, (name, panel) in enumerate(panels):
        for each in panel:
            _dot(axes[place], each, rows.index(each.row), series)
        _dress(axes[place], rows, name)
    most = max(max(each.value, each.high if np.isfinite(each.high) else 0) for each in
               (one for _, panel in panels for one in panel))  # fmt: skip
    handles, names = axes[0].get_legend_handles_labels()
    known = dict(zip(names, handles, strict=True))
    known["chance"] = known.pop("chance")  # last, after the series
    axes[0].legend(
        list(known.values()), list(known), loc="lower left", bbox_to_anchor=(0, 1.0),
        ncols=len(known),
    ).set_in_layout(False)  # fmt: skip
    for place in axes:
        place.set_title(" ", fontsize=11)  # room for the legend, which spans all panels
        place.set_xlim(-0.02 * most, min(1.02, 1.15 * most))
    return figure


def _dot(axes: Axes, each: Accuracy, row: int, series: Sequence[str]) -> None:
    place = series.index(each.series)
    y = row + (place - (len(series) - 1) / 2) * 0.7 / max(len(series), 2)
    colour = COLOURS[place % len(COLOURS)]
    if np.isfinite(each.low):
        axes.hlines(y, each.low, each.high, color=colour, linewidth=1.6, zorder=2)
    axes.plot(
        each.value, y, linestyle="", marker=MARKERS[place % len(MARKERS)], markersize=5,
        color=colour, markeredgecolor="white", markeredgewidth=0.6, zorder=3,
        label=legible(each.series),
    )  # fmt: skip
    axes.plot([each.chance] * 2, [y - 0.13, y + 0.13], color=MUTED, linewidth=1.4, label="chance")


def _dress(axes: Axes, rows: Sequence[str], name: str) -> None:
    axes.set_yticks(range(len(rows)), [legible(row) for row in rows])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(rows) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.set_xlabel(name)


@themed
def gallery_curve(
    curves: Sequence[Curve], stamp: Stamp, *, drawn: Sequence[tuple[int, float, int]], subtitle: str
) -> Figure:
    """Accuracy over the size of the gallery, on a logarithmic axis, with chance below.

    Parameters
    ----------
    drawn : (ways, accuracy, colour) of the published convention of some draws.
    """
    figure = frame(3.7, "Accuracy over the size of the gallery", subtitle, stamp)
    axes = figure.add_subplot()
    if not curves:
        explain_absence(axes, "nothing was retrieved")
        return figure
    for curve in curves:
        axes.plot(
            curve.ways, curve.accuracy, color=COLOURS[curve.colour],
            linestyle="--" if curve.dashed else "-", linewidth=1.6, label=legible(curve.name, 44),
        )  # fmt: skip
    ways = np.unique(np.concatenate([curve.ways for curve in curves]))
    axes.plot(ways, 1 / ways, color=MUTED, linewidth=1, linestyle=":", label="chance")
    for size, value, colour in drawn:
        axes.plot(size, value, marker="o", markersize=4.5, markerfacecolor="white",
                  markeredgecolor=COLOURS[colour], linestyle="")  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks(ways, [f"{int(size)}" for size in ways])
    axes.minorticks_off()
    axes.set_ylim(-0.02, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, 0))
    axes.set_xlabel("Images in the gallery")
    axes.set_ylabel("Found first")
    axes.legend(loc="best")  # curves fall, but those of a good decoder fill the upper right
    return figure


@themed
def retrieved_pictures(
    queries: Sequence[Query], stamp: Stamp, *, subtitle: str, title: str = "What was retrieved"
) -> Figure:
    """A row for each brain: the picture that was seen, then the nearest of the gallery.

    A blue frame marks the picture that was seen wherever it was retrieved.
    """
    columns = max((len(query.found) for query in queries), default=0)
    if not columns:
        figure = frame(1.6, title, subtitle, stamp)
        explain_absence(figure.add_subplot(), "no pictures were kept")
        return figure
    side = min(1.05, (WIDTH - 0.55) / (columns + 1) - _GAP)
    line = side + 0.2
    height = 1.12 + line * len(queries)
    figure = frame(height, title, subtitle, stamp)
    figure.set_layout_engine("none")
    figure.text(0.1 / WIDTH, 1 - 0.68 / height, "seen", fontsize=7.5, color=MUTED)
    left = 0.1 + side + 0.3
    figure.text(left / WIDTH, 1 - 0.68 / height, "retrieved, the nearest first", fontsize=7.5,
                color=MUTED)  # fmt: skip
    for row, query in enumerate(queries):
        top = 0.74 + line * row
        _picture(figure, query.seen, query.caption, (0.1, top, side), RULE)
        for place, (picture, caption) in enumerate(zip(query.found, query.captions, strict=True)):
            colour = BLUE if place == query.own else RULE
            _picture(figure, picture, caption, (left + (side + _GAP) * place, top, side), colour)
    return figure


def _picture(
    figure: Figure,
    picture: NDArray[np.uint8],
    caption: str,
    place: tuple[float, float, float],
    colour: str,
) -> None:
    height = figure.get_size_inches()[1]
    left, top, side = place
    axes = figure.add_axes((left / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height))
    axes.imshow(picture)
    axes.set_axis_off()
    axes.add_patch(
        Rectangle((0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=colour,
                  linewidth=3 if colour == BLUE else 0.8, clip_on=False)
    )  # fmt: skip
    axes.text(0.5, -0.03, legible(caption, 24), transform=axes.transAxes, ha="center", va="top",
              fontsize=6.2, color=MUTED)  # fmt: skip


@themed
def pairing(
    similarity: Floats,
    null: Floats,
    observed: float,
    stamp: Stamp,
    *,
    title: str,
    subtitle: str,
    unit: str,
) -> Figure:
    """A small matrix of brains by images, and the statistic of its pairs among random pairings."""
    figure = frame(3.7, title, subtitle, stamp)
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    most = float(np.nanmax(np.abs(similarity))) if similarity.size else 1.0
    drawn = left.imshow(similarity, cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto")
    left.grid(visible=False)
    brains, gallery = similarity.shape
    left.set_xlabel(f"{gallery} in the gallery; pairs on the diagonal")
    left.set_ylabel(f"{brains} brains, averaged over trials")
    left.set_xticks([])
    left.set_yticks([])
    bar = figure.colorbar(drawn, ax=left, pad=0.03)
    bar.set_label("Cosine, centred")
    bar.outline.set_visible(False)
    _null(right, null, observed)
    right.set_xlabel(unit)
    right.set_ylabel("Random pairings")
    return figure


def _null(axes: Axes, null: Floats, observed: float) -> None:
    """Random pairings, and the true one with its name on the side that has room."""
    axes.hist(null, bins=int(np.clip(len(null) // 25, 8, 40)), color=PALE)
    axes.axvline(observed, color=ORANGE, linewidth=2)
    axes.margins(y=0.15)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    right = bool(len(null)) and observed < float(np.median(null))
    axes.annotate(
        "as paired", (observed, 0.97), xycoords=("data", "axes fraction"),
        xytext=(4 if right else -4, 0), textcoords="offset points",
        ha="left" if right else "right", va="top", color=ORANGE, fontsize=8,
    )  # fmt: skip
