"""Figures that set models side by side: accuracy, differences and weights by region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neuroattn.figures.theme import (
    INK,
    MUTED,
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
) -> Figure:
    """Dots with intervals, a row of them for each region, one mark a series.

    Parameters
    ----------
    regions : names, from top to bottom.
    series : `MOST` at most, each with (regions,) values.
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
    _label(axes, regions)
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
    axes.set_xlabel("Weight")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
    return figure


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


def _label(axes: Axes, regions: Sequence[str]) -> None:
    axes.set_yticks(range(len(regions)), [legible(name) for name in regions])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(regions) - 0.45, -0.55)
    axes.set_ylabel("Region of interest")
    axes.grid(axis="y", visible=False)
