"""Who lies near whom on a mesh: in straight lines, and along the surface.

Two banks of a sulcus may be 2 mm apart and centimetres away from each other on the cortex,
so regions are grown along the surface (shortest paths over edges, which overstate the true
geodesic by a few per cent).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.sparse import csgraph

from neuroattn.surface.meshes import Floats, Ints, Mesh


def nearest_vertex(mesh: Mesh, point: ArrayLike) -> int:
    """The vertex nearest to ``point`` (3,), which is in the space of the mesh, in mm."""
    distance = np.sum((mesh.coordinates - np.asarray(point, dtype=np.float64)) ** 2, axis=1)
    return int(np.argmin(distance))


def within(mesh: Mesh, point: ArrayLike, radius: float) -> Ints:
    """Vertices no farther than ``radius`` mm from ``point`` in a straight line, ascending."""
    distance = np.linalg.norm(mesh.coordinates - np.asarray(point, dtype=np.float64), axis=1)
    return np.flatnonzero(distance <= radius)


def edge_graph(mesh: Mesh) -> sparse.csr_array:
    """Lengths of the edges, (vertices, vertices), symmetric, in mm."""
    edges = np.concatenate([mesh.faces[:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    size = len(mesh.coordinates)
    first, second = np.divmod(np.unique(edges.min(axis=1) * size + edges.max(axis=1)), size)
    length = np.linalg.norm(mesh.coordinates[first] - mesh.coordinates[second], axis=1)
    half = sparse.coo_array((length, (first, second)), shape=(size, size))
    return sparse.csr_array(half + half.T)


def geodesic(mesh: Mesh, seeds: ArrayLike, limit: float = np.inf) -> Floats:
    """Distance along edges from each of ``seeds`` to every vertex: (seeds, vertices), mm.

    Beyond ``limit`` it is infinite, which is what makes small neighbourhoods cheap.
    """
    starts = np.atleast_1d(np.asarray(seeds, dtype=np.int64))
    found = csgraph.dijkstra(edge_graph(mesh), directed=False, indices=starts, limit=limit)
    return np.asarray(found, dtype=np.float64)


def patch(mesh: Mesh, seed: int, count: int, free: NDArray[np.bool_] | None = None) -> Ints:
    """The ``count`` vertices nearest to ``seed`` along the surface, nearest first.

    ``free`` (vertices,) bars some; fewer come back where no more can be reached.
    """
    distance = geodesic(mesh, seed)[0]
    if free is not None:
        distance = np.where(free, distance, np.inf)
    order = np.lexsort((np.arange(len(distance)), distance))[:count]
    return np.asarray(order[np.isfinite(distance[order])])
