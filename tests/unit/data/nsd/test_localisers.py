"""Receptive fields and localiser maps at the targets, from files whose values name their place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import DataError
from neuroattn.core.tables import write_tsv
from neuroattn.data.localisers import contrasts, receptive_fields
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.files import find
from neuroattn.data.nsd.localisers import read_localisers
from neuroattn.data.nsd.reader import NsdDataset
from neuroattn.data.registry import NsdConfig, NsdSpace
from tests.nsd_files import VERTICES, VOLUME, Nsd, write_map

SUBJECT = "subj01"
ROIS = ["prf-visualrois"]


def write_prf(nsd: Nsd, space: str, quantity: str, values: dict[str | None, np.ndarray]) -> None:
    for side, own in values.items():
        path = layout.prf_map(nsd.root, SUBJECT, space, quantity, side)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_map(path, own.astype(np.float32))


def test_a_map_of_the_subject_reaches_fsaverage_by_the_nearest_vertex(
    small: Callable[..., Nsd],
) -> None:
    nsd = small()
    count = VERTICES["nativesurface"]
    own = {
        side: np.arange(count).reshape(-1, 1, 1) + 100 * number
        for number, side in enumerate(layout.HEMISPHERES)
    }
    write_prf(nsd, "fsaverage", "angle", own)
    to = np.arange(VERTICES["fsaverage"]) % (count + 1)  # from 1; 0 leads nowhere
    for side in layout.HEMISPHERES:
        path = layout.to_fsaverage(nsd.root, SUBJECT, side)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_map(path, to.astype(np.float32).reshape(-1, 1, 1))
    config = NsdConfig(root=str(nsd.root), rois=ROIS)
    dataset = NsdDataset(config)
    found = dataset.localisers
    assert "prf_angle" in found
    for number, side in enumerate(layout.HEMISPHERES):
        rows = (dataset.targets["hemisphere"] == side).to_numpy()
        nearest = to[dataset.targets.loc[rows, "vertex"].astype(int)] - 1
        expected = np.where(nearest < 0, np.nan, nearest + 100 * number)
        np.testing.assert_array_equal(found.loc[rows, "prf_angle"], expected)
    names = dataset.files.all()
    assert f"nsddata/freesurfer/{SUBJECT}/label/lh.prfangle.mgz" in names


def test_volumes_are_read_where_the_betas_are(small: Callable[..., Nsd]) -> None:
    nsd = small(space="func1pt8mm", kind="nifti")
    values = np.arange(np.prod(VOLUME))
    write_prf(nsd, "func1pt8mm", "eccentricity", {None: values})
    config = NsdConfig(root=str(nsd.root), space=NsdSpace.func1pt8mm, rois=ROIS)
    dataset = NsdDataset(config)
    voxels = dataset.targets["vertex"].to_numpy(dtype=float)
    np.testing.assert_array_equal(dataset.localisers["prf_eccentricity"], voxels)
    path = layout.prf_map(nsd.root, SUBJECT, "func1pt8mm", "eccentricity")
    nib.save(nib.Nifti1Image(np.zeros((4, 3, 1), np.float32), np.eye(4)), path)
    with pytest.raises(DataError, match="another shape"):
        _ = NsdDataset(config).localisers


def test_without_a_file_of_fields_those_that_were_planted_count(tmp_path: Path) -> None:
    rows = {"hemisphere": ["lh", "lh", "rh"], "vertex": [4, 7, 4], "x": [0.0, None, -1.0],
            "y": [-2.0, None, 0.0], "width": [2.354820045, None, 1.0]}  # fmt: skip
    write_tsv(tmp_path / "targets.tsv", pd.DataFrame(rows))
    targets = pd.DataFrame({"hemisphere": ["rh", "lh", "lh"], "vertex": [4, 7, 4]})
    space = type("Space", (), {"count": 3})()
    found = read_localisers({}, {"targets.tsv": tmp_path / "targets.tsv"}, space, targets)
    np.testing.assert_allclose(found["prf_angle"], [180, np.nan, 270])
    np.testing.assert_allclose(found["prf_eccentricity"], [1, np.nan, 2])
    np.testing.assert_allclose(found["prf_size"], [1 / 2.354820045, np.nan, 1])


def test_fields_outside_the_picture_or_hardly_measured_are_left_out() -> None:
    table = pd.DataFrame(
        {
            "prf_angle": [0.0, 45.0, 0.0, 90.0, np.nan],
            "prf_eccentricity": [4.1, 5.9, 4.3, 1.0, 1.0],
            "prf_r2": [50.0, 50.0, 50.0, 9.0, 50.0],
            "t_faces": range(5),
        }
    )
    angle, far, size = receptive_fields(table, 8.4) or (np.zeros(0),) * 3
    np.testing.assert_array_equal(np.isfinite(angle), [True, True, False, False, False])
    np.testing.assert_array_equal(far[:2], [4.1, 5.9])
    assert np.isnan(size).all()
    assert list(contrasts(table)) == ["faces"]
    assert receptive_fields(table[["t_faces"]], 8.4) is None


def test_half_a_pair_of_hemispheres_is_no_map(small: Callable[..., Nsd]) -> None:
    nsd = small()
    side = {"lh": np.ones((VERTICES["nativesurface"], 1, 1))}
    write_prf(nsd, "fsaverage", "size", side)
    config = NsdConfig(root=str(nsd.root), rois=ROIS)
    assert "prf_size" not in find(config).localisers
