"""How a training went: loss and selection score over epochs, a line for each fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from neuroattn.figures.theme import BLUE, MUTED, ORANGE, Stamp, explain_absence, frame, themed

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


@dataclass(frozen=True)
class Curve:
    """One fold: ``epoch``, training ``loss`` and ``selection`` score (epochs,), NaN if not taken.

    ``best`` is the epoch whose weights were kept.
    """

    name: str
    epoch: Floats
    loss: Floats
    selection: Floats
    best: float


@themed
def training_curves(
    curves: Sequence[Curve],
    stamp: Stamp,
    *,
    title: str = "Training",
    score: str = "r on selection images",
) -> Figure:
    """Loss on the left, selection score on the right; a ring marks the epoch that was kept."""
    folds = f"{len(curves)} {'fold' if len(curves) == 1 else 'folds'}"
    figure = frame(3.0, title, f"{folds}; ring: the epoch that was kept", stamp)
    if not curves:
        explain_absence(figure.add_subplot(), "no training was recorded")
        return figure
    left, right = figure.subplots(1, 2)
    for curve in curves:
        _line(left, curve.epoch, curve.loss, BLUE)
        _line(right, curve.epoch, curve.selection, ORANGE)
        kept = curve.epoch == curve.best
        right.plot(
            curve.epoch[kept], curve.selection[kept], "o", markersize=5, markerfacecolor="white",
            markeredgecolor=ORANGE, zorder=3,
        )  # fmt: skip
    for axes, label in ((left, "Training loss"), (right, score)):
        axes.set(xlabel="Epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
        axes.grid(axis="x", visible=False)
    right.axhline(0, color=MUTED, linewidth=0.6, zorder=0)
    return figure


def _line(axes: Axes, epoch: Floats, values: Floats, colour: str) -> None:
    known = np.isfinite(values)
    axes.plot(
        epoch[known], values[known], color=colour, linewidth=1.3, alpha=0.8,
        marker="." if known.sum() < 2 else "",
    )  # fmt: skip
