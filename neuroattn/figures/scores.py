"""Figures of scores: how they spread over targets, regions of interest, folds, penalties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuroattn.figures.theme import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PALE,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

VECTOR_POINTS = 4000  # above this, points are drawn as pixels inside the SVG
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Group:
    """Scores of one region: every target, and the mean with its interval over targets.

    ``scores`` (targets,); ``low`` and ``high`` are NaN where a single target gives none.
    """

    name: str
    scores: Floats
    mean: float
    low: float
    high: float


@themed
def score_histogram(
    scores: Floats,
    stamp: Stamp,
    *,
    title: str = "Prediction accuracy over targets",
    unit: str = "Pearson r, mean over folds",
) -> Figure:
    """Histogram of one score per target, with the median.

    Parameters
    ----------
    scores : (targets,), NaN where undefined; those are counted, not drawn.
    unit : label of the score axis.
    """
    known = scores[np.isfinite(scores)]
    figure = frame(2.9, title, f"{_n(known.size, 'target')}{_undefined(scores)}", stamp)
    axes = figure.add_subplot()
    if not known.size:
        explain_absence(axes, "no target has a defined score")
        return figure
    axes.hist(known, bins=_edges(known).tolist(), color=PALE, edgecolor="white", linewidth=0.6)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    _mark_median(axes, float(np.median(known)))
    axes.set(xlabel=f"Prediction accuracy ({unit})", ylabel="Targets (count)")
    axes.grid(axis="x", visible=False)
    axes.margins(x=0.01)
    return figure


@themed
def scores_by_roi(
    groups: Sequence[Group],
    stamp: Stamp,
    *,
    title: str = "Prediction accuracy by region of interest",
    unit: str = "Pearson r, mean over folds",
    level: str = "95 %",
    over: str = "targets",
) -> Figure:
    """Every target of every region as a point, and the region's mean with its interval.

    Regions stand from top to bottom in the order given. ``over`` says what the interval is
    over. Over targets it says how well the mean over these targets is known, not how it would
    change with other images or subjects.
    """
    height = 1.75 + 0.27 * max(len(groups), 4)  # the axis label needs its length
    subtitle = "n = targets in the row; a target counts in every region it belongs to"
    figure = frame(height, title, subtitle, stamp)
    axes = figure.add_subplot()
    if not groups:
        explain_absence(axes, "no region has a scored target")
        return figure
    dense = sum(group.scores.size for group in groups) > VECTOR_POINTS
    for row, group in enumerate(groups):
        _draw_group(axes, row, group, dense)
    axes.axvline(0, color=MUTED, linewidth=0.8, zorder=1)
    axes.set_yticks(range(len(groups)), [legible(group.name) for group in groups])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(groups) - 0.45, -0.55)
    axes.set_xlabel(f"Prediction accuracy ({unit})")
    axes.set_ylabel("Region of interest")
    axes.grid(axis="y", visible=False)
    _explain_marks(axes, f"{level} interval over {over}")
    return figure


@themed
def scores_by_fold(
    scores: Floats,
    stamp: Stamp,
    *,
    names: Sequence[str] = (),
    title: str = "Prediction accuracy by fold",
    unit: str = "Pearson r in the fold",
) -> Figure:
    """Spread of scores over targets within each fold.

    Parameters
    ----------
    scores : (folds, targets), NaN where undefined.
    names : one per fold; their numbers if empty.
    """
    folds, targets = scores.shape
    subtitle = f"{_n(targets, 'target')}, {folds} {'fold' if folds == 1 else 'folds'}"
    figure = frame(3.0, title, subtitle, stamp)
    axes = figure.add_subplot()
    if not np.isfinite(scores).any():
        explain_absence(axes, "no fold has a defined score")
        return figure
    for fold, row in enumerate(scores):
        _draw_spread(axes, fold, row[np.isfinite(row)])
    axes.axhline(0, color=MUTED, linewidth=0.8)
    labels = names or [str(fold) for fold in range(folds)]
    axes.set_xticks(range(folds), [legible(name, 14) for name in labels])
    middle, half = (folds - 1) / 2, max(folds, 5) / 2
    axes.set_xlim(middle - half, middle + half)
    axes.set(xlabel="Test fold", ylabel=f"Prediction accuracy\n({unit})")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=4)
    return figure


@themed
def penalty_distribution(
    penalties: Floats,
    stamp: Stamp,
    *,
    title: str = "Penalty chosen for each target",
    unit: str = "log10 of alpha",
) -> Figure:
    """How often each penalty was chosen; a pile at either end asks for a wider grid.

    Parameters
    ----------
    penalties : (targets,), positive; others are counted, not drawn.
    """
    known = penalties[np.isfinite(penalties) & (penalties > 0)]
    subtitle = f"{_n(known.size, 'target')}{_undefined(np.where(penalties > 0, penalties, np.nan))}"
    if known.size:
        lowest, highest = (float(np.mean(known == end)) for end in (known.min(), known.max()))
        subtitle += (
            f"; {100 * lowest:.0f} % at the smallest and {100 * highest:.0f} % at the largest value"
        )
    figure = frame(2.6, title, subtitle, stamp)
    axes = figure.add_subplot()
    if not known.size:
        explain_absence(axes, "no target has a positive penalty")
        return figure
    _draw_penalties(axes, np.log10(known))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.set(xlabel=f"Ridge penalty ({unit}, chosen on training images)", ylabel="Targets (count)")
    axes.grid(axis="x", visible=False)
    return figure


def _draw_group(axes: Axes, row: int, group: Group, dense: bool) -> None:
    known = group.scores[np.isfinite(group.scores)]
    # A low-discrepancy sequence spreads the points evenly and needs no random seed.
    spread = (np.arange(known.size) * _GOLDEN) % 1.0 - 0.5
    axes.plot(
        known, row + 0.56 * spread, linestyle="", marker="o", markersize=_point_size(known.size),
        color=BLUE, alpha=0.35, markeredgewidth=0, rasterized=dense, zorder=2,
    )  # fmt: skip
    if np.isfinite(group.low):
        axes.plot([group.low, group.high], [row, row], color=ORANGE, linewidth=2.2, zorder=3)
    axes.plot(
        [group.mean], [row], marker="D", markersize=5, color=ORANGE, markeredgecolor="white",
        markeredgewidth=0.8, linestyle="", zorder=4,
    )  # fmt: skip
    axes.annotate(
        f"n = {known.size:,}", (1.0, row), xycoords=("axes fraction", "data"), xytext=(4, 0),
        textcoords="offset points", va="center", fontsize=7.5, color=MUTED,
    )  # fmt: skip


def _explain_marks(axes: Axes, interval: str) -> None:
    axes.plot(
        [], [], "o", color=BLUE, alpha=0.6, markersize=4, markeredgewidth=0, label="one target"
    )
    axes.plot([], [], "D", color=ORANGE, markersize=5, markeredgecolor="white", label="mean")
    axes.plot([], [], color=ORANGE, linewidth=2.2, label=interval)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3)


def _draw_spread(axes: Axes, fold: int, known: Floats) -> None:
    if not known.size:
        return
    low, first, middle, third, high = np.percentile(known, [5, 25, 50, 75, 95])
    hide = "_" if fold else ""  # matplotlib leaves labels with an underscore out of the legend
    axes.plot([fold, fold], [low, high], color=BLUE, linewidth=1.2, label=f"{hide}5 to 95 %")
    axes.plot(
        [fold, fold], [first, third], color=PALE, linewidth=12, solid_capstyle="butt",
        label=f"{hide}middle half of targets",
    )  # fmt: skip
    axes.plot(
        [fold - 0.12, fold + 0.12], [middle, middle], color=BLUE, linewidth=2.4,
        label=f"{hide}median",
    )  # fmt: skip
    axes.plot(
        [fold], [float(np.mean(known))], marker="D", markersize=5, color=ORANGE, linestyle="",
        markeredgecolor="white", markeredgewidth=0.8, label=f"{hide}mean", zorder=4,
    )  # fmt: skip
    axes.annotate(
        f"{np.mean(known):.3f}", (fold, float(np.mean(known))), xytext=(15, 0), va="center",
        textcoords="offset points", fontsize=7.5, color=MUTED,
    )  # fmt: skip


def _draw_penalties(axes: Axes, exponents: Floats) -> None:
    values, counts = np.unique(np.round(exponents, 6), return_counts=True)
    if values.size > 40:  # not a grid: a continuous penalty
        axes.hist(exponents, bins=30, color=PALE, edgecolor="white", linewidth=0.6)
        return
    width = 0.8 * (float(np.diff(values).min()) if values.size > 1 else 0.5)
    axes.bar(values, counts, width=width, color=PALE)
    if values.size <= 12:
        axes.set_xticks(values, [f"{value:.3g}".replace("-", "\N{MINUS SIGN}") for value in values])
    if values.size == 1:
        axes.set_xlim(float(values[0]) - 2, float(values[0]) + 2)


def _mark_median(axes: Axes, median: float) -> None:
    axes.axvline(median, color=ORANGE, linewidth=1.6)
    axes.annotate(
        f"median {median:.3f}", (median, 1.0), xycoords=("data", "axes fraction"), xytext=(0, 3),
        textcoords="offset points", ha="center", va="bottom", color=ORANGE, fontsize=8,
    )  # fmt: skip


def _edges(values: Floats) -> Floats:
    """Bin edges on round numbers that include 0, so that no bin mixes signs."""
    width = 0.05 if values.size < 400 else 0.025 if values.size < 6000 else 0.01
    first = np.floor(values.min() / width)
    last = max(np.ceil(values.max() / width), first + 1)
    edges: Floats = np.arange(first, last + 1) * width
    return edges


def _point_size(count: int) -> float:
    return 3.6 if count < 150 else 2.6 if count < 1500 else 1.6


def _n(count: int, what: str) -> str:
    return f"n = {count:,} {what}{'' if count == 1 else 's'}"


def _undefined(scores: Floats) -> str:
    missing = int(np.sum(~np.isfinite(scores)))
    return f", {missing:,} more undefined and not drawn" if missing else ""
