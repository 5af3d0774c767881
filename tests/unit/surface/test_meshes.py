"""The meshes that ship with nilearn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from neuroattn.core.errors import ConfigError, MissingDataError
from neuroattn.surface import meshes
from neuroattn.surface.meshes import N_VERTICES, load_map, load_mesh, mid_surface


@pytest.mark.parametrize("side", ["lh", "rh"])
def test_every_mesh_has_the_vertices_of_fsaverage5(side):
    for kind in ("white", "pial", "sphere", "inflated", "flat"):
        mesh = load_mesh(side, kind)
        assert mesh.coordinates.shape == (N_VERTICES, 3)
        assert mesh.faces.max() < N_VERTICES
    assert load_map(side, "sulc").shape == (N_VERTICES,)


def test_hemispheres_stand_on_their_sides():
    assert np.median(load_mesh("lh").coordinates[:, 0]) < -20
    assert np.median(load_mesh("rh").coordinates[:, 0]) > 20


def test_the_middle_lies_between_white_and_pial():
    middle, white = mid_surface("lh").coordinates, load_mesh("lh").coordinates
    assert np.allclose(middle - white, load_mesh("lh", "pial").coordinates - middle)


@pytest.mark.parametrize("count", [162, 642, 2562])
def test_leading_vertices_are_a_coarser_mesh_of_the_family(count):
    points = load_mesh("lh", "sphere").coordinates[:count]
    nearest = cKDTree(points).query(points, 2)[0][:, 1]
    assert nearest.max() / nearest.min() < 1.25


def test_what_is_cached_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        load_mesh("lh").coordinates[0] = 0


def test_an_unknown_mesh_is_refused():
    with pytest.raises(ConfigError, match="no such file"):
        load_mesh("lh", "banana")


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(meshes.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDataError, match="install"):
        meshes.load_mesh.__wrapped__("lh", "white")


def test_neither_torch_nor_nilearn_is_imported():
    code = (
        "import sys, neuroattn.surface.meshes as m; m.load_mesh('lh'); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'nilearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
