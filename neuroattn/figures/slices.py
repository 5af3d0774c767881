"""Maps of a volume: axial slices in one colour scale, left on the left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from neuroattn.figures.cortex import SEQUENTIAL, Key
from neuroattn.figures.theme import MUTED, Stamp, explain_absence, frame, legible, themed

Floats = NDArray[np.float64]
COLUMNS, MOST = 6, 12  # slices in a row, and in all
_EMPTY = "#dfe3e7"


@themed
def slice_map(
    volumes: Mapping[str, NDArray[Any]],
    affine: Floats,
    stamp: Stamp,
    *,
    title: str,
    unit: str,
    limits: tuple[float, float],
    colours: str | Key = SEQUENTIAL,
    note: str = "",
) -> Figure:
    """Slices through the part of a volume that has data; one block of rows for each volume.

    Parameters
    ----------
    volumes : title of a block -> (x, y, z) values, NaN where there are none.
    affine : voxel to mm, (4, 4); slices are cut across the axis nearest to the vertical.
    note : said beside the number of voxels.
    """
    canonical = {name: oriented(values, affine) for name, values in volumes.items()}
    known = np.isfinite(next(iter(canonical.values()))[0])
    subtitle = f"{int(known.sum()):,} voxels with data" + (f"; {note}" if note else "")
    levels = _levels(known)
    rows = max(1, -(-len(levels) // COLUMNS))
    figure = frame(1.5 + 1.25 * rows * len(canonical), title, subtitle, stamp)
    scale: Any = _scale(limits, colours)
    if not len(levels):
        explain_absence(figure.add_subplot(), "no voxel has a value")
        return figure
    grid = figure.add_gridspec(rows * len(canonical), COLUMNS)
    box = _box(known)
    for block, (name, (values, heights)) in enumerate(canonical.items()):
        for place, level in enumerate(levels):
            row, column = divmod(place, COLUMNS)
            axes = figure.add_subplot(grid[block * rows + row, column])
            axes.imshow(
                values[(*box, level)].T,
                origin="lower",
                cmap=scale.cmap,
                vmin=scale.norm.vmin,
                vmax=scale.norm.vmax,
                interpolation="nearest" if isinstance(colours, Key) else None,
            )
            axes.set_axis_off()
            words = f"z {heights[level]:.0f} mm"
            if place == 0 and name:
                words = f"{legible(name, 20)}, {words}"
            axes.set_title(words, color=MUTED, fontsize=7, pad=2)
    if isinstance(colours, Key):
        _explain(figure, colours)
        return figure
    bar = figure.colorbar(scale, ax=figure.axes, location="bottom", shrink=0.4, aspect=40)
    bar.set_label(unit)
    bar.outline.set_visible(False)
    return figure


def _scale(limits: tuple[float, float], colours: str | Key) -> ScalarMappable:
    if isinstance(colours, Key):
        kinds = ListedColormap(list(colours.colours)).with_extremes(bad=_EMPTY)
        return ScalarMappable(Normalize(-0.5, max(len(colours.colours), 1) - 0.5), kinds)
    return ScalarMappable(Normalize(*limits), mpl.colormaps[colours].with_extremes(bad=_EMPTY))


def _explain(figure: Figure, key: Key) -> None:
    """The kinds by name, to the right of the slices, where the layout keeps room."""
    patches = [
        Patch(facecolor=colour, label=legible(name, 24)) for name, colour in key.names.items()
    ]
    figure.axes[0].legend(
        handles=patches, loc="lower left", bbox_to_anchor=(0, 1.2), ncols=5, fontsize=6.5,
        handlelength=1, columnspacing=1,
    )  # fmt: skip


def oriented(values: NDArray[Any], affine: Floats) -> tuple[Floats, Floats]:
    """The volume with axes to the right, front and top, and the height of each slice in mm."""
    along = np.argmax(np.abs(affine[:3, :3]), axis=0)  # the world's axis of each of the volume's
    order = np.argsort(along, kind="stable")
    turned = np.transpose(np.asarray(values, dtype=np.float64), order)
    flips = tuple(axis for axis in range(3) if affine[along[order[axis]], order[axis]] < 0)
    step, first = affine[2, order[2]], affine[2, 3]
    heights = first + step * np.arange(turned.shape[2])
    if 2 in flips:
        heights = heights[::-1]
    return np.flip(turned, axis=flips), heights


def _levels(known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Up to `MOST` slices with data, evenly spread from the lowest to the highest."""
    filled = np.flatnonzero(known.any(axis=(0, 1)))
    if len(filled) <= MOST:
        return filled
    return filled[np.linspace(0, len(filled) - 1, MOST).round().astype(np.int64)]


def _box(known: NDArray[np.bool_]) -> tuple[slice, slice]:
    """The part of a slice that holds all data, with a margin of two voxels."""
    edges = []
    for axis, other in ((0, (1, 2)), (1, (0, 2))):
        filled = np.flatnonzero(known.any(axis=other))
        edges.append(slice(max(0, int(filled[0]) - 2), min(known.shape[axis], filled[-1] + 3)))
    return edges[0], edges[1]
