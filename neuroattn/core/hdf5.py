"""HDF5 files that we write: checksummed chunks, written whole under a temporary name.

A plain HDF5 dataset returns flipped bits without a word; Fletcher-32 over every chunk
makes the read fail instead.
"""

from __future__ import annotations

import io
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.atomic import atomic_path
from neuroattn.core.errors import ArtefactError

CHUNK_BYTES = 1 << 20


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a new file for writing; it takes the name ``path`` when the block ends well.

    Raises
    ------
    StorageError : the disk refused a write; the block ran on to its end all the same, or until
        it read that back.
    """
    with atomic_path(path) as temporary, _Shield(temporary) as shield:
        try:
            with h5py.File(shield, "w", track_order=True) as file:
                yield file
                file.flush()
        except Exception:
            shield.settle()  # what was dropped cannot be read back: the refusal is the cause
            raise
        shield.settle()


class _Shield(io.RawIOBase):
    """A file whose refused writes HDF5 never hears of: told, it crashes when it closes.

    The library keeps what it could not write and tries again while it shuts down, which ends
    the process with a segmentation fault (h5py issue 914). Here the first refusal is kept,
    all later writes are dropped, and `settle` raises once the library has let go.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115 - closed by `close`
        self._refusal: OSError | None = None

    def settle(self) -> None:
        """Raise what the disk refused first, if anything."""
        if self._refusal is not None:
            raise self._refusal

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``; beyond the end of the file stand zeros."""
        view = memoryview(buffer).cast("B")
        count = self._file.readinto(view)
        view[count:] = bytes(len(view) - count)
        return len(view)

    def write(self, content: Any) -> int:
        rest = memoryview(content).cast("B")
        size = len(rest)
        while rest and self._refusal is None:
            with self._kept():
                rest = rest[self._file.write(rest) :]
        return size

    def truncate(self, size: int | None = None) -> int:
        if self._refusal is None:
            with self._kept():
                self._file.truncate(size)
        return size or 0

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._refusal = error

    def close(self) -> None:
        self._file.close()
        super().close()


def add_dataset(
    group: h5py.Group,
    name: str,
    data: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    dtype: Any = None,
    attributes: dict[str, Any] | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> h5py.Dataset:
    """Create a chunked dataset with a Fletcher-32 checksum on every chunk.

    Rows (axis 0) stay together in chunks of about 1 MiB; smaller ones suit readers of
    scattered rows. ``shape`` and ``dtype`` reserve an empty dataset to be filled block by block.
    """
    values = None if data is None else np.asarray(data)
    if values is not None and values.dtype.kind in "UO":
        values = _fixed_text(values)
    full = values.shape if values is not None else shape
    kind = values.dtype if values is not None else np.dtype(dtype)
    if full is None or not full or 0 in full:  # scalars and empty arrays cannot be chunked
        dataset = group.create_dataset(name, data=values, shape=full, dtype=kind)
    else:
        chunks = _chunks(full, kind, chunk_bytes)
        dataset = group.create_dataset(
            name, data=values, shape=full, dtype=kind, chunks=chunks, fletcher32=True
        )
    dataset.attrs.update(attributes or {})
    return dataset


def _fixed_text(values: NDArray[Any]) -> NDArray[Any]:
    """Text in UTF-8 of one length: HDF5 refuses checksums over strings of many lengths."""
    coded = [str(text).encode() for text in values.ravel()]
    kind = h5py.string_dtype("utf-8", max(1, *map(len, coded), 1))
    return np.array(coded, dtype=kind).reshape(values.shape)


def _chunks(shape: Sequence[int], dtype: np.dtype[Any], size: int) -> tuple[int, ...]:
    row = max(1, int(np.prod(shape[1:], dtype=np.int64)) * max(1, dtype.itemsize))
    return (int(min(shape[0], max(1, size // row))), *shape[1:])


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; damage that HDF5 finds on the way is an `ArtefactError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        if not is_damage(error):
            raise
        raise ArtefactError(
            "the HDF5 file is damaged",
            file=path,
            found=error,
            fix="delete its folder and run again",
        ) from error


def is_damage(error: OSError | RuntimeError) -> bool:
    """Whether HDF5 says that a file is not what it was.

    What the system refuses has an errno, and what a caller raised while the file was open did not
    come from h5py.
    """
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = str(frame.f_globals.get("__name__"))
    return getattr(error, "errno", None) is None and module.partition(".")[0] == "h5py"
