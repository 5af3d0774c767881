"""Reading a stored table: any rows, any columns, each row once, checked, scaled where it goes."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import DataError
from neuroattn.core.hdf5 import open_hdf5
from neuroattn.data.store_rows import CHECKSUMS, READERS, TABLE, RowReader, Take, place_of
from neuroattn.data.store_scale import Linear, Scaler

Ids = NDArray[np.int64]
Columns = slice | NDArray[Any] | None
_TOGETHER = 8 << 20
_AHEAD = 3


@dataclass(frozen=True, eq=False)
class Store:
    """An open table of responses (trials, targets), and the CRC-32 of its rows where known."""

    table: h5py.Dataset
    crc32: NDArray[np.uint32] | None = None

    @property
    def half(self) -> bool:
        """Whether it holds half precision, on the scale of its sessions."""
        return bool(self.table.dtype == np.float16)


@contextmanager
def open_store(artefact: Artefact, responses: str, moments: str) -> Iterator[Store]:
    """The table in the file ``responses``, and what its rows are checked by.

    A file with a checksum of each row, which stand in ``moments``, is not hashed on opening:
    its rows are checked when they are read. A file without is hashed.
    """
    with artefact.hdf5(moments) as file:
        crc32 = file[CHECKSUMS][:] if CHECKSUMS in file else None
    path = artefact.folder / responses
    size = artefact.files.get(responses, {}).get("bytes")
    if crc32 is None or not path.is_file() or path.stat().st_size != size:
        path = artefact.path(responses)
    with open_hdf5(path) as file:
        yield Store(file[TABLE], crc32)


class Rows:
    """Rows of an open store on the scale asked for.

    Parameters
    ----------
    store : the table, and the checksums of its rows.
    linear, sessions : how stored values become responses, by session of each trial; None
        leaves them as they are.
    columns : targets that are wanted.
    """

    def __init__(
        self, store: Store, linear: Linear | None, sessions: Ids, columns: Columns
    ) -> None:
        self.store, self.linear, self.sessions = store, linear, sessions
        self.columns = indices(columns, store.table.shape[1], "target")

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Responses (rows, columns) of rows ``start`` to ``stop``."""
        out = np.empty((stop - start, len(self.columns)), dtype=np.float32)
        self.into(np.arange(start, stop), out)
        return out

    def read(self, rows: Ids) -> Iterator[tuple[Ids, NDArray[np.float32]]]:
        """Yield (positions in ``rows``, responses), in ascending order of rows."""
        order = np.argsort(rows, kind="stable")
        with self._source() as source:
            for part in self._steps(source, rows[order]):
                out = np.empty((len(order[part]), len(self.columns)), dtype=np.float32)
                source.deliver(rows[order[part]], out, np.arange(len(out)))
                yield order[part], out

    def into(self, rows: Ids, out: NDArray[np.float32], places: Ids | None = None) -> None:
        """Write the responses of ``rows`` to the rows ``places`` of ``out``; None is in order.

        ``out`` is (rows, columns) float32, with the columns of a row side by side.
        """
        order = np.argsort(rows, kind="stable")
        target = order if places is None else places[order]
        with self._source() as source:
            for part in self._steps(source, rows[order]):
                source.deliver(rows[order[part]], out, target[part])

    def _steps(self, source: _Direct | _Library, ascending: Ids) -> Iterator[slice]:
        """Parts of 8 MiB as they are stored; each is asked for while those before are read."""
        step = max(1, _TOGETHER // (self.store.table.dtype.itemsize * self.store.table.shape[1]))
        for start in range(0, _AHEAD * step, step):
            source.ahead(ascending[start : start + step])
        for start in range(0, len(ascending), step):
            source.ahead(ascending[start + _AHEAD * step : start + (_AHEAD + 1) * step])
            yield slice(start, start + step)

    @contextmanager
    def _source(self) -> Iterator[_Direct | _Library]:
        place = place_of(self.store.table)
        if self.store.crc32 is None or place is None:
            yield _Library(self.store.table, self.sessions, self._scaler())
            return
        reader = RowReader(place, self.store.crc32)
        try:
            with ThreadPoolExecutor(READERS + 1) as pool:
                scalers = [self._scaler() for _ in range(READERS)]
                yield _Direct(reader, pool, self.sessions, scalers)
        finally:
            reader.close()

    def _scaler(self) -> Scaler:
        return Scaler(self.linear, _plain(self.columns), len(self.columns), self.store.half)


class _Direct:
    """Rows read at their place in the file, in several threads."""

    def __init__(
        self, reader: RowReader, pool: Executor, sessions: Ids, scalers: list[Scaler]
    ) -> None:
        self._reader, self._pool, self._sessions = reader, pool, sessions
        self._scalers = scalers

    def ahead(self, rows: Ids) -> None:
        self._pool.submit(self._reader.ahead, rows)  # advice: whether it is taken shows nowhere

    def deliver(self, rows: Ids, out: NDArray[np.float32], places: Ids) -> None:
        sessions, targets = self._sessions[rows].tolist(), places.tolist()

        def taking(scaler: Scaler) -> Take:
            return lambda at, row: scaler.put(row, sessions[at], out[targets[at]])

        self._reader.read(rows, [taking(scaler) for scaler in self._scalers], self._pool)


class _Library:
    """Rows read through HDF5, in spans of whole chunks."""

    def __init__(self, table: h5py.Dataset, sessions: Ids, scaler: Scaler) -> None:
        self._table, self._sessions, self._scaler = table, sessions, scaler

    def ahead(self, rows: Ids) -> None:
        """Nothing can be asked for ahead."""

    def deliver(self, rows: Ids, out: NDArray[np.float32], places: Ids) -> None:
        table = self._table
        for start, stop in spans(rows, table.shape, table.chunks, table.dtype.itemsize):
            values = table[start:stop]
            lower, upper = np.searchsorted(rows, [start, stop])
            for row, place in zip(rows[lower:upper], places[lower:upper], strict=True):
                self._scaler.put(values[row - start], int(self._sessions[row]), out[place])


def _plain(columns: Ids) -> Any:
    """Columns as a slice where they stand side by side, which saves a copy."""
    if len(columns) and np.array_equal(columns, np.arange(columns[0], columns[0] + len(columns))):
        return slice(int(columns[0]), int(columns[0]) + len(columns))
    return columns


def spans(
    ascending: Ids, shape: tuple[int, int], chunks: tuple[int, ...] | None, itemsize: int = 4
) -> list[tuple[int, int]]:
    """Ranges of rows, aligned to chunks, that cover ``ascending`` and no chunk without need.

    Neighbouring chunks are read together up to 16 MiB.
    """
    row = itemsize * shape[1]
    height = chunks[0] if chunks else max(1, min(shape[0], (1 << 20) // row))
    most = max(1, _TOGETHER // (row * height))
    found: list[tuple[int, int]] = []
    for chunk in np.unique(ascending // height):
        start, stop = int(chunk) * height, min((int(chunk) + 1) * height, shape[0])
        if found and found[-1][1] == start and stop - found[-1][0] <= most * height:
            found[-1] = (found[-1][0], stop)
        else:
            found.append((start, stop))
    return found


def indices(chosen: Any, size: int, what: str) -> Ids:
    """A slice, whole numbers, a mask or None (all) as numbers below ``size``.

    Raises
    ------
    DataError : another form, or a number that does not exist.
    """
    if chosen is None or isinstance(chosen, slice):
        return np.arange(size, dtype=np.int64)[chosen if chosen is not None else slice(None)]
    given = np.asarray(chosen)
    if given.dtype == np.bool_ and given.shape == (size,):
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise DataError(
            f"the choice of {what}s has another form",
            expected=f"whole numbers, or a mask of {size}",
            found=f"{given.dtype} of shape {given.shape}",
            fix="give a slice, integers or a mask",
        )
    if given.size and (given.min() < 0 or given.max() >= size):
        raise DataError(
            f"a {what} that does not exist", expected=f"0 to {size - 1}",
            found=f"{given.min()} to {given.max()}", fix=f"correct the {what}s",
        )  # fmt: skip
    return given.astype(np.int64)
