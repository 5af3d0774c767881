"""Where queries look: attention as a translucent heat over the pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neuroattn.figures.theme import (
    INK,
    MUTED,
    WIDTH,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

COLOURS = "inferno"
_DIM = 0.55  # of the picture's contrast that stays, so that the heat is seen
_MOST_OPAQUE = 0.75
_GAP = 0.06  # inches between pictures


@dataclass(frozen=True, eq=False)
class Look:
    """One picture and where a query looks in it.

    Parameters
    ----------
    picture : (height, width, 3) uint8.
    weights : (rows, columns) attention, 0 or more.
    caption : under the picture.
    """

    picture: NDArray[np.uint8]
    weights: NDArray[np.floating[Any]]
    caption: str = ""


@themed
def attention_overlays(
    rows: Sequence[tuple[str, Sequence[Look]]],
    stamp: Stamp,
    *,
    title: str = "Where each region's query looks",
    subtitle: str = "",
) -> Figure:
    """A row of pictures for each query; heat is relative to the largest weight in the picture."""
    columns = max((len(looks) for _, looks in rows), default=0)
    if not columns:
        figure = frame(1.6, title, subtitle, stamp)
        explain_absence(figure.add_subplot(), "no attention was kept")
        return figure
    side = min(1.45, 6.15 / columns - _GAP)
    height = 1.62 + (side + 0.2) * len(rows)
    figure = frame(height, title, subtitle, stamp)
    figure.set_layout_engine("none")
    for row, (name, looks) in enumerate(rows):
        top = 0.72 + (side + 0.2) * row
        figure.text(
            0.012, 1 - (top + side / 2) / height, legible(name, 14), fontsize=8.5, va="center",
            fontweight="bold", color=INK,
        )  # fmt: skip
        for column, look in enumerate(looks):
            left = 1.0 + (side + _GAP) * column
            axes = figure.add_axes(
                (left / WIDTH, 1 - (top + side) / height, side / WIDTH, side / height)
            )
            _overlay(axes, look)
    _bar(figure, height)
    return figure


def _overlay(axes: Axes, look: Look) -> None:
    height, width = look.picture.shape[:2]
    extent = (0, width, height, 0)
    grey = look.picture.mean(axis=2, keepdims=True)
    dimmed = _DIM * look.picture + (1 - _DIM) * (0.5 * grey + 64)
    axes.imshow(dimmed.clip(0, 255).astype(np.uint8), extent=extent)
    heat = enlarged(np.asarray(look.weights, dtype=np.float64), (height, width))
    heat /= max(float(heat.max()), 1e-12)
    painted = mpl.colormaps[COLOURS](heat)
    painted[..., 3] = _MOST_OPAQUE * heat
    axes.imshow(painted, extent=extent)
    axes.set_axis_off()
    axes.set_aspect("auto")
    axes.text(
        0.5, -0.02, legible(look.caption, 30), transform=axes.transAxes, ha="center", va="top",
        fontsize=6.5, color=MUTED,
    )  # fmt: skip


def enlarged(weights: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Weights (rows, columns) on (height, width) pixels, linear between the cells' centres."""
    for axis, pixels in enumerate(size):
        cells = weights.shape[axis]
        place = ((np.arange(pixels) + 0.5) * cells / pixels - 0.5).clip(0, cells - 1)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, cells - 1)
        share = np.expand_dims(place - low, 1 - axis)
        weights = (1 - share) * weights.take(low, axis) + share * weights.take(high, axis)
    return weights


def _bar(figure: Figure, height: float) -> None:
    scale = ScalarMappable(Normalize(0, 1), mpl.colormaps[COLOURS])
    axes = figure.add_axes((2.2 / WIDTH, 0.62 / height, 2.8 / WIDTH, 0.08 / height))
    bar = figure.colorbar(scale, cax=axes, orientation="horizontal")
    bar.set_label("attention, relative to the largest weight in the picture")
    bar.outline.set_visible(False)
