"""Maps on the cortex: lateral, medial and ventral views and the flat map, in one colour scale.

Drawn on the fsaverage5 meshes with matplotlib alone, so that a report needs no browser, no
Inkscape and no network. Sulci are the darker grey; a vertex without data shows the grey.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from neuroattn.figures.labels import arrange, short, write_labels
from neuroattn.figures.theme import INK, MUTED, WIDTH, Stamp, frame, legible, themed
from neuroattn.surface.coordinates import HEMISPHERES, LEFT, SIDE
from neuroattn.surface.meshes import Mesh, load_map, load_mesh

Floats = NDArray[np.float64]
Sides = Mapping[str, NDArray[Any]]
Place = tuple[float, float, float, float]  # left, top, width, height in inches

SEQUENTIAL, DIVERGING = "inferno", "RdBu_r"
VIEWS = ("lateral", "medial", "ventral", "flat")
_GYRUS, _SULCUS = 0.86, 0.70
PIXELS = 420  # along the longer side of a view
_LEFT = 0.09  # inches from the page's edge to the first view
_KEYS = 6  # explained kinds in a row
_AMBIENT = 0.62  # light that reaches a face whatever its direction


@dataclass(frozen=True, eq=False)
class Outlines:
    """Regions to outline and name on the flat map.

    Parameters
    ----------
    members : region -> hemisphere -> (vertices,) bool.
    """

    members: Mapping[str, Sides] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Panel:
    """One map: what it shows, and hemisphere -> (10242,) values on fsaverage5, NaN without."""

    title: str
    values: Sides


@dataclass(frozen=True, eq=False)
class Key:
    """Colours by number, and the names of those that are explained.

    Parameters
    ----------
    colours : one for each number.
    names : name -> colour, in the order of the legend.
    """

    colours: Sequence[str]
    names: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class _Sheet:
    """What all views of a figure share."""

    figure: Figure
    scale: ScalarMappable
    outlines: Outlines

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes at a place in inches, counted from the left upper corner."""
        across, down = self.figure.get_size_inches()
        place = (left / across, 1 - (top + height) / down, width / across, height / down)
        return self.figure.add_axes(place)


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
    note: str = "",
) -> Figure:
    """Four views of each hemisphere with one colour bar.

    Parameters
    ----------
    values : hemisphere -> (10242,) values on fsaverage5, NaN where there are none.
    unit : label of the colour bar.
    limits : values of the ends of the colour bar; give every map that is compared the same.
    colours : `SEQUENTIAL`, or `DIVERGING` (blue, white, red) for differences.
    note : said beside the number of vertices.
    """
    height = 5.75
    figure = _empty(height, title, _subtitle(values, note), stamp)
    sheet = _Sheet(figure, _scale(limits, colours), outlines or Outlines())
    for hemisphere in HEMISPHERES:
        first = _LEFT if hemisphere == LEFT else WIDTH / 2 + 0.05
        views = [(first + 1.16 * n, 0.8, 1.1, 0.82) for n in range(3)]
        _hemisphere(sheet, hemisphere, values, [*views, (first, 1.85, 3.42, 2.95)])
    _colour_bar(sheet, unit, [values])
    return figure


@themed
def cortical_pair(
    panels: tuple[Panel, Panel],
    stamp: Stamp,
    *,
    title: str,
    unit: str,
    limits: tuple[float, float],
    outlines: Outlines | None = None,
    colours: str = SEQUENTIAL,
    note: str = "",
) -> Figure:
    """Two maps side by side in one colour scale, as a score and its ceiling.

    Parameters as in `cortical_map`.
    """
    height = 7.4
    figure = _empty(height, title, _subtitle(panels[0].values, note), stamp)
    sheet = _Sheet(figure, _scale(limits, colours), outlines or Outlines())
    for half, panel in enumerate(panels):
        first = WIDTH / 2 + 0.05 if half else _LEFT
        figure.text(
            (first + 1.71) / WIDTH, 1 - 0.74 / height, panel.title, ha="center", va="center",
            fontsize=9, fontweight="bold",
        )  # fmt: skip
        for row, hemisphere in enumerate(HEMISPHERES):
            views = [(first + 1.16 * n, 1.03 + 1.02 * row, 1.1, 0.82) for n in range(3)]
            flat = (first + 1.74 * row, 3.1, 1.68, 3.35)
            _hemisphere(sheet, hemisphere, panel.values, [*views, flat])
    _colour_bar(sheet, unit, [panel.values for panel in panels])
    return figure


@themed
def cortical_key(
    values: Sides,
    stamp: Stamp,
    *,
    title: str,
    key: Key,
    outlines: Outlines | None = None,
    note: str = "",
) -> Figure:
    """A map of kinds in place of amounts: each kind has a colour of its own.

    Parameters
    ----------
    values : hemisphere -> (10242,) numbers of kinds, NaN where there are none.
    key : colours by number, and the names of those that are explained below the map.
    """
    rows = -(-len(key.names) // _KEYS)
    height = 5.2 + 0.2 * rows
    figure = _empty(height, title, _subtitle(values, note), stamp)
    colours = ListedColormap(list(key.colours))
    norm = Normalize(-0.5, max(len(key.colours), 1) - 0.5)
    sheet = _Sheet(figure, ScalarMappable(norm, colours), outlines or Outlines())
    for hemisphere in HEMISPHERES:
        first = _LEFT if hemisphere == LEFT else WIDTH / 2 + 0.05
        views = [(first + 1.16 * n, 0.8, 1.1, 0.82) for n in range(3)]
        _hemisphere(sheet, hemisphere, values, [*views, (first, 1.85, 3.42, 2.95)])
    _explain_key(sheet, key, 4.86, rows)
    return figure


def _explain_key(sheet: _Sheet, key: Key, top: float, rows: int) -> None:
    axes = sheet.axes(_LEFT, top, WIDTH - 2 * _LEFT, 0.2 * max(rows, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, _KEYS), ylim=(max(rows, 1), 0))
    for place, (name, colour) in enumerate(key.names.items()):
        left, down = place % _KEYS, place // _KEYS
        patch = Rectangle((left + 0.02, down + 0.24), 0.1, 0.52, facecolor=colour, edgecolor=MUTED)
        patch.set_linewidth(0.4)
        axes.add_patch(patch)
        axes.text(left + 0.16, down + 0.5, legible(name, 24), va="center", fontsize=7)


def _empty(height: float, title: str, subtitle: str, stamp: Stamp) -> Figure:
    """A frame whose axes are placed here: brains keep their shape, so there is nothing to solve."""
    figure = frame(height, title, subtitle, stamp)
    figure.set_layout_engine("none")
    return figure


def _subtitle(values: Sides, note: str) -> str:
    known = int(sum(np.isfinite(side).sum() for side in values.values()))
    return f"{known:,} vertices of fsaverage5 with data" + (f"; {note}" if note else "")


def _scale(limits: tuple[float, float], colours: str) -> ScalarMappable:
    return ScalarMappable(Normalize(*limits), mpl.colormaps[colours])


def _hemisphere(sheet: _Sheet, hemisphere: str, values: Sides, places: Sequence[Place]) -> None:
    """Draw the views of one hemisphere at these places, in the order of `VIEWS`."""
    side = np.asarray(values[hemisphere], dtype=np.float64)
    painted = vertex_colours(side, load_map(hemisphere, "sulc"), sheet.scale)
    for view, place in zip(VIEWS, places, strict=True):
        axes = sheet.axes(*place)
        points, faces = _draw(axes, hemisphere, view, painted)
        axes.set_title(f"{SIDE[hemisphere]}, {view}", color=MUTED, pad=2, fontsize=7)
        _outline(axes, hemisphere, sheet.outlines, points, faces, fine=view != "flat")
        if view == "flat":
            _zoom(axes, side, points, faces, place[2] / place[3])
            _name(axes, hemisphere, sheet.outlines, points, faces)


def _colour_bar(sheet: _Sheet, unit: str, shown: Sequence[Sides]) -> None:
    """One bar for all views, with an arrow at an end that values go beyond."""
    norm = sheet.scale.norm
    known = [side[np.isfinite(side)] for values in shown for side in values.values()]
    below = any(len(side) and side.min() < norm.vmin for side in known)
    above = any(len(side) and side.max() > norm.vmax for side in known)
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max"}
    height = float(sheet.figure.get_size_inches()[1])
    bar = sheet.figure.colorbar(
        sheet.scale, cax=sheet.axes(2.2, height - 0.84, 2.8, 0.08), orientation="horizontal",
        extend=ends.get((below, above), "both"),
    )  # fmt: skip
    bar.set_label(unit)
    bar.outline.set_visible(False)


def vertex_colours(values: Floats, sulc: Floats, scale: ScalarMappable) -> Floats:
    """Colours (vertices, 3): the scale's where there are data, else grey, darker in sulci."""
    grey = np.where(sulc > 0, _SULCUS, _GYRUS)
    colours = np.repeat(grey[:, None], 3, axis=1)
    known = np.isfinite(values)
    colours[known] = np.asarray(scale.to_rgba(values[known]))[:, :3]
    return colours


def _draw(
    axes: Axes, hemisphere: str, view: str, colours: Floats
) -> tuple[Floats, NDArray[np.int64]]:
    """Paint one view; returns the vertices on the page (vertices, 2) and the faces seen."""
    mesh = load_mesh(hemisphere, "flat" if view == "flat" else "inflated")
    if view == "flat":
        points, faces, light = mesh.coordinates[:, :2], mesh.faces, np.ones(len(mesh.faces))
    else:
        points, faces, light = project(mesh, _direction(hemisphere, view))
    picture, extent = rasterise(points, faces, colours, light)
    axes.imshow(picture, extent=extent, interpolation="antialiased")
    axes.autoscale_view()
    axes.set_aspect("equal")
    axes.set_axis_off()
    return points, faces


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
    up = _up(mesh, eye)
    right = np.cross(up, eye)
    points = mesh.coordinates @ np.stack([right, up], axis=1)
    corners = mesh.coordinates[mesh.faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    facing = normal @ eye
    seen = np.flatnonzero(facing > 0)
    order = seen[np.argsort(corners[seen].mean(axis=1) @ eye, kind="stable")]
    return points, mesh.faces[order], _AMBIENT + (1 - _AMBIENT) * facing[order]


def _up(mesh: Mesh, eye: Floats) -> Floats:
    """What is up on the page: seen from below the lateral side, else the top of the head.

    So the front points to one side in all views of a hemisphere, and all views are wide.
    """
    if abs(eye[2]) < 0.5:
        return np.array([0.0, 0.0, 1.0])
    return np.array([np.sign(mesh.coordinates[:, 0].mean()), 0.0, 0.0])


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


def _zoom(
    axes: Axes, values: Floats, points: Floats, faces: NDArray[np.int64], shape: float
) -> None:
    """Show the part of the flat map that has data, so that its regions can be told apart.

    ``shape`` is the width of its place on the page over the height.
    """
    on_sheet = np.zeros(len(points), dtype=bool)
    on_sheet[np.unique(faces)] = True
    known = points[np.isfinite(values) & on_sheet]
    if not len(known):
        return
    low, high = known.min(axis=0), known.max(axis=0)
    margin = 0.08 * (high - low).max() + 1
    size = high - low + 2 * margin
    size = np.maximum(size, (size[1] * shape, size[0] / shape))
    middle = (low + high) / 2
    axes.set_xlim(middle[0] - size[0] / 2, middle[0] + size[0] / 2)
    axes.set_ylim(middle[1] - size[1] / 2, middle[1] + size[1] / 2)


def _outline(
    axes: Axes,
    hemisphere: str,
    outlines: Outlines,
    points: Floats,
    faces: NDArray[np.int64],
    *,
    fine: bool,
) -> None:
    """Draw the regions' borders where they are seen."""
    parts = [borders(side[hemisphere], faces) for side in outlines.members.values()]
    if not parts:
        return
    segments = points[np.concatenate(parts)].mean(axis=2)
    # A pale line on a dark one is seen on every colour of the scale.
    for colour, width in ((INK, 0.6 if fine else 1.3), ("white", 0.25 if fine else 0.55)):
        lines = LineCollection(list(segments), colors=colour, linewidths=width, capstyle="round")
        axes.add_collection(lines, autolim=False)


def borders(members: NDArray[Any], faces: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where a region's border crosses each face: (segments, 2 ends, 2 vertices of the edge).

    A border runs through the middle of every edge that joins a member to another vertex.
    """
    inside = np.asarray(members, dtype=bool)[faces]
    split = inside.any(axis=1) & ~inside.all(axis=1)
    corner, inside = faces[split], inside[split]
    # One corner of a split face stands alone; both its edges are crossed.
    alone = np.argmax(inside == (inside.sum(axis=1) == 1)[:, None], axis=1)
    rows = np.arange(len(corner))
    first, second = corner[rows, (alone + 1) % 3], corner[rows, (alone + 2) % 3]
    lone = corner[rows, alone]
    return np.stack([np.stack([lone, first], axis=1), np.stack([lone, second], axis=1)], axis=1)


def _name(
    axes: Axes, hemisphere: str, outlines: Outlines, points: Floats, faces: NDArray[np.int64]
) -> None:
    """Write the regions' names on the flat map, large regions first."""
    on_sheet = np.zeros(len(points), dtype=bool)
    on_sheet[np.unique(faces)] = True
    masks = {
        name: np.asarray(members[hemisphere], dtype=bool) & on_sheet
        for name, members in outlines.members.items()
    }
    found = sorted((name for name in masks if masks[name].any()), key=lambda n: -masks[n].sum())
    places = [tuple(np.median(points[masks[name]], axis=0).tolist()) for name in found]
    low, high = axes.get_ylim()
    unit = (high - low) / 220  # of the map, as it stands on the page about 220 points high
    labels = arrange([short(name) for name in found], places, unit, axes.get_xlim())
    write_labels(axes, labels, unit)
