"""Figures of single predictions: what was measured against what was predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from neuroattn.figures.theme import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]

HEXAGONS_ABOVE = 1500  # rows; points would overlap beyond recognition


@dataclass(frozen=True)
class Example:
    """One target: ``measured`` and ``predicted`` (test rows,), its ``r``, and why it is shown."""

    name: str
    role: str
    measured: Floats
    predicted: Floats
    r: float


@themed
def measured_against_predicted(
    examples: Sequence[Example],
    stamp: Stamp,
    *,
    title: str = "Measured against predicted responses",
    unit: str = "",
) -> Figure:
    """One panel for each example target: points, or hexagons where there are many rows.

    Parameters
    ----------
    unit : of the responses, for both axes. The dashed line is where both are equal.
    """
    rows = max((example.measured.size for example in examples), default=0)
    height = 3.4 if rows <= HEXAGONS_ABOVE else 3.9
    figure = frame(height, title, f"n = {rows:,} test rows in each panel; dashed: equality", stamp)
    if not examples:
        explain_absence(figure.add_subplot(), "no target has a defined score")
        return figure
    panels = figure.subplots(1, max(len(examples), 2), squeeze=False)[0]
    for axes, example in zip(panels, examples, strict=False):
        _draw_example(axes, example, unit)
    for axes in panels[len(examples) :]:
        axes.set_axis_off()
    panels[0].set_ylabel(_with_unit("Measured response", unit))
    return figure


def _draw_example(axes: Axes, example: Example, unit: str) -> None:
    both = np.isfinite(example.measured) & np.isfinite(example.predicted)
    measured, predicted = example.measured[both], example.predicted[both]
    if not measured.size:
        explain_absence(axes, "no finite response")
        return
    if measured.size > HEXAGONS_ABOVE:
        _draw_hexagons(axes, predicted, measured)
    else:
        axes.plot(
            predicted, measured, linestyle="", marker="o", markersize=2.8, color=BLUE, alpha=0.4,
            markeredgewidth=0,
        )  # fmt: skip
    _draw_equality(axes, predicted, measured)
    axes.set_xlabel(_with_unit("Predicted response", unit))
    axes.set_title(
        f"{legible(example.role, 24)}: {legible(example.name, 18)}\nr = {example.r:.3f}",
        loc="left", color=INK,
    )  # fmt: skip


def _draw_hexagons(axes: Axes, predicted: Floats, measured: Floats) -> None:
    shades = LinearSegmentedColormap.from_list("blue", ["#dbe8f1", BLUE, "#12344d"])
    drawn = axes.hexbin(predicted, measured, gridsize=28, mincnt=1, cmap=shades, linewidths=0.2)
    figure = axes.get_figure()
    if figure is not None:
        bar = figure.colorbar(drawn, ax=axes, location="bottom", aspect=30, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label("rows (count)", color=MUTED)


def _draw_equality(axes: Axes, predicted: Floats, measured: Floats) -> None:
    low = max(float(predicted.min()), float(measured.min()))
    high = min(float(predicted.max()), float(measured.max()))
    if low < high:
        axes.plot([low, high], [low, high], color=ORANGE, linewidth=1.1, linestyle=(0, (4, 3)))


def _with_unit(text: str, unit: str) -> str:
    lines = wrap(legible(unit, 54), 27) or ["unit not stated"]
    return "\n".join([text, "(" + lines[0], *lines[1:]]) + ")"
