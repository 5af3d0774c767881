"""Files that we write; what the disk refuses is told, and never crashes the process."""

from __future__ import annotations

import errno
import resource
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


def test_a_full_disk_is_told_where_the_block_reads_back(tmp_path: Path) -> None:
    """What was dropped reads as damage, which is not why it fails."""

    def write() -> Ran:
        with (
            pytest.raises(StorageError, match="size limit"),
            create_hdf5(tmp_path / "a.h5") as file,
        ):
            add_dataset(file, "values", VALUES)[:]
        return Ran(0, "", "")

    assert in_child(write, lambda: limit_files(5_000)).code == 0


@pytest.mark.parametrize("keep", [0, 10, 3000])
def test_a_cut_file_is_damaged(keep: int, tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")
    (tmp_path / "b.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:keep])
    with pytest.raises(ArtefactError, match="damaged"), open_hdf5(tmp_path / "b.h5") as file:
        file["values"][:]


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9], ids=str)
def test_a_flipped_byte_is_damage(place: float, tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[int(place * len(content))] ^= 1
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(ArtefactError, match="damaged"), open_hdf5(tmp_path / "a.h5") as file:
        file["values"][:]


@pytest.mark.parametrize("mark", [b"TREE", b"SNOD", b"HEAP"])
def test_a_damaged_group_is_damage(mark: bytes, tmp_path: Path) -> None:
    """Of groups HDF5 raises RuntimeError, as callers do."""
    _write(tmp_path / "a.h5")
    content = bytearray((tmp_path / "a.h5").read_bytes())
    content[content.rindex(mark)] ^= 1
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(ArtefactError, match="damaged") as caught, open_hdf5(tmp_path / "a.h5") as f:
        f.visit(lambda _: None)
    assert isinstance(caught.value.found, RuntimeError)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EMFILE, "Too many open files"),
        OSError("4096 requested and 512 written"),  # numpy.save
        RuntimeError("can't start new thread"),
    ],
    ids=["disk", "files", "numpy", "thread"],
)
def test_what_a_caller_raises_is_no_damage(error: Exception, tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")

    def work() -> None:
        with open_hdf5(tmp_path / "a.h5"):
            raise error

    with pytest.raises((OSError, RuntimeError)) as caught:
        work()
    assert caught.value is error


def test_too_many_open_files_are_no_damage(tmp_path: Path) -> None:
    _write(tmp_path / "a.h5")

    def read() -> Ran:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        with pytest.raises(OSError, match="Too many open files") as caught:
            open_hdf5(tmp_path / "a.h5").__enter__()
        return Ran(0, str(caught.value.errno), "")

    assert in_child(read, lambda: None).out == str(errno.EMFILE)
