"""Arrays that a user brings, ``.npy`` or HDF5: opened without trust and without reading them whole.

A pickled ``.npy`` would run the code inside it, and an HDF5 file may point into other files
whose bytes no fingerprint has seen; both are refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError, SecurityError
from neuroattn.core.hdf5 import is_damage

_MAGIC = b"\x93NUMPY"


def open_npy(path: Path) -> NDArray[Any]:
    """Memory-map a ``.npy`` file.

    Raises
    ------
    SecurityError : it is pickled; nothing in it is executed.
    DataError : it is not a ``.npy`` file, or is cut off.
    """
    with open(path, "rb") as handle:
        start = handle.read(len(_MAGIC))
    if start[:1] == b"\x80":  # the opcode with which every binary pickle begins
        raise _pickled(path)
    if start != _MAGIC:
        raise DataError(
            "the file is not a NumPy array",
            file=path,
            expected="a .npy file (numpy.save)",
            found="a zip archive (.npz)" if start[:2] == b"PK" else f"first bytes {start!r}",
            fix="write it with numpy.save(FILE, array)",
        )
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "object" in str(error).lower() or "pickle" in str(error).lower():
            raise _pickled(path) from error
        raise DataError(
            "the NumPy array cannot be read",
            file=path,
            expected="a whole .npy file",
            found=error,
            fix="copy the file again; it is cut off or damaged",
        ) from error
    return array


def _pickled(path: Path) -> SecurityError:
    return SecurityError(
        "the array is pickled; reading it would execute the code inside",
        file=path,
        expected="plain numbers",
        found="Python objects",
        fix="write it again as numbers: numpy.save(FILE, numpy.asarray(values, dtype='float32'))",
    )


@contextmanager
def open_hdf5_array(path: Path, key: str) -> Iterator[h5py.Dataset]:
    """Open the array ``key`` of an HDF5 file that a user brings.

    Raises
    ------
    DataError : the file is damaged, or has no such array.
    SecurityError : the array's values stand in another file.
    """
    with _damage_told(path, key), h5py.File(path, "r") as file:
        yield _own_array(file, key, path)


class KeptArray:
    """One array of an HDF5 file, open from its first reading on; read by any thread.

    Opening costs eight times what one picture of 425 pixels does (2.5 against 0.3 ms). The file
    is opened again in another process, as a handle does not survive a fork, and when the file
    itself has changed.
    """

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key
        self._kept: tuple[tuple[int, ...], h5py.Dataset] | None = None

    def read(self, rows: int | slice) -> NDArray[Any]:
        """Values of ``rows``, as `open_hdf5_array` would give them, with its errors."""
        with _damage_told(self.path, self.key):
            return np.asarray(self._array()[rows])

    def _array(self) -> h5py.Dataset:
        found = self.path.stat()
        now = (os.getpid(), found.st_ino, found.st_size, found.st_mtime_ns)
        kept = self._kept
        if kept is not None and kept[0] == now:
            return kept[1]
        kept = self._kept = None  # let go first: a file that is open would be given as it was
        array = _own_array(h5py.File(self.path, "r"), self.key, self.path)
        self._kept = (now, array)
        return array

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "key": self.key, "_kept": None}


@contextmanager
def _damage_told(path: Path, key: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:
        if not is_damage(error):
            raise
        raise DataError(
            "the HDF5 file cannot be read",
            file=path,
            expected=f"a whole HDF5 file with /{key}",
            found=error,
            fix="copy the file again; it is cut off, damaged or no HDF5 file",
        ) from error


def _own_array(file: h5py.File, key: str, path: Path) -> h5py.Dataset:
    link = file.get(key, getlink=True)
    if isinstance(link, h5py.ExternalLink):
        raise _elsewhere(path, key)
    array = file.get(key)
    if not isinstance(array, h5py.Dataset):
        raise DataError(
            f"the HDF5 file has no array /{key}",
            file=path,
            expected=f"/{key}",
            found=", ".join(f"/{name}" for name in file) or "an empty file",
            fix=f"name the array {key} in the file",
        )
    if array.external or array.is_virtual:
        raise _elsewhere(path, key)
    return array


def _elsewhere(path: Path, key: str) -> SecurityError:
    return SecurityError(
        f"the values of /{key} stand in another file, which no digest covers",
        file=path,
        expected="values inside the file",
        found="an external or virtual dataset",
        fix="copy the values into this file (h5repack or h5py)",
    )
