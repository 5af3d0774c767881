"""Rows of one table in an HDF5 file, written at their place and read past the library.

``/responses`` stands in one piece (HDF5's contiguous layout), so a row is one range of bytes:
any reader of HDF5 opens the file, and rows scattered over it cost neither a chunk nor a copy.
HDF5 has no checksum for this layout: CRC-32 of every row stands beside the table, is checked
whenever a row is read, and detects any damage within 32 bits, and 1 - 2^-32 of any other.

Reading V bytes moves V from the disk, asked for ahead so that scattered rows are not waited for
one by one, V from the page cache into a buffer that stays in the processor's cache, and V from
there through the checksum. Two threads share the rows; which of them reads a row changes nothing.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.atomic import fsync_folder, storage_errors
from neuroattn.core.errors import ArtefactError
from neuroattn.core.hdf5 import create_hdf5

READERS = 2
TABLE, CHECKSUMS = "responses", "crc32"
_RUN = 256 << 10  # read at once: stays in a core's own cache
_GAP = 8 << 10  # bytes between rows that are read rather than skipped
_CLAIM = 1 << 20
_HEAD = 64 << 10  # room for attributes; HDF5 crashes where it meets a full disk
_NO_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)

Ids = NDArray[np.int64]
Sums = NDArray[np.uint32]
Take = Callable[[int, NDArray[Any]], None]


def checksums(rows: NDArray[Any]) -> Sums:
    """CRC-32 (rows,) of the bytes of each row of a contiguous table."""
    return np.fromiter((zlib.crc32(row) for row in rows), dtype=np.uint32, count=len(rows))


def create_table(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
    """Write an HDF5 file with room for ``/responses``; a full disk is found here.

    Raises
    ------
    StorageError : the disk refuses.
    """
    with create_hdf5(path) as file:
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.CONTIGUOUS)
        properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        properties.set_obj_track_times(False)  # equal content is equal bytes
        kind, space = h5py.h5t.py_create(dtype, logical=True), h5py.h5s.create_simple(shape)
        h5py.h5d.create(file.id, TABLE.encode(), kind, space, dcpl=properties)
    with storage_errors(path), open(path, "r+b") as room:
        _reserve(room.fileno(), path.stat().st_size + _HEAD)
    fsync_folder(path.parent)


def _reserve(file: int, size: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        if error.errno not in _NO_RESERVE:  # a file system that cannot reserve still works
            raise


@dataclass(frozen=True)
class Place:
    """Where a contiguous table stands in its file."""

    path: Path
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[Any]

    @property
    def row_bytes(self) -> int:
        """Length of one row."""
        return self.shape[1] * self.dtype.itemsize


def place_of(table: h5py.Dataset) -> Place | None:
    """Where a table stands; None where it is chunked."""
    offset = table.id.get_offset() if table.chunks is None else None
    if offset is None:
        return None
    return Place(Path(table.file.filename), int(offset), table.shape, table.dtype)


def find_table(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> Place | None:
    """The table of a file that `create_table` made for these, or None."""
    try:
        with h5py.File(path, "r") as file:
            place = place_of(file[TABLE])
    except (OSError, KeyError, RuntimeError):
        return None
    if place is None or (place.shape, place.dtype) != (shape, dtype):
        return None
    end = place.offset + shape[0] * place.row_bytes
    return place if path.stat().st_size >= end else None


def put_rows(file: int, place: Place, first: int, rows: NDArray[Any]) -> None:
    """Write rows ``first`` onward, contiguous and of the table's type."""
    content = rows.reshape(-1).view(np.uint8).data
    at = place.offset + first * place.row_bytes
    while content:
        count = os.pwrite(file, content, at)
        content, at = content[count:], at + count


class RowReader:
    """Reads rows of a table, each checked.

    Parameters
    ----------
    place : where the table stands.
    crc32 : (rows,) checksums.
    """

    def __init__(self, place: Place, crc32: Sums) -> None:
        self.place, self._sums = place, crc32
        self._file = os.open(place.path, os.O_RDONLY)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def ahead(self, rows: Ids) -> None:
        """Ask the disk for ``rows``, ascending, without waiting for them."""
        if not hasattr(os, "posix_fadvise"):
            return
        for first, stop in self._runs(rows, _CLAIM):
            start, size = self._range(int(rows[first]), int(rows[stop - 1]))
            os.posix_fadvise(self._file, start, size, os.POSIX_FADV_WILLNEED)

    def read(self, rows: Ids, takes: Sequence[Take], pool: Executor) -> None:
        """Give each of ``rows``, ascending, to a ``take(position, row)``, one for each thread.

        The row that is given is a buffer that the next row overwrites.

        Raises
        ------
        ArtefactError : a row has other bytes than were written.
        """
        runs = list(self._runs(rows, _RUN))
        share = -(-len(runs) // len(takes))
        parts = [runs[share * k : share * (k + 1)] for k in range(len(takes))]
        for _ in pool.map(lambda part, take: self._read(rows, part, take), parts, takes):
            pass

    def _read(self, rows: Ids, runs: list[tuple[int, int]], take: Take) -> None:
        size = max(_RUN, self.place.row_bytes)
        scratch = np.empty(size, dtype=np.uint8)
        for first, stop in runs:
            numbers = rows[first:stop].tolist()
            start, count = self._range(numbers[0], numbers[-1])
            if os.preadv(self._file, [scratch[:count].data], start) != count:
                raise self._damaged(numbers[0], "fewer bytes")
            for position, row in enumerate(numbers, first):
                at = (row - numbers[0]) * self.place.row_bytes
                content = scratch[at : at + self.place.row_bytes]
                if zlib.crc32(content.data) != self._sums[row]:
                    raise self._damaged(row, "other bytes")
                take(position, content.view(self.place.dtype))

    def _range(self, first: int, last: int) -> tuple[int, int]:
        size = self.place.row_bytes
        return self.place.offset + first * size, (last - first + 1) * size

    def _runs(self, rows: Ids, most: int) -> Iterator[tuple[int, int]]:
        """Ranges of positions whose rows are neighbours, up to ``most`` bytes each."""
        size = self.place.row_bytes
        near, height = 1 + _GAP // size, max(1, most // size)
        numbers = rows.tolist()
        start = 0
        for position in range(1, len(numbers) + 1):
            if position == len(numbers) or not (
                numbers[position] - numbers[position - 1] <= near
                and numbers[position] - numbers[start] < height
            ):
                yield start, position
                start = position

    def _damaged(self, row: int, found: str) -> ArtefactError:
        return ArtefactError(
            "the responses are damaged",
            file=self.place.path,
            expected=f"row {row} with the checksum noted when it was written",
            found=found,
            fix="delete its folder and run again",
        )
