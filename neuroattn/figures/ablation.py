"""Figures of network ablation: what falls without a network, what remains with it alone."""

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
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

from neuroattn.figures.theme import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    RULE,
    Stamp,
    explain_absence,
    frame,
    legible,
    themed,
)

Floats = NDArray[np.floating[Any]]
SHARES = "PuBu"
BAND = "#d5dae0"
_MARK: dict[str, Any] = {
    "marker": "o", "markersize": 6, "markeredgecolor": "white", "linestyle": "",
}  # fmt: skip
_WHOLE: dict[str, Any] = {"color": INK, "linewidth": 1}
_CHANCE: dict[str, Any] = {"color": MUTED, "linewidth": 1, "linestyle": ":"}


@dataclass(frozen=True)
class Bar:
    """One network: its value, the band of its controls, and whether it was found."""

    name: str
    value: float
    low: float
    high: float
    found: bool


@themed
def ablation_bars(
    panels: Sequence[tuple[str, Sequence[Bar]]],
    stamp: Stamp,
    *,
    title: str,
    subtitle: str,
    unit: str,
    intact: float,
    chance: float,
) -> Figure:
    """Values of every network beside the band of random parcels of its size.

    Parameters
    ----------
    panels : heading and bars, in the same order of networks.
    intact, chance : lines at what the whole decoder reaches, and at what none would.
    """
    rows = max((len(bars) for _, bars in panels), default=0)
    figure = frame(2.25 + 0.27 * max(rows, 3), title, subtitle, stamp)
    if not rows:
        explain_absence(figure.add_subplot(), "no network was left out")
        return figure
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True, sharex=True))
    for place, (heading, bars) in enumerate(panels):
        for row, bar in enumerate(bars):
            _bar(axes[place], row, bar)
        axes[place].axvline(intact, **_WHOLE)
        axes[place].axvline(chance, **_CHANCE)
        _label(axes[place], [bar.name for bar in panels[0][1]])
        # Two lines of room for the legend, which spans all panels above.
        axes[place].set_title(f"\n\n{heading}", loc="left")
        axes[place].set_xlabel(unit)
        axes[place].margins(x=0.06)
    _explain(figure, axes[0])
    return figure


def _explain(figure: Figure, axes: Axes) -> None:
    """A legend above the headings of the panels, however high these are."""
    above = ScaledTranslation(0, 20 / 72, figure.dpi_scale_trans)
    axes.legend(
        handles=[
            Line2D([], [], color=ORANGE, label="beyond its controls", **_MARK),
            Line2D([], [], label="the whole brain", **_WHOLE),
            Line2D([], [], color=BLUE, label="not beyond them", **_MARK),
            Line2D([], [], label="chance", **_CHANCE),
            Patch(color=BAND, label="95 % of random parcels of its size"),
        ],
        loc="lower left", bbox_to_anchor=(0, 1), bbox_transform=axes.transAxes + above, ncols=3,
        borderaxespad=0, borderpad=0,
    ).set_in_layout(False)  # fmt: skip


def _bar(axes: Axes, row: int, bar: Bar) -> None:
    if np.isfinite(bar.low):
        axes.barh(row, max(bar.high - bar.low, 1e-4), left=bar.low, height=0.72, color=BAND)
    axes.plot(bar.value, row, color=ORANGE if bar.found else BLUE, zorder=3, **_MARK)


def _label(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [legible(name, 30) for name in names])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(axis="y", visible=False)


@themed
def component_grid(
    networks: Sequence[str],
    components: Sequence[str],
    panels: Sequence[tuple[str, Floats, NDArray[np.bool_]]],
    stamp: Stamp,
    *,
    title: str,
    subtitle: str,
) -> Figure:
    """Networks by components, coloured by share; a ring where a network was found.

    Parameters
    ----------
    panels : heading, shares (networks, components), and which are found, alike.
    """
    height = 2.15 + 0.29 * max(len(networks), 3)
    figure = frame(height, title, subtitle, stamp)
    if not networks or not components:
        explain_absence(figure.add_subplot(), "no kind of things was measured")
        return figure
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for place, (heading, share, found) in enumerate(panels):
        axes[place].imshow(np.clip(share, 0, 1), cmap=SHARES, vmin=0, vmax=1, aspect="auto")
        for row, column in zip(*np.nonzero(np.isfinite(share)), strict=True):
            _cell(axes[place], int(row), int(column), float(share[row, column]),
                  bool(found[row, column]))  # fmt: skip
        axes[place].set_xticks(
            range(len(components)), [legible(name, 12) for name in components], rotation=35,
            ha="right",
        )  # fmt: skip
        axes[place].set_yticks(range(len(networks)), [legible(name, 24) for name in networks])
        axes[place].tick_params(length=0, labelcolor=INK)
        axes[place].set_title(heading, loc="left")
        axes[place].grid(visible=False)
        for spine in axes[place].spines.values():
            spine.set_color(RULE)
    bar = figure.colorbar(
        ScalarMappable(Normalize(0, 1), mpl.colormaps[SHARES]), ax=axes, shrink=0.7, pad=0.015
    )
    bar.set_label("share of what the whole brain has")
    bar.outline.set_visible(False)
    return figure


def _cell(axes: Axes, row: int, column: int, share: float, found: bool) -> None:
    dark = share > 0.6
    axes.text(column, row, f"{share:.2f}".replace("-", "\N{MINUS SIGN}"), ha="center",
              va="center", fontsize=6.6, color="white" if dark else INK)  # fmt: skip
    if found:
        axes.add_patch(
            mpl.patches.Rectangle((column - 0.47, row - 0.45), 0.94, 0.9, fill=False,
                                  edgecolor=ORANGE, linewidth=1.8)
        )  # fmt: skip
