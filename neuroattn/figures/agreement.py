"""Figures of two values of every target: what a model says against what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
Mask = np.ndarray[Any, np.dtype[np.bool_]]

ABREAST = 3  # panels in a row
_ROW, _HEAD = 2.5, 1.05  # inches of a row of panels, and of all that is none


@dataclass(frozen=True)
class Panel:
    """One cloud of targets.

    Parameters
    ----------
    title : what it shows, and how well both agree.
    x, y : (targets,) measured and found; NaN draws nothing.
    members : (targets,) targets of a region, which stand out; None marks none.
    x_label, y_label : what the axes are, with units.
    range_ : ends of both axes, of which the diagonal is drawn; None fits them.
    """

    title: str
    x: Floats
    y: Floats
    x_label: str
    y_label: str
    members: Mask | None = None
    range_: tuple[float, float] | None = None


@themed
def found_against_measured(
    panels: Sequence[Panel], stamp: Stamp, *, title: str, subtitle: str, member_name: str = ""
) -> Figure:
    """A panel for each pair of maps, `ABREAST` in a row, a point for every target.

    Parameters
    ----------
    member_name : what the targets are called that stand out.
    """
    rows = max(1, -(-len(panels) // ABREAST))
    figure = frame(_HEAD + _ROW * rows, title, subtitle, stamp)
    if not panels:
        explain_absence(figure.add_subplot(), "nothing was measured to compare with")
        return figure
    grid = figure.subplots(rows, min(ABREAST, max(len(panels), 2)), squeeze=False).ravel()
    for axes, panel in zip(grid, panels, strict=False):
        _draw(axes, panel, member_name)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    if any(panel.members is not None for panel in panels):
        grid[0].legend(loc="upper left", markerscale=1.6, handletextpad=0.2)
    return figure


def _draw(axes: Axes, panel: Panel, member_name: str) -> None:
    axes.set_title(legible(panel.title, 44), loc="left", color=INK)
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
    known = np.isfinite(panel.x) & np.isfinite(panel.y)
    if not known.any():
        explain_absence(axes, "no target is known in both")
        return
    inside = np.zeros(len(known), dtype=bool) if panel.members is None else panel.members
    others, members = known & ~inside, known & inside
    plain = BLUE if panel.members is None else PALE
    for rows, colour, name in ((others, plain, "other targets"), (members, ORANGE, member_name)):
        if rows.any():
            axes.plot(
                panel.x[rows], panel.y[rows], linestyle="", marker="o", markersize=2.4, alpha=0.5,
                color=colour, markeredgewidth=0, label=name,
            )  # fmt: skip
    if panel.range_ is not None:
        low, high = panel.range_
        axes.plot([low, high], [low, high], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.set_xlim(low, high)
        axes.set_ylim(low, high)
    else:
        axes.axhline(0, color=MUTED, linewidth=0.7, zorder=1)
