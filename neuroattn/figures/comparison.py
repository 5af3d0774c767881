"""Figures that set models side by side: accuracy, differences and weights by region."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from neuroattn.figures.theme import (
    BOTTOM,
    INK,
    MUTED,
    TOP,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

# Colour-blind safe in this order (Okabe & Ito); markers differ as well, for a grey print.
COLOURS = ("#2a6592", "#b95116", "#3d8b6d", "#8a5a96", "#a07b00", "#5b6773")
MARKERS = ("o", "D", "s", "^", "v", "P")
MOST = len(COLOURS)
LONGEST = 28  # characters of a row's name
_ABREAST = 3  # panels of curves in a row
_LEGEND = 0.3  # inches
_APART = 0.5  # of labels, as a step of the logarithm
_ROW, _HEAD = 0.13, 1.9  # inches of one mark, and of all that is no row


@dataclass(frozen=True)
class Series:
    """One model, or one difference: a value with an interval in each region; NaN draws nothing."""

    name: str
    value: Floats
    low: Floats
    high: Floats


@themed
def values_by_region(
    regions: Sequence[str],
    series: Sequence[Series],
    stamp: Stamp,
    *,
    title: str,
    subtitle: str,
    unit: str,
    rows_are: str = "Region of interest",
    longest: int = LONGEST,
) -> Figure:
    """Dots with intervals, a row of them for each region, one mark a series.

    Parameters
    ----------
    regions : names, from top to bottom.
    series : `MOST` at most, each with (regions,) values.
    longest : characters of a name before it is cut.
    """
    shown = list(series)[:MOST]
    rows = max(len(regions), 2)
    height = _HEAD + rows * max(0.27, _ROW * (len(shown) + 0.6)) + 0.18 * ((len(shown) - 1) // 3)
    figure = frame(height, title, subtitle, stamp)
    axes = figure.add_subplot()
    if not regions or not shown:
        explain_absence(axes, "nothing is compared")
        return figure
    offsets = (np.arange(len(shown)) - (len(shown) - 1) / 2) * 0.78 / max(len(shown), 2)
    for place, each in enumerate(shown):
        _draw(axes, each, np.arange(len(regions)) + offsets[place], place)
    for row in range(1, len(regions), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#f5f7f9", zorder=0)
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    _label(axes, regions, longest)
    axes.set_ylabel(rows_are)
    axes.set_xlabel(unit)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)
    return figure


@themed
def weights_by_region(
    regions: Sequence[str],
    members: Sequence[str],
    weights: Floats,
    stamp: Stamp,
    *,
    title: str = "What each member weighs in the ensemble",
    unit: str = "Weight",
) -> Figure:
    """Stacked bars that add up to 1: the mean weight of each member in each region.

    Parameters
    ----------
    weights : (members, regions), NaN where a region has no target.
    """
    height = _HEAD + 0.27 * max(len(regions), 3)
    figure = frame(height, title, "mean over the region's targets and over folds", stamp)
    axes = figure.add_subplot()
    if not regions or not members:
        explain_absence(axes, "there is no ensemble")
        return figure
    start, places = np.zeros(len(regions)), np.arange(len(regions))
    for index, name in enumerate(members):
        width = np.nan_to_num(weights[index])
        # Beyond six members colours come again, each time paler.
        axes.barh(
            places, width, left=start, height=0.62, color=COLOURS[index % MOST],
            alpha=max(0.35, 1 - 0.3 * (index // MOST)), edgecolor="white", linewidth=0.6,
            label=legible(name),
        )  # fmt: skip
        start = start + width
    _label(axes, regions)
    axes.set_xlim(0, 1)
    axes.set_xlabel(unit)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
    return figure


@dataclass(frozen=True)
class Growth:
    """One curve: a value with its interval at each number of training images, ascending.

    ``marked`` tells points that stand out, such as one session alone.
    """

    name: str
    images: Floats
    value: Floats
    low: Floats
    high: Floats
    marked: np.ndarray[Any, np.dtype[np.bool_]]


@themed
def learning_curves(
    panels: Mapping[str, Sequence[Growth]], stamp: Stamp, *, subtitle: str, mark: str = ""
) -> Figure:
    """Accuracy over the number of training images, a panel for each region, one axis of r.

    Parameters
    ----------
    panels : curves by region, `MOST` at most in each.
    mark : what the open marks are.
    """
    columns = min(_ABREAST, max(len(panels), 2))
    rows = max(1, -(-len(panels) // columns))
    title = "Accuracy over the number of training images"
    height = 1.2 + _LEGEND + 2.2 * rows
    figure = frame(height, title, subtitle, stamp)
    if not panels:
        explain_absence(figure.add_subplot(), "all encoders had as many training images")
        return figure
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes, (name, curves) in zip(grid.ravel(), panels.items(), strict=False):
        axes.set_title(legible(name, 34), loc="left", color=INK)
        for place, curve in enumerate(list(curves)[:MOST]):
            _draw_growth(axes, curve, place, mark)
        axes.set_xscale("log")
        axes.axhline(0, color=MUTED, linewidth=0.7, zorder=1)
    _label_growth(grid, panels)
    for axes in grid.ravel()[len(panels) :]:
        axes.set_axis_off()
    handles: dict[str, Any] = {}
    for axes in grid.ravel():
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    if mark in handles:
        handles[mark] = handles.pop(mark)  # last, after every curve
    # Above the panels and outside their layout, which would give its width to one of them.
    figure.set_layout_engine(ConstrainedLayoutEngine(rect=_room(height, _LEGEND)))
    legend = figure.legend(
        handles.values(), handles.keys(), loc="upper left", ncols=5,
        bbox_to_anchor=(0.012, 1 - TOP / height),
    )  # fmt: skip
    legend.set_in_layout(False)
    return figure


def _room(height: float, legend: float) -> tuple[float, float, float, float]:
    """Where panels lie below a legend of some height in inches, see `frame`."""
    return (0.012, BOTTOM / height, 0.976, 1 - (TOP + legend + BOTTOM) / height)


def _draw_growth(axes: Axes, curve: Growth, place: int, mark: str) -> None:
    colour = COLOURS[place]
    known = np.isfinite(curve.low) & np.isfinite(curve.high)
    axes.vlines(
        curve.images[known], curve.low[known], curve.high[known], color=colour, linewidth=1.4
    )
    joined = ~curve.marked
    axes.plot(
        curve.images[joined], curve.value[joined], marker=MARKERS[place], markersize=4.4,
        color=colour, linewidth=1.2, markeredgecolor="white", markeredgewidth=0.6,
        label=legible(curve.name),
    )  # fmt: skip
    if curve.marked.any():
        axes.plot(
            curve.images[curve.marked], curve.value[curve.marked], linestyle="",
            marker=MARKERS[place], markersize=5.4, markerfacecolor="white", color=colour,
            label=mark,
        )  # fmt: skip


def _label_growth(grid: Any, panels: Mapping[str, Sequence[Growth]]) -> None:
    """Ticks at the numbers of images that there are, and one label a side."""
    counts = np.unique(np.concatenate([c.images for curves in panels.values() for c in curves]))
    shown = counts[np.concatenate([[True], np.diff(np.log(counts)) > _APART])]
    for axes in grid.ravel():
        axes.set_xlim(counts[0] / 1.15, counts[-1] * 1.15)
        axes.set_xticks(shown, [f"{count:,.0f}" for count in shown])
        axes.minorticks_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("Pearson r")
    for axes in grid[-1]:
        axes.set_xlabel("Training images")


def _draw(axes: Axes, series: Series, rows: Floats, place: int) -> None:
    colour = COLOURS[place]
    known = np.isfinite(series.low) & np.isfinite(series.high)
    axes.hlines(
        rows[known], series.low[known], series.high[known], color=colour, linewidth=1.6, zorder=2
    )
    axes.plot(
        series.value, rows, linestyle="", marker=MARKERS[place], markersize=4.6, color=colour,
        markeredgecolor="white", markeredgewidth=0.6, zorder=3, label=legible(series.name),
    )  # fmt: skip


def _label(axes: Axes, regions: Sequence[str], longest: int = LONGEST) -> None:
    axes.set_yticks(range(len(regions)), [legible(name, longest) for name in regions])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(regions) - 0.45, -0.55)
    axes.set_ylabel("Region of interest")
    axes.grid(axis="y", visible=False)
