"""Straight lines and ways along the surface."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.surface.meshes import Mesh, load_mesh
from neuroattn.surface.neighbours import edge_graph, geodesic, nearest_vertex, patch, within


@pytest.fixture
def strip() -> Mesh:
    """Vertices 0, 1, 2 … along x, each a mm from the next, and a second row above them."""
    top = [(float(x), 1.0, 0.0) for x in range(6)]
    points = np.array([(float(x), 0.0, 0.0) for x in range(6)] + top)
    faces = [(x, x + 1, x + 6) for x in range(5)] + [(x + 1, x + 7, x + 6) for x in range(5)]
    return Mesh(points, np.array(faces))


def test_nearest_vertex_of_a_point(strip):
    assert nearest_vertex(strip, [3.2, -2.0, 1.0]) == 3


def test_within_a_radius(strip):
    assert within(strip, [0.0, 0.0, 0.0], 1.1).tolist() == [0, 1, 6]


def test_every_edge_counts_once_and_both_ways(strip):
    graph = edge_graph(strip)
    assert graph[0, 1] == 1.0
    assert graph[1, 0] == 1.0
    assert graph[1, 6] == pytest.approx(np.sqrt(2))
    assert graph[0, 7] == 0


def test_distances_along_edges(strip):
    assert geodesic(strip, 0)[0][[0, 5, 6]].tolist() == [0.0, 5.0, 1.0]
    assert np.isinf(geodesic(strip, 0, limit=2.0)[0][5])


def test_a_patch_grows_from_its_seed_and_avoids_what_is_taken(strip):
    assert sorted(patch(strip, 0, 3).tolist()) == [0, 1, 6]
    free = np.ones(12, dtype=bool)
    free[1] = False
    assert 1 not in patch(strip, 0, 4, free)


def test_surface_distance_is_no_shorter_than_the_straight_one():
    mesh = load_mesh("lh")
    along = geodesic(mesh, 100)[0]
    straight = np.linalg.norm(mesh.coordinates - mesh.coordinates[100], axis=1)
    assert (along >= straight - 1e-6).all()
    assert np.isfinite(along).all()
