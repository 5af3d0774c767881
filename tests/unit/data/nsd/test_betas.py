"""Files of betas: byte order, axes, scale, blocks, and files that are something else."""

from __future__ import annotations

from pathlib import Path

import h5py
import nibabel as nib
import numpy as np
import pytest

from neuroattn.core.errors import DataError, SecurityError
from neuroattn.data.nsd import betas as betas_module
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.betas import Part, open_betas, session_blocks
from tests.nsd_files import VOLUME, Nsd, betas, cut

IDS = np.arange(12) * 5
PLACES = np.array([2, 3, 11, 17])


def _file(tmp_path: Path, kind: str, **settings: bool) -> Path:
    from tests.nsd_files import write_betas

    path = tmp_path / f"betas{layout.SUFFIXES[kind]}"
    write_betas(path, kind, "fsaverage" if kind == "mgh" else "func1mm", IDS, None, **settings)
    return path


@pytest.mark.parametrize("kind", ["nifti", "hdf5", "mgh"])
@pytest.mark.parametrize("block", [1, 40, 100, 10**9])
def test_blocks_of_any_size(tmp_path: Path, kind: str, block: int) -> None:
    path = _file(tmp_path, kind)
    blocks = list(session_blocks([Part(path, PLACES)], kind, block))
    assert [rows.start for rows, _ in blocks] == [0, *[rows.stop for rows, _ in blocks[:-1]]]
    values = np.concatenate([values for _, values in blocks])
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, betas(IDS, PLACES))
    assert all(values.nbytes <= max(block, values.nbytes // len(values)) for _, values in blocks)


def test_hdf5_by_voxel_is_read_in_few_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _file(tmp_path, "hdf5")
    with open_betas(path, "hdf5") as file:
        assert file.height == len(IDS)
    reads: list[tuple[int, int]] = []
    original = betas_module.Hdf5Betas.read

    def read(self: object, start: int, stop: int, places: np.ndarray) -> np.ndarray:
        reads.append((start, stop))
        return original(self, start, stop, places)

    monkeypatch.setattr(betas_module.Hdf5Betas, "read", read)
    list(session_blocks([Part(path, PLACES)], "hdf5", 40))
    assert reads == [(0, 12)]
    reads.clear()
    monkeypatch.setattr(betas_module, "GATHERED", 5 * 2 * len(PLACES))  # bytes of five trials
    values = [values for _, values in session_blocks([Part(path, PLACES)], "hdf5", 40)]
    assert reads == [(0, 5), (5, 10), (10, 12)]
    np.testing.assert_array_equal(np.concatenate(values), betas(IDS, PLACES))


def test_hdf5_slabs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _file(tmp_path, "hdf5", chunks=False)
    monkeypatch.setattr(betas_module, "_SLAB", 1)
    with open_betas(path, "hdf5") as file:
        assert file.shape == VOLUME
        assert file.height == 1
        for places in (PLACES, np.array([23]), np.arange(24), np.array([], dtype=int)):
            read = file.read(3, 9, places).astype(np.float32) / 300
            np.testing.assert_allclose(read, betas(IDS[3:9], places), rtol=1e-6)


def test_left_then_right(tmp_path: Path) -> None:
    from tests.nsd_files import write_betas

    for side in layout.HEMISPHERES:
        write_betas(tmp_path / f"{side}.mgh", "mgh", "fsaverage", IDS, side)
    parts = [Part(tmp_path / "lh.mgh", PLACES), Part(tmp_path / "rh.mgh", PLACES[:2])]
    (_, values), *rest = session_blocks(parts, "mgh", 10**9)
    assert not rest
    left, right = betas(IDS, PLACES, "lh"), betas(IDS, PLACES[:2], "rh")
    np.testing.assert_array_equal(values, np.concatenate([left, right], axis=1))


def test_mgh_is_big_endian_and_unscaled(tmp_path: Path) -> None:
    path = _file(tmp_path, "mgh")
    stored = np.frombuffer(path.read_bytes()[284:], ">f4", count=30)  # behind the header of MGH
    np.testing.assert_array_equal(stored, betas(IDS[:1], np.arange(30))[0])
    with open_betas(path, "mgh") as file:
        assert file.scale == 1
        np.testing.assert_array_equal(file.read(0, 1, np.arange(30))[0], stored)


def _mgh(path: Path, dtype: str) -> None:
    nib.save(nib.MGHImage(np.ones((4, 1, 1, 3), dtype=dtype), np.eye(4)), path)


def _nifti(path: Path, dtype: str = "int16", slope: float = 1.0, trials: int = 3) -> None:
    image = nib.Nifti1Image(np.ones((2, 2, 2, trials), dtype=dtype), np.eye(4))
    image.header.set_slope_inter(slope, 0)
    nib.save(image, path)


def test_files_that_hold_something_else(tmp_path: Path) -> None:
    _mgh(tmp_path / "i.mgh", "int32")
    _nifti(tmp_path / "f.nii.gz", "float32")
    _nifti(tmp_path / "s.nii.gz", slope=1 / 300)
    nib.save(nib.Nifti1Image(np.ones((2, 2, 2), dtype="int16"), np.eye(4)), tmp_path / "3.nii.gz")
    with h5py.File(tmp_path / "f.hdf5", "w") as file:
        file["betas"] = np.ones((3, 4), dtype="float32")
    with h5py.File(tmp_path / "d.hdf5", "w") as file:
        file["betas"] = np.ones(4, dtype="int16")
    (tmp_path / "h.nii.gz").write_text("<!DOCTYPE html><title>404</title>" + " " * 2000)
    (tmp_path / "h.mgh").write_text("<!DOCTYPE html><title>404</title>" + " " * 2000)
    for name, kind, words in (
        ("i.mgh", "mgh", "float32 values"),
        ("f.nii.gz", "nifti", "int16 values"),
        ("s.nii.gz", "nifti", "no scale in its header"),
        ("3.nii.gz", "nifti", "four axes"),
        ("f.hdf5", "hdf5", "int16 values"),
        ("d.hdf5", "hdf5", "vertices"),
        ("h.nii.gz", "nifti", "cannot be read"),
        ("h.mgh", "mgh", "cannot be read"),
    ):
        with pytest.raises(DataError, match=words) as caught, open_betas(tmp_path / name, kind):
            pass
        assert name in str(caught.value)


def test_values_in_another_file_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["betas"] = h5py.ExternalLink("b.hdf5", "/betas")
    with pytest.raises(SecurityError), open_betas(tmp_path / "a.hdf5", "hdf5"):
        pass


@pytest.mark.parametrize("kind", ["nifti", "mgh"])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, kind: str) -> None:
    from tests.nsd_files import write_betas

    whole = tmp_path / f"lh{layout.SUFFIXES[kind]}"
    torn = tmp_path / f"rh{layout.SUFFIXES[kind]}"
    space = "fsaverage" if kind == "mgh" else "func1mm"
    for path in (whole, torn):
        write_betas(path, kind, space, IDS, None)
    cut(torn)
    for order in ([whole, torn], [torn, whole]):
        parts = [Part(path, PLACES) for path in order]
        with pytest.raises(DataError, match="cannot be read") as caught:
            list(session_blocks(parts, kind, 10**9))
        assert torn.name in str(caught.value)


def test_memory_is_bounded_by_the_block(tmp_path: Path) -> None:
    import tracemalloc

    values = np.zeros((20_000, 1, 1, 400), dtype=np.float32)  # 32 MB
    nib.save(nib.MGHImage(values, np.eye(4)), tmp_path / "lh.mgh")
    del values
    tracemalloc.start()
    for _ in session_blocks([Part(tmp_path / "lh.mgh", np.arange(20_000))], "mgh", 1 << 20):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20


def test_the_fabricated_copy_has_voxel_chunks(whole: Nsd) -> None:
    path = layout.betas(whole.root, "subj01", "func1mm", "b3", 1, format="hdf5")
    with h5py.File(path) as file:
        assert file["betas"].chunks == (whole.per_session, 1, 1, 1)
        assert file["betas"].shape[1:] == tuple(reversed(VOLUME))
