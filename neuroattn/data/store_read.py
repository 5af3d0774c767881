"""Reading rows of a stored table: any rows, any columns, whole chunks and each at most once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.store_scale import Linear

Ids = NDArray[np.int64]
Columns = slice | NDArray[Any] | None
_TOGETHER = 16 << 20


class Rows:
    """Rows of an open store on the scale asked for.

    Parameters
    ----------
    array : ``/responses``, (trials, targets).
    linear, sessions : how stored values become responses, by session of each trial; None
        leaves them as they are.
    columns : targets that are wanted.
    """

    def __init__(
        self, array: h5py.Dataset, linear: Linear | None, sessions: Ids, columns: Columns
    ) -> None:
        self.array, self.linear, self.sessions = array, linear, sessions
        self.columns = indices(columns, array.shape[1], "target")
        self._all = len(self.columns) == array.shape[1] and np.array_equal(
            self.columns, np.arange(array.shape[1])
        )

    def block(self, start: int, stop: int, within: Any = slice(None)) -> NDArray[np.float32]:
        """Responses (rows, columns) of rows ``start`` to ``stop``, or of those ``within``."""
        values = self.array[start:stop][within]
        if not self._all:
            values = values[:, self.columns]
        if self.linear is None:
            return np.asarray(values, dtype=np.float32)
        return self.linear.apply(values, self.sessions[start:stop][within], self.columns)

    def read(self, rows: Ids) -> Iterator[tuple[Ids, NDArray[np.float32]]]:
        """Yield (positions in ``rows``, responses), in ascending order of rows."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        for start, stop in spans(
            ascending, self.array.shape, self.array.chunks, self.array.dtype.itemsize
        ):
            lower, upper = np.searchsorted(ascending, [start, stop])
            yield order[lower:upper], self.block(start, stop, ascending[lower:upper] - start)


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
