"""One pass through betas: every format gives the same sample, and shows where data lack."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.data.manifests import scan as module
from neuroattn.data.manifests.scan import betas_form, is_absurd, scan
from tests.nsd_copy import VOLUME, save_hdf5, save_mgh, save_nifti

PLACES = int(np.prod(VOLUME))


@pytest.fixture
def stored() -> np.ndarray:
    values = np.random.default_rng(0).integers(-900, 900, (7, PLACES)).astype(np.int16)
    values[:, 11] = 0
    return values


def _write(kind: str, path: Path, values: np.ndarray) -> Path:
    if kind == "mgh":
        save_mgh(path / "x.mgh", values.T / 300)
        return path / "x.mgh"
    if kind == "hdf5":
        save_hdf5(path / "x.hdf5", values, VOLUME[::-1])
        return path / "x.hdf5"
    save_nifti(path / "x.nii.gz", values.T, np.int16)
    return path / "x.nii.gz"


@pytest.mark.parametrize("block", [1, 600, 1 << 26])
@pytest.mark.parametrize("kind", ["mgh", "hdf5", "nifti"])
def test_formats_agree_whatever_the_block(
    kind: str, block: int, stored: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", block)
    path = _write(kind, tmp_path, stored)
    wanted = np.array([0, 3, 11, 12, 100, PLACES - 1])
    found = scan(path, kind, (wanted, wanted[:1]))
    scale = 300 if kind == "mgh" else 1
    np.testing.assert_allclose(found.samples[0] * scale, stored[:, wanted], rtol=1e-5)
    np.testing.assert_allclose(found.samples[1] * scale, stored[:, :1], rtol=1e-5)
    assert np.flatnonzero(found.empty).tolist() == [11]
    assert betas_form(path, kind) == (found.places, found.trials) == (PLACES, 7)
    assert not is_absurd(found)


def test_missing_values_are_seen(stored: np.ndarray, tmp_path: Path) -> None:
    values = (stored / 300).astype(np.float32)
    values[3, 5] = np.nan
    values[:, 6] = np.inf
    save_mgh(tmp_path / "x.mgh", values.T)
    found = scan(tmp_path / "x.mgh", "mgh")
    assert np.flatnonzero(found.nan).tolist() == [5, 6]
    assert np.flatnonzero(found.zero).tolist() == [11]


def test_swapped_bytes_are_absurd(stored: np.ndarray, tmp_path: Path) -> None:
    path = _write("mgh", tmp_path, stored)
    content = path.read_bytes()
    path.write_bytes(content[:284] + np.frombuffer(content[284:], ">f4").astype("<f4").tobytes())
    assert is_absurd(scan(path, "mgh"))


@pytest.mark.parametrize("kind", ["mgh", "nifti"])
def test_a_cut_file_is_an_error(kind: str, stored: np.ndarray, tmp_path: Path) -> None:
    path = _write(kind, tmp_path, stored)
    path.write_bytes(path.read_bytes()[:-60])  # an MGH may end with a footer that holds no values
    with pytest.raises((ValueError, EOFError)):
        scan(path, kind)
