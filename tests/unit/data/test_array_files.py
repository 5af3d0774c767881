"""Arrays from outside: nothing in them is executed, nothing outside them is read."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neuroattn.core.errors import DataError, SecurityError
from neuroattn.data.array_files import KeptArray, open_hdf5_array, open_npy


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.flag,))


@pytest.mark.parametrize("how", ["object array", "bare pickle", "old pickle"])
def test_a_pickle_is_refused_and_not_executed(tmp_path: Path, how: str) -> None:
    flag, path = tmp_path / "executed", tmp_path / "a.npy"
    if how == "object array":
        np.save(path, np.array([Bomb(flag)], dtype=object), allow_pickle=True)
    else:
        path.write_bytes(pickle.dumps(Bomb(flag), protocol=4 if how == "bare pickle" else 0))
    with pytest.raises(SecurityError if how != "old pickle" else DataError):
        open_npy(path)
    assert not flag.exists()


def test_an_array_is_mapped_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    assert isinstance(open_npy(tmp_path / "a.npy"), np.memmap)


def test_an_array_cut_off_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((100, 3)))
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match="cut off"):
        open_npy(path)


def test_an_archive_is_no_array(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="npz"):
        open_npy(tmp_path / "a.npz")


def test_hdf5_array_is_found_or_its_neighbours_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["data"] = np.arange(3)
    with open_hdf5_array(path, "data") as array:
        assert array[:].tolist() == [0, 1, 2]
    with pytest.raises(DataError, match="/data"), open_hdf5_array(path, "responses"):
        pass


def test_hdf5_that_points_elsewhere_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    layout = h5py.VirtualLayout(shape=(3,), dtype="f8")
    layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "x", shape=(3,))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["link"] = h5py.ExternalLink("other.h5", "x")
        file.create_virtual_dataset("virtual", layout)
        outside = [(tmp_path / "raw.bin", 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("raw", (3,), dtype="f8", external=outside)
    for key in ("link", "virtual", "raw"):
        with pytest.raises(SecurityError), open_hdf5_array(tmp_path / "a.h5", key):
            pass


def test_no_hdf5_at_all_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"not HDF5" * 100)
    with pytest.raises(DataError, match="cannot be read"), open_hdf5_array(tmp_path / "a.h5", "x"):
        pass


def test_what_a_caller_raises_is_no_damage_of_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = np.arange(3)

    def work() -> None:
        with open_hdf5_array(tmp_path / "a.h5", "data"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left") as caught:
        work()
    assert caught.value.errno == errno.ENOSPC


def test_a_kept_array_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, opened, really = tmp_path / "a.h5", [], h5py.File
    with h5py.File(path, "w") as file:
        file["x"] = np.arange(6).reshape(3, 2)
    monkeypatch.setattr(h5py, "File", lambda *words: opened.append(words) or really(*words))
    array = KeptArray(path, "x")
    assert [array.read(row).tolist() for row in (2, 0)] == [[4, 5], [0, 1]]
    assert len(opened) == 1
    assert pickle.loads(pickle.dumps(array)).read(1).tolist() == [2, 3]


def test_a_kept_array_shows_its_file_as_it_is_now(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    for place, value in (("a.h5", 1), ("new.h5", 2)):
        with h5py.File(tmp_path / place, "w") as file:
            file["x"] = np.full(3, value)
    array = KeptArray(path, "x")
    assert array.read(0) == 1
    (tmp_path / "new.h5").replace(path)
    assert array.read(0) == 2
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="cannot be read"):
        array.read(0)
