"""Files that we write; what the disk refuses is told, and never crashes the process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import ArtefactError, StorageError
from neuroattn.core.hdf5 import add_dataset, create_hdf5, open_hdf5
from tests.chain import Ran
from tests.faults import in_child, limit_files

VALUES = np.random.default_rng(0).normal(size=(700, 600)).astype(np.float32)


def _write(path: Path) -> None:
    with create_hdf5(path) as file:
        add_dataset(file, "values", VALUES, attributes={"units": "percent"})
        group = file.create_group("sub")
        add_dataset(group, "names", [["a", "é"], ["", "long name"]])
        add_dataset(group, "one", "scalar")
        add_dataset(group, "none", np.empty((0, 3)))


def test_what_is_written_is_read(tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")
    with open_hdf5(tmp_path / "a.h5") as file:
        assert np.array_equal(file["values"][:], VALUES)
        assert file["values"].attrs["units"] == "percent"
        assert file["sub/names"].asstr()[:].tolist() == [["a", "é"], ["", "long name"]]
        assert file["sub/one"].asstr()[()] == "scalar"
        assert file["sub/none"].shape == (0, 3)
        assert file["values"].fletcher32
        assert file["sub/names"].fletcher32


def test_equal_content_is_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        _write(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_blocks_may_come_in_any_order(tmp_path: Path) -> None:
    with create_hdf5(tmp_path / "a.h5") as file:
        array = add_dataset(file, "values", shape=VALUES.shape, dtype=np.float32, chunk_bytes=9000)
        for start in (400, 0, 200, 600):
            array[start : start + 200] = VALUES[start : start + 200]
        assert np.array_equal(array[100:300], VALUES[100:300]), "what was written can be read"
    with open_hdf5(tmp_path / "a.h5") as file:
        assert np.array_equal(file["values"][:], VALUES)


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), create_hdf5(tmp_path / "a.h5") as file:
        add_dataset(file, "values", VALUES).attrs["absent"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", [0, 100, 5_000, 1_000_000])
def test_a_full_disk_is_a_storage_error(limit: int, tmp_path: Path) -> None:
    """HDF5 itself would end the process with a segmentation fault."""

    def write() -> Ran:
        for _ in range(3):
            with pytest.raises(StorageError, match="size limit"):
                _write(tmp_path / "a.h5")
        return Ran(0, str(sorted(path.name for path in tmp_path.iterdir())), "")

    ran = in_child(write, lambda: limit_files(limit))
    assert ran.code == 0, "the process was killed"
    assert ran.out == "[]"


@pytest.mark.parametrize("keep", [0, 10, 3000])
def test_a_cut_file_is_damaged(keep: int, tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:keep])
    with pytest.raises(ArtefactError, match="damaged"), open_hdf5(tmp_path / "b.h5") as file:
        file["values"][:]
