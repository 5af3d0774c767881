"""Maps on the cortex: what is seen, in which colours, with which words."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize

from neuroattn.figures.cortex import (
    Outlines,
    _direction,
    cortical_map,
    project,
    rasterise,
    vertex_colours,
)
from neuroattn.figures.theme import Stamp
from neuroattn.surface.meshes import load_map, load_mesh
from tests.unit.figures.test_scores import words

SCALE = ScalarMappable(Normalize(0, 1), mpl.colormaps["inferno"])


def test_data_take_the_scale_and_the_rest_is_grey_darker_in_sulci() -> None:
    values = np.array([0.5, np.nan, np.nan])
    colours = vertex_colours(values, np.array([0.0, 1.0, -1.0]), SCALE)
    np.testing.assert_allclose(colours[0], SCALE.to_rgba(0.5)[:3])
    assert len(set(colours[1])) == len(set(colours[2])) == 1
    assert colours[1, 0] < colours[2, 0]


@pytest.mark.parametrize("hemisphere", ["lh", "rh"])
def test_views_show_the_side_that_they_name(hemisphere: str) -> None:
    """The calcarine is seen from medial, the temporal pole's side from lateral."""
    mesh = load_mesh(hemisphere, "inflated")
    outward = -1 if hemisphere == "lh" else 1
    for view, sign in (("lateral", outward), ("medial", -outward)):
        _, faces, light = project(mesh, _direction(hemisphere, view))
        seen = np.unique(faces)
        centre = mesh.coordinates[:, 0].mean()
        assert np.sign(mesh.coordinates[seen, 0].mean() - centre) == sign
        assert 0.3 < len(faces) / len(mesh.faces) < 0.65
        assert light.min() >= 0
        assert light.max() <= 1 + 1e-9


def test_the_front_of_the_brain_points_the_right_way() -> None:
    """Seen from the left the forehead is on the left, seen from the right on the right."""
    for hemisphere, sign in (("lh", -1), ("rh", 1)):
        mesh = load_mesh(hemisphere, "inflated")
        points, _, _ = project(mesh, _direction(hemisphere, "lateral"))
        front = mesh.coordinates[:, 1] > np.quantile(mesh.coordinates[:, 1], 0.95)
        assert np.sign(points[front, 0].mean() - points[:, 0].mean()) == sign
        top = mesh.coordinates[:, 2] > np.quantile(mesh.coordinates[:, 2], 0.95)
        assert points[top, 1].mean() > points[:, 1].mean()


def test_triangles_are_filled_and_near_ones_cover_far_ones() -> None:
    points = np.array([[0.0, 0], [10, 0], [0, 10], [10, 10]])
    faces = np.array([[0, 1, 2], [0, 1, 3]])
    colours = np.array([[1.0, 0, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]])
    picture, (left, right, bottom, top) = rasterise(points, faces, colours, np.array([1.0, 0.5]))
    assert left < 0 < 10 < right
    assert bottom < 0 < 10 < top
    rows, columns = picture.shape[:2]

    def at(x: float, y: float) -> list[int]:
        row = int((top - y) / (top - bottom) * rows)
        return picture[row, int((x - left) / (right - left) * columns)].tolist()

    assert at(1, 8) == [255, 0, 0, 255], "only the first"
    assert at(5, 0.5)[0] < 140, "the second, in half the light, is in front"
    assert at(5, 9)[3] == 0, "outside both"
    x, y = np.meshgrid(np.linspace(0.2, 9.6, 60), np.linspace(0.2, 9.6, 60))
    inside = (x + y < 9.8) | (y < x - 0.2)
    assert all(at(a, b)[3] for a, b in zip(x[inside], y[inside], strict=True)), "no holes"


def test_a_map_says_what_it_shows() -> None:
    sides = {side: np.where(load_map(side, "sulc") > 0, 0.4, np.nan) for side in ("lh", "rh")}
    members = {"FFA-1": {side: np.arange(10_242) < 800 for side in ("lh", "rh")}}
    figure = cortical_map(
        sides, Stamp("encode/x", simulated=True), title="Prediction accuracy",
        unit="Pearson r", limits=(0, 0.7), outlines=Outlines(members),
    )  # fmt: skip
    told = words(figure)
    for word in ("Prediction accuracy", "Pearson r", "encode/x", "simulated", "FFA-1"):
        assert word in told, word
    assert len(figure.axes) == 9
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[:4] == [f"left, {view}" for view in ("lateral", "medial", "ventral", "flat")]
