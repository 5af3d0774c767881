"""Figures of captions: nouns by region beside chance, classes of nouns, colours of weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from neuroattn.figures.theme import (
    BLUE,
    BOTTOM,
    INK,
    MUTED,
    ORANGE,
    PALE,
    RULE,
    TOP,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

# Of nouns; light and dark alternate, so that neighbours in a bar differ in grey too.
CLASS_COLOURS: Mapping[str, str] = {
    "person": "#c8553d", "face": "#f2a68c", "body": "#7d2e1f", "animal": "#3d8b6d",
    "food": "#e0b13c", "vehicle": "#2a6592", "place": "#9cc3a5", "word": "#8a5a96",
    "nature": "#4f6b2e", "sport": "#8fb8d8", "clothing": "#d9a5c7", "furniture": "#a98467",
    "object": "#b9c0c7", "other": "#dfe3e6",
}  # fmt: skip
BELOW = "#f4efe2"  # a target below the gate: has data, has no caption
_PANELS = 3
_IN_A_ROW = 7  # marks of a legend


@dataclass(frozen=True, eq=False)
class Nouns:
    """The nouns of one group of targets.

    Parameters
    ----------
    name : of the group; count : its targets.
    nouns : (nouns,) best first; share, low, high, chance, null : (nouns,) shares of captions.
    """

    name: str
    count: int
    nouns: Sequence[str]
    kinds: Sequence[str]
    share: Floats
    low: Floats
    high: Floats
    chance: Floats
    null: Floats


@themed
def noun_bars(groups: Sequence[Nouns], stamp: Stamp, *, note: str = "") -> Figure:
    """A panel for each group: bars of its nouns with intervals, a tick at chance, one at nulls.

    Parameters
    ----------
    note : what the intervals are over.
    """
    rows = max(1, -(-len(groups) // _PANELS))
    most = max([len(group.nouns) for group in groups], default=1)
    height = 1.75 + rows * (0.42 + 0.16 * max(most, 3))
    figure = frame(height, "Nouns of the captions by region", note, stamp)
    if not groups:
        explain_absence(figure.add_subplot(), "no target was captioned")
        return figure
    panels = figure.subplots(rows, _PANELS, sharex=True, squeeze=False).ravel()
    for axes, group in zip(panels, groups, strict=False):
        _bars(axes, group, most)
    for axes in panels[len(groups) :]:
        axes.set_axis_off()
    for axes in panels[max(0, len(groups) - _PANELS) : len(groups)]:
        axes.tick_params(labelbottom=True)
    _key_of_bars(figure, groups)
    return figure


def _bars(axes: Axes, group: Nouns, most: int) -> None:
    rows = np.arange(len(group.nouns))
    colours = [CLASS_COLOURS.get(kind, CLASS_COLOURS["other"]) for kind in group.kinds]
    axes.barh(rows, group.share, height=0.68, color=colours, zorder=2)
    known = np.isfinite(group.low) & np.isfinite(group.high)
    axes.hlines(rows[known], group.low[known], group.high[known], color=INK, linewidth=1, zorder=4)
    for values, colour, style in ((group.chance, INK, (0, (1, 0))), (group.null, ORANGE, ":")):
        axes.vlines(
            values, rows - 0.42, rows + 0.42, color=colour, linewidth=1.3, linestyle=style, zorder=5
        )
    axes.set_yticks(rows, [legible(noun, 16) for noun in group.nouns])
    axes.tick_params(axis="y", length=0, labelcolor=INK, labelsize=7)
    axes.tick_params(axis="x", labelsize=7)
    axes.set(xlim=(0, 1), ylim=(max(most, 3) - 0.4, -0.6))
    axes.grid(axis="y", visible=False)
    axes.set_title(f"{legible(group.name, 22)}, n = {group.count:,}", loc="left", fontsize=8, pad=3)


def _key_of_bars(figure: Figure, groups: Sequence[Nouns]) -> None:
    kinds = {kind for group in groups for kind in group.kinds}
    marks: list[Any] = [
        Line2D([], [], color=colour, linewidth=6, label=name)
        for name, colour in CLASS_COLOURS.items()
        if name in kinds
    ]
    marks += [
        Line2D([], [], color=INK, linewidth=1, label="share of captions: 95 %"),
        Line2D([], [], color=INK, marker="|", linestyle="", markersize=9, label="chance (bank)"),
        Line2D([], [], color=ORANGE, linestyle=":", label="null targets"),
    ]
    _legend(figure, marks)


def _legend(figure: Figure, marks: Sequence[Any]) -> None:
    """A legend in rows of `_IN_A_ROW` between the panels and the line of provenance."""
    height = float(figure.get_size_inches()[1])
    bottom = BOTTOM / height
    rows = -(-len(marks) // _IN_A_ROW)
    engine: Any = figure.get_layout_engine()
    low = bottom + (0.17 * rows + 0.1) / height
    engine.set(rect=(0.012, low, 0.976, 1 - TOP / height - low))
    figure.legend(
        handles=list(marks), loc="lower left", bbox_to_anchor=(0.012, bottom), ncols=_IN_A_ROW,
        fontsize=7, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip


@themed
def class_bars(
    groups: Sequence[str],
    counts: Sequence[int],
    shares: Mapping[str, Floats],
    stamp: Stamp,
    *,
    subtitle: str = "",
) -> Figure:
    """Stacked bars: classes of the nouns of each group; the bank and null targets among them.

    Parameters
    ----------
    counts : (groups,) targets, 0 for a group that has none (the bank).
    shares : class -> (groups,), adding up to 1 in each group.
    """
    height = 2.0 + 0.23 * max(len(groups), 3)
    figure = frame(height, "Classes of nouns by region", subtitle, stamp)
    axes = figure.add_subplot()
    if not groups:
        explain_absence(axes, "no target was captioned")
        return figure
    places, start = np.arange(len(groups)), np.zeros(len(groups))
    for name, values in shares.items():
        width = np.nan_to_num(values)
        if width.max(initial=0) > 0:
            axes.barh(
                places, width, left=start, height=0.7, color=CLASS_COLOURS.get(name, RULE),
                edgecolor="white", linewidth=0.5, label=name,
            )  # fmt: skip
        start = start + width
    told = [
        legible(f"{name} ({count:,})" if count else name, 30)
        for name, count in zip(groups, counts, strict=True)
    ]
    axes.set_yticks(places, told)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(xlim=(0, 1), ylim=(len(groups) - 0.45, -0.55), xlabel="Share of nouns")
    axes.grid(visible=False)
    _legend(figure, axes.get_legend_handles_labels()[0])
    return figure


@themed
def stability(
    groups: Mapping[str, tuple[Floats, Floats]],
    stamp: Stamp,
    *,
    subtitle: str = "",
) -> Figure:
    """How alike the captions of several draws are, and how few bank items make an embedding.

    Parameters
    ----------
    groups : name -> (stability, effective number of bank items), each (targets,); the null
        targets are a group of their own.
    """
    figure = frame(2.75, "How sure the captions are", subtitle, stamp)
    left, right = figure.subplots(1, 2)
    colours = (BLUE, ORANGE, PALE, MUTED)
    for (name, (alike, items)), colour in zip(groups.items(), colours, strict=False):
        _cumulative(left, alike, colour, name)
        _cumulative(right, items, colour, name)
    left.set(xlabel="Stability over draws of the bank (cosine)", ylabel="Share of targets")
    right.set(xlabel="Effective number of bank items", xscale="log")
    for axes in (left, right):
        axes.set_ylim(0, 1.02)
    right.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _legend(figure, left.get_legend_handles_labels()[0])
    return figure


def _cumulative(axes: Axes, values: Floats, colour: str, name: str) -> None:
    known = np.sort(values[np.isfinite(values)])
    if known.size:
        share = np.arange(1, known.size + 1) / known.size
        label = f"{legible(name)} (n = {known.size:,})"
        axes.step(known, share, where="post", color=colour, linewidth=1.6, label=label)


@themed
def verified_bars(
    rows: Sequence[tuple[str, str, float, float, float]], stamp: Stamp, *, subtitle: str = ""
) -> Figure:
    """Scores of true captions beside those dealt to other targets, with intervals.

    Parameters
    ----------
    rows : (measure, captions, value, low, high).
    """
    height = 1.75 + 0.26 * max(len(rows), 3)
    figure = frame(height, "Captions against responses to test images", subtitle, stamp)
    axes = figure.add_subplot()
    if not rows:
        explain_absence(axes, "nothing was verified")
        return figure
    places = np.arange(len(rows))
    colour = {"true": BLUE, "shuffled": MUTED, "difference": ORANGE}
    for place, (_, which, value, low, high) in zip(places, rows, strict=True):
        shade = colour.get(which, INK)
        axes.hlines(place, low, high, color=shade, linewidth=2)
        axes.plot([value], [place], "o", color=shade, markeredgecolor="white", markersize=6)
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(places, [f"{legible(one)}: {legible(which)}" for one, which, *_ in rows])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set(ylim=(len(rows) - 0.45, -0.55), xlabel="Spearman's correlation, mean over targets")
    axes.grid(axis="y", visible=False)
    return figure
