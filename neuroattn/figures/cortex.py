"""Maps on the cortex: lateral, medial and ventral views and the flat map, in one colour scale.

Drawn on the fsaverage5 meshes with matplotlib alone, so that a report needs no browser, no
Inkscape and no network. Sulci are the darker grey; a vertex without data shows the grey.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation
from numpy.typing import NDArray

from neuroattn.figures.theme import INK, MUTED, Stamp, frame, legible, themed
from neuroattn.surface.coordinates import HEMISPHERES, LEFT, SIDE
from neuroattn.surface.meshes import Mesh, load_map, load_mesh

Floats = NDArray[np.float64]
Sides = Mapping[str, NDArray[Any]]

SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"
VIEWS = ("lateral", "medial", "ventral", "flat")
_GYRUS, _SULCUS = 0.86, 0.70
PIXELS = 420  # along the longer side of a view
_AMBIENT = 0.62  # light that reaches a face whatever its direction


@dataclass(frozen=True, eq=False)
class Outlines:
    """Regions to outline and name on the flat map.

    Parameters
    ----------
    members : region -> hemisphere -> (vertices,) bool.
    """

    members: Mapping[str, Sides] = field(default_factory=dict)


@themed
def cortical_map(
    values: Sides,
    stamp: Stamp,
    *,
    title: str,
    unit: str,
    limits: tuple[float, float],
    outlines: Outlines | None = None,
    colours: str = SEQUENTIAL,
) -> Figure:
    """Four views of each hemisphere with one colour bar.

    Parameters
    ----------
    values : hemisphere -> (10242,) values on fsaverage5, NaN where there are none.
    unit : label of the colour bar.
    limits : values of the ends of the colour bar; give every map that is compared the same.
    colours : `SEQUENTIAL`, or `DIVERGING` (blue, white, red) for differences.
    """
    known = int(sum(np.isfinite(side).sum() for side in values.values()))
    figure = frame(5.9, title, f"{known:,} vertices of fsaverage5 with data", stamp)
    grid = figure.add_gridspec(2, 12, height_ratios=(1, 2.1))
    scale = ScalarMappable(Normalize(*limits), mpl.colormaps[colours])
    panels = []
    for hemisphere in HEMISPHERES:
        side = np.asarray(values[hemisphere], dtype=np.float64)
        painted = vertex_colours(side, load_map(hemisphere, "sulc"), scale)
        for view in VIEWS:
            axes = figure.add_subplot(grid[_cell(hemisphere, view)])
            panels.append(axes)
            _draw(axes, hemisphere, view, painted)
            axes.set_title(f"{SIDE[hemisphere]}, {view}", color=MUTED, pad=1, fontsize=7.5)
            if view == "flat" and outlines is not None:
                _outline(axes, hemisphere, outlines)
                _zoom(axes, hemisphere, side)
    bar = figure.colorbar(scale, ax=panels, location="bottom", shrink=0.4, aspect=40, pad=0.02)
    bar.set_label(unit)
    bar.outline.set_visible(False)
    return figure


def _cell(hemisphere: str, view: str) -> tuple[int, slice]:
    """Where a view stands: the flat maps, which carry the names, have the larger row."""
    first = 0 if hemisphere == LEFT else 6
    if view == "flat":
        return 1, slice(first, first + 6)
    place = first + 2 * VIEWS.index(view)
    return 0, slice(place, place + 2)


def vertex_colours(values: Floats, sulc: Floats, scale: ScalarMappable) -> Floats:
    """Colours (vertices, 3): the scale's where there are data, else grey, darker in sulci."""
    grey = np.where(sulc > 0, _SULCUS, _GYRUS)
    colours = np.repeat(grey[:, None], 3, axis=1)
    known = np.isfinite(values)
    colours[known] = np.asarray(scale.to_rgba(values[known]))[:, :3]
    return colours


def _draw(axes: Axes, hemisphere: str, view: str, colours: Floats) -> None:
    mesh = load_mesh(hemisphere, "flat" if view == "flat" else "inflated")
    if view == "flat":
        points, faces, light = mesh.coordinates[:, :2], mesh.faces, np.ones(len(mesh.faces))
    else:
        points, faces, light = project(mesh, _direction(hemisphere, view))
    picture, extent = rasterise(points, faces, colours, light)
    axes.imshow(picture, extent=extent, interpolation="antialiased")
    axes.autoscale_view()
    axes.set_aspect("equal", adjustable="datalim")
    axes.set_axis_off()


def _direction(hemisphere: str, view: str) -> Floats:
    """Unit vector from the brain to the eye, RAS."""
    outward = -1.0 if hemisphere == LEFT else 1.0
    directions = {
        "lateral": (outward, 0.0, 0.0), "medial": (-outward, 0.0, 0.0), "ventral": (0.0, 0.0, -1.0),
    }  # fmt: skip
    return np.array(directions[view])


def project(mesh: Mesh, eye: Floats) -> tuple[Floats, NDArray[np.int64], Floats]:
    """What is seen from ``eye``: points (vertices, 2), faces back to front, and their light.

    Faces that look away are left out; the rest are drawn in the order of their distance, so
    that near ones cover far ones.
    """
    up = np.array([0.0, 1.0, 0.0]) if abs(eye[2]) > 0.5 else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, eye)
    points = mesh.coordinates @ np.stack([right, up], axis=1)
    corners = mesh.coordinates[mesh.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    facing = normal @ eye
    seen = np.flatnonzero(facing > 0)
    order = seen[np.argsort(corners[seen].mean(axis=1) @ eye, kind="stable")]
    return points, mesh.faces[order], _AMBIENT + (1 - _AMBIENT) * facing[order]


def rasterise(
    points: Floats, faces: NDArray[np.int64], colours: Floats, light: Floats
) -> tuple[NDArray[np.uint8], tuple[float, float, float, float]]:
    """Paint triangles, in their order, into a picture: (rows, columns, 4) and its extent.

    Every triangle is painted at points so dense that each pixel in it is hit. Two orders of
    magnitude faster than as many polygons, and no seams between them.

    Parameters
    ----------
    points : (vertices, 2); faces : (faces, 3), back to front.
    colours : (vertices, 3), blended within a triangle; light : (faces,) factors.
    """
    used = points[np.unique(faces)]
    low, high = used.min(axis=0), used.max(axis=0)
    size = (high - low).max() / (PIXELS - 1)  # of a pixel, in units of the mesh
    corners = (points[faces] - low) / size
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    steps = 2 ** np.ceil(np.log2(np.maximum(longest, 1))).astype(int)
    parts = [_paint(corners, colours[faces], light, steps == n, int(n)) for n in np.unique(steps)]
    pixel, shade, face = (np.concatenate(each) for each in zip(*parts, strict=True))
    columns, rows = np.ceil((high - low) / size).astype(int) + 1
    picture = np.zeros((rows, columns, 4), dtype=np.uint8)
    # Where several points fall on one pixel the last one, which is the nearest, stays.
    order = np.argsort(face, kind="stable")
    column, row = pixel[order].T
    picture[rows - 1 - row, column, :3] = np.rint(255 * shade[order].clip(0, 1))
    picture[rows - 1 - row, column, 3] = 255
    half = size / 2
    left, bottom = low - half
    return picture, (left, left + columns * size, bottom, bottom + rows * size)


def _paint(
    corners: Floats, colours: Floats, light: Floats, chosen: NDArray[np.bool_], steps: int
) -> tuple[NDArray[np.int64], Floats, NDArray[np.int64]]:
    """Pixels (points, 2), colours (points, 3) and faces (points,) of the ``chosen`` faces."""
    weights, which = _inside(steps), np.flatnonzero(chosen)
    pixel = np.rint(weights @ corners[which]).astype(np.int64)
    shade = (weights @ colours[which]) * light[which, None, None]
    face = np.repeat(which, len(weights))
    return pixel.reshape(-1, 2), shade.reshape(-1, 3), face


def _inside(count: int) -> Floats:
    """Barycentric weights (points, 3) of an even grid over a triangle, ``count`` steps a side."""
    first, second = np.meshgrid(np.arange(count + 1), np.arange(count + 1))
    kept = first + second <= count
    pair = np.stack([first[kept], second[kept]], axis=1) / count
    return np.column_stack([pair, 1 - pair.sum(axis=1)])


def _zoom(axes: Axes, hemisphere: str, values: Floats) -> None:
    """Show the part of the flat map that has data, so that its regions can be told apart."""
    mesh = load_mesh(hemisphere, "flat")
    on_sheet = np.zeros(len(mesh.coordinates), dtype=bool)
    on_sheet[np.unique(mesh.faces)] = True
    known = mesh.coordinates[np.isfinite(values) & on_sheet, :2]
    if not len(known):
        return
    low, high = known.min(axis=0), known.max(axis=0)
    margin = 0.08 * (high - low).max() + 1
    axes.set_xlim(low[0] - margin, high[0] + margin)
    axes.set_ylim(low[1] - margin, high[1] + margin)


def _outline(axes: Axes, hemisphere: str, outlines: Outlines) -> None:
    mesh = load_mesh(hemisphere, "flat")
    sheet = Triangulation(mesh.coordinates[:, 0], mesh.coordinates[:, 1], mesh.faces)
    on_sheet = np.zeros(len(mesh.coordinates), dtype=bool)
    on_sheet[np.unique(mesh.faces)] = True
    for name, members in outlines.members.items():
        mask = np.asarray(members[hemisphere], dtype=bool) & on_sheet
        if not mask.any():
            continue
        # A pale line on a dark one is seen on every colour of the scale.
        for colour, width in ((INK, 1.4), ("white", 0.6)):
            axes.tricontour(
                sheet, mask.astype(float), levels=[0.5], colors=colour, linewidths=width
            )
        x, y = np.median(mesh.coordinates[mask, :2], axis=0)
        label = axes.text(
            x, y, legible(name, 14), fontsize=4.6, ha="center", va="center", color=INK
        )
        label.set_path_effects([patheffects.withStroke(linewidth=1.1, foreground="white")])
