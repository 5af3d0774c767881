"""Figures of synthesis: grids of pictures, every region to every set, scale against the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from neuroattn.figures.comparison import COLOURS, MARKERS
from neuroattn.figures.theme import (
    BOTTOM,
    INK,
    MUTED,
    ORANGE,
    RULE,
    TOP,
    WIDTH,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

_LEFT, _GAP, _TOP = 1.32, 0.05, 0.76  # inches: room for labels, between pictures, for the title
_NUMBER, _APART = 0.17, 0.1  # inches for a picture's value, and between groups of strips
_LARGEST = 0.95  # inches of a picture's side
_PANELS, _LEGEND = 2, 0.3  # curves abreast; inches of what stands above them


@dataclass(frozen=True, eq=False)
class Strip:
    """One row of a grid.

    Parameters
    ----------
    name, note : what the pictures are, and how they were chosen.
    pictures : (height, width, 3) uint8 each, in the order shown.
    values : predicted activation of each, printed under it; may be empty.
    marked : draw it as the main row.
    apart : leave room above it: it starts another group.
    """

    name: str
    note: str
    pictures: Sequence[NDArray[np.uint8]]
    values: Sequence[float] = ()
    marked: bool = False
    apart: bool = False


@themed
def picture_grid(strips: Sequence[Strip], stamp: Stamp, *, title: str, subtitle: str) -> Figure:
    """Rows of pictures with what they are on the left and their values below."""
    columns = max((len(strip.pictures) for strip in strips), default=0)
    if not columns:
        figure = frame(1.6, title, subtitle, stamp)
        explain_absence(figure.add_subplot(), "no picture was made")
        return figure
    side = min(_LARGEST, (WIDTH - _LEFT - 0.1) / columns - _GAP)
    step = side + _NUMBER + _GAP
    height = _TOP + step * len(strips) + _APART * sum(s.apart for s in strips) + 0.3
    figure = frame(height, title, subtitle, stamp)
    figure.set_layout_engine("none")
    top = _TOP
    for strip in strips:
        top += _APART * strip.apart
        _label(figure, strip, top, side, height)
        for column, picture in enumerate(strip.pictures):
            left = _LEFT + (side + _GAP) * column
            box = (left / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height)
            _show(figure.add_axes(box), picture, strip, column)
        top += step
    return figure


def _label(figure: Figure, strip: Strip, top: float, side: float, height: float) -> None:
    middle = 1 - (top + side / 2) / height
    weight, colour = ("bold", ORANGE) if strip.marked else ("bold", INK)
    figure.text(
        0.012, middle + 0.04 / height, legible(strip.name, 19), fontsize=8, fontweight=weight,
        color=colour, va="bottom",
    )  # fmt: skip
    figure.text(
        0.012, middle - 0.02 / height, legible(strip.note, 27), fontsize=6.5, color=MUTED, va="top"
    )


def _show(axes: Axes, picture: NDArray[np.uint8], strip: Strip, column: int) -> None:
    axes.imshow(picture, interpolation="nearest" if picture.shape[0] < 48 else "antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set(visible=True, color=ORANGE if strip.marked else RULE, linewidth=0.8)
    if column < len(strip.values) and np.isfinite(strip.values[column]):
        axes.text(
            0.5, -0.03, f"{strip.values[column]:.2f}".replace("-", "\N{MINUS SIGN}"),
            transform=axes.transAxes, ha="center", va="top", fontsize=6.5, color=MUTED,
        )  # fmt: skip


@themed
def activation_matrix(
    sets: Sequence[str],
    regions: Sequence[str],
    values: Floats,
    own: NDArray[np.bool_],
    stamp: Stamp,
    *,
    title: str = "Every region to every set of pictures",
    subtitle: str,
    unit: str,
) -> Figure:
    """A cell for each set (rows) and region (columns); the region that was asked for is framed.

    Parameters
    ----------
    values : (sets, regions), NaN where unknown; own : (sets, regions) what was asked for.
    """
    height = 1.75 + 0.27 * max(len(sets), 3)
    figure = frame(height, title, subtitle, stamp)
    axes = figure.add_subplot()
    if not sets or not regions:
        explain_absence(axes, "there is no set of pictures")
        return figure
    reach = float(np.nanmax(np.abs(values))) if np.isfinite(values).any() else 1.0
    image = axes.imshow(
        values, cmap=mpl.colormaps["RdBu_r"], vmin=-reach, vmax=reach, aspect="auto"
    )
    small = len(regions) > 14
    for row, column in np.argwhere(np.isfinite(values)):
        value = float(values[row, column])
        axes.text(
            column, row, _short(value), ha="center", va="center",
            fontsize=5.5 if small else 7, color="white" if abs(value) > 0.62 * reach else INK,
        )  # fmt: skip
    for row, column in np.argwhere(own):
        axes.add_patch(
            Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor=INK, linewidth=1.6)
        )
    axes.set_xticks(range(len(regions)), [legible(name, 14) for name in regions],
                    rotation=45 if len(regions) > 7 else 0,
                    ha="right" if len(regions) > 7 else "center")  # fmt: skip
    axes.set_yticks(range(len(sets)), [legible(name, 22) for name in sets])
    axes.tick_params(length=0, labelcolor=INK, labelsize=7.5)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=axes, fraction=0.035, pad=0.02)
    bar.set_label(unit, fontsize=7.5)
    bar.ax.tick_params(labelsize=7)
    bar.outline.set_visible(False)
    return figure


def _short(value: float) -> str:
    text = f"{value:.1f}"
    return "0.0" if text == "-0.0" else text.replace("-", "\N{MINUS SIGN}")


@dataclass(frozen=True, eq=False)
class Curve:
    """One measure against the scale, for each objective; low and high may be NaN."""

    name: str
    scales: Floats
    values: Mapping[str, Floats]
    low: Mapping[str, Floats] = field(default_factory=dict)
    high: Mapping[str, Floats] = field(default_factory=dict)
    level: float | None = None  # a limit, drawn dashed


@themed
def scale_curves(
    curves: Sequence[Curve],
    chosen: Mapping[str, float],
    stamp: Stamp,
    *,
    title: str = "Activation, realism and diversity against the scale of guidance",
    subtitle: str,
) -> Figure:
    """A panel for each measure, a line for each objective; 0 is no guidance.

    Parameters
    ----------
    chosen : objective -> the scale that was chosen, on other seeds; marked by a ring.
    """
    rows = max(1, -(-len(curves) // _PANELS))
    height = 1.2 + _LEGEND + 2.0 * rows
    figure = frame(height, title, subtitle, stamp)
    if not curves:
        explain_absence(figure.add_subplot(), "no scale was tried")
        return figure
    panels = figure.subplots(rows, _PANELS, squeeze=False).ravel()
    for axes, curve in zip(panels, curves, strict=False):
        _curve(axes, curve, chosen)
    for axes in panels[len(curves) :]:
        axes.set_axis_off()
    # Above the panels and outside their layout, which would give its width to one of them.
    room = 1 - (TOP + _LEGEND + BOTTOM) / height
    figure.set_layout_engine(
        ConstrainedLayoutEngine(rect=(0.012, BOTTOM / height, 0.976, room), wspace=0.06)
    )
    handles, names = panels[0].get_legend_handles_labels()
    legend = figure.legend(
        handles, names, loc="upper left", ncols=4, bbox_to_anchor=(0.012, 1 - TOP / height)
    )
    legend.set_in_layout(False)
    return figure


def _curve(axes: Axes, curve: Curve, chosen: Mapping[str, float]) -> None:
    places = np.arange(len(curve.scales))
    for number, (name, values) in enumerate(curve.values.items()):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(
            places, values, color=colour, marker=MARKERS[number % len(MARKERS)], markersize=3.5,
            linewidth=1.2, label=legible(name, 22), zorder=3,
        )  # fmt: skip
        if name in curve.low:
            axes.fill_between(
                places, curve.low[name], curve.high[name], color=colour, alpha=0.15, linewidth=0
            )
        at = np.flatnonzero(curve.scales == chosen.get(name, np.nan))
        axes.plot(places[at], values[at], "o", markersize=9, markerfacecolor="none",
                  markeredgecolor=colour, zorder=4)  # fmt: skip
    if curve.level is not None:
        axes.axhline(curve.level, color=MUTED, linestyle="--", linewidth=0.9)
    axes.set_title(legible(curve.name, 48), loc="left", fontsize=8, pad=4)
    axes.set_xticks(places, [f"{scale:g}" for scale in curve.scales])
    axes.set_xlabel("Scale", fontsize=7.5)
    axes.tick_params(labelsize=7)
