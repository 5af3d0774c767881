"""Figures of a blur prior: who was uncertain, and with which pictures pairs were matched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

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

Floats = NDArray[np.floating[Any]]
_BINS = 48
_WIDEST = 6.0  # deviations that are drawn; what lies beyond stands in the last bar


@dataclass(frozen=True, eq=False)
class Pair:
    """One pair: pictures (2, side, side, 3) as shown and as blurred, and what is said below."""

    pictures: NDArray[np.uint8]
    text: str


@themed
def uncertainties(z: Floats, bound: float, stamp: Stamp, subtitle: str) -> Figure:
    """Histogram of uncertainties, in deviations of their subject, with what is flagged.

    Parameters
    ----------
    z : (pairs,), NaN where nothing is known.
    bound : beyond it a pair is blurred more, or less.
    """
    figure = frame(3.0, "How uncertain the pairs are", subtitle, stamp)
    axes = figure.add_subplot()
    known = np.clip(z[np.isfinite(z)], -_WIDEST, _WIDEST)
    if not known.size:
        explain_absence(axes, "no pair was seen")
        return figure
    reach = max(3.0, float(np.abs(known).max()))
    edges = np.linspace(-reach, reach, _BINS + 1)
    counts, _ = np.histogram(known, edges)
    middle = (edges[:-1] + edges[1:]) / 2
    colours = [ORANGE if place > bound else BLUE if place < -bound else PALE for place in middle]
    axes.bar(middle, counts, width=edges[1] - edges[0], color=colours, edgecolor="white", lw=0.4)
    for at, sign in ((-bound, "less blur"), (bound, "more blur")):
        axes.axvline(at, color=MUTED, lw=0.8, ls=(0, (4, 3)))
        share = float((known < at).mean() if at < 0 else (known > at).mean())
        axes.annotate(
            f"{sign}: {100 * share:.1f} %",
            (at, 0.98), xycoords=("data", "axes fraction"),
            xytext=(-6 if at < 0 else 6, 0), textcoords="offset points",
            ha="right" if at < 0 else "left", va="top", color=INK,
        )  # fmt: skip
    axes.set_xlabel("Uncertainty (deviations within the subject)")
    axes.set_ylabel("Pairs")
    axes.grid(axis="x", visible=False)
    return figure


@themed
def blurred_pairs(
    rows: Sequence[tuple[str, Sequence[Pair]]], stamp: Stamp, subtitle: str
) -> Figure:
    """Pairs of pictures, as shown above and as matched below, in named rows."""
    width = max((len(pairs) for _, pairs in rows), default=1)
    figure = frame(0.95 + 2.45 * max(len(rows), 1), "Most and least certain pairs", subtitle, stamp)
    if not rows:
        explain_absence(figure.add_subplot(), "no pair was kept")
        return figure
    grid = figure.subplots(2 * len(rows), width, squeeze=False)
    for number, (name, pairs) in enumerate(rows):
        for column in range(width):
            upper, lower = grid[2 * number, column], grid[2 * number + 1, column]
            for axes in (upper, lower):
                _bare(axes)
            if column < len(pairs):
                upper.imshow(pairs[column].pictures[0])
                lower.imshow(pairs[column].pictures[1])
                lower.set_xlabel(legible(pairs[column].text, 24), fontsize=7, color=MUTED)
        grid[2 * number, 0].set_ylabel(f"{legible(name, 18)}\nas shown", fontsize=7.5)
        grid[2 * number + 1, 0].set_ylabel("as matched", fontsize=7.5)
    return figure


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
