"""The grid of a volume comes from a header of that shape."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import nibabel as nib
import numpy as np

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.data.grid import grid_of, write_grid

AFFINE = np.diag([1.8, 1.8, 1.8, 1])


def test_the_first_file_of_the_shape_tells(tmp_path: Path) -> None:
    other, betas = tmp_path / "other.nii.gz", tmp_path / "betas.nii.gz"
    nib.Nifti1Image(np.zeros((2, 2, 2), np.float32), np.eye(4)).to_filename(other)
    nib.Nifti1Image(np.zeros((3, 4, 5, 2), np.float32), AFFINE).to_filename(betas)
    grid = grid_of([tmp_path / "betas.hdf5", other, betas], (3, 4, 5))
    assert grid is not None
    assert grid.shape == (3, 4, 5)
    np.testing.assert_allclose(grid.affine, AFFINE, rtol=1e-6)
    assert grid_of([other], (3, 4, 5)) is None
    write_grid(ArtefactWriter(tmp_path), SimpleNamespace(grid=grid))
    assert json.loads((tmp_path / "grid.json").read_text())["shape"] == [3, 4, 5]


def test_a_dataset_without_a_grid_has_no_file(tmp_path: Path) -> None:
    write_grid(ArtefactWriter(tmp_path), SimpleNamespace())
    write_grid(ArtefactWriter(tmp_path), SimpleNamespace(grid=None))
    assert not (tmp_path / "grid.json").exists()
