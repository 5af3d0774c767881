"""Where the responses of a prepared dataset stand: one file of all trials, or one a subject.

Subjects of one dataset may share no target: their responses would be a table of blocks that is
mostly empty. It is never made. Each subject has a file of its own, and whoever reads asks for
rows and columns of the whole, or for one subject (`neuroattn.data.prepared.Prepared`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import DataError
from neuroattn.data.store import RESPONSES, SESSIONS, Moments
from neuroattn.data.store_read import Columns, Rows, open_store
from neuroattn.data.store_scale import Linear, SessionScale, check_scale, raw

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def store_name(name: str, subject: str) -> str:
    """Name of a subject's own file: ``responses.h5`` becomes ``responses-subj01.h5``.

    Raises
    ------
    DataError : the subject's name cannot stand in the name of a file.
    """
    if not _SAFE.fullmatch(subject):
        raise DataError(
            "the name of a subject cannot stand in the name of a file",
            expected="letters, digits, points, dashes and underscores",
            found=repr(subject),
            fix="rename the subject, or prepare its data alone",
        )
    stem, _, suffix = name.rpartition(".")
    return f"{stem}-{subject}.{suffix}"


class SubjectWriter(ArtefactWriter):
    """Writes one subject's store into the artefact of several."""

    def __init__(self, out: ArtefactWriter, subject: str) -> None:
        super().__init__(out.folder)
        self.subject = subject

    @property
    def is_finished(self) -> bool:
        """Whether the store is there: the file of moments is written last."""
        return (self.folder / store_name(SESSIONS, self.subject)).is_file()

    def _target(self, name: str) -> Path:
        return super()._target(store_name(name, self.subject))


@dataclass(frozen=True, eq=False)
class SubjectScales:
    """Z-scores of several subjects, each with sessions and targets of its own."""

    parts: Mapping[str, SessionScale]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Named arrays for a sidecar, ``subject/name``."""
        return {
            f"{subject}/{name}": values
            for subject, scale in self.parts.items()
            for name, values in scale.arrays().items()
        }


Scale = SessionScale | SubjectScales


@dataclass(frozen=True, eq=False)
class Block:
    """One file of responses, and which trials and targets of the dataset it holds.

    Parameters
    ----------
    subject : whose it is; empty for a file of all trials.
    rows : (trials,) of the dataset, ascending, that are read from this file.
    columns : first and last target but one, as in a slice.
    inner : (trials,) rows of the file; None where all are read, in order.
    sessions : (trials,) number of each trial's session within the block.
    kept : (sessions,) their rows in the file of moments.
    names : sessions in words.
    scale : z-scores in which responses are read.
    """

    artefact: Artefact
    subject: str
    rows: Ids
    columns: slice
    inner: Ids | None
    sessions: Ids
    kept: Ids
    names: list[str]
    scale: SessionScale | None = None

    @property
    def files(self) -> tuple[str, str]:
        """Names of the files of responses and of moments."""
        if not self.subject:
            return RESPONSES, SESSIONS
        return store_name(RESPONSES, self.subject), store_name(SESSIONS, self.subject)

    def select(self, rows: Ids) -> tuple[Ids, Ids]:
        """Those of the dataset's ``rows`` that stand here: (positions in ``rows``, own rows)."""
        if not len(self.rows):
            return rows[:0], rows[:0]
        own = np.minimum(np.searchsorted(self.rows, rows), len(self.rows) - 1)
        here = np.flatnonzero(self.rows[own] == rows)
        return here, own[here]

    def targets(self, wanted: Ids) -> tuple[Ids, Ids]:
        """Those of the dataset's targets that stand here: (positions, own columns)."""
        here = np.flatnonzero((wanted >= self.columns.start) & (wanted < self.columns.stop))
        return here, wanted[here] - self.columns.start

    @contextmanager
    def open(self, columns: Columns = None) -> Iterator[OpenBlock]:
        """The block, open for reading its own ``columns``."""
        linear = self.linear()
        with open_store(self.artefact, *self.files) as store:
            sessions = self.sessions
            if self.inner is not None:
                sessions = np.zeros(len(store.table), dtype=np.int64)
                sessions[self.inner] = self.sessions
            yield OpenBlock(Rows(store, linear, sessions, columns), self.inner)

    def linear(self) -> Linear | None:
        """How stored values become responses; None leaves them as they are."""
        moments = self.files[1]
        with open_store(self.artefact, *self.files) as store:
            half, targets = store.half, store.table.shape[1]
        if half:
            with self.artefact.hdf5(moments) as file:
                linear = Linear(file["scale"][:][self.kept], file["mean"][:][self.kept])
        elif self.scale is None:
            return None
        else:
            linear = raw(len(self.kept), targets)
        return linear if self.scale is None else linear.then(self.scale)

    def moments(self) -> SessionScale:
        """Mean and deviation of each session over all its trials, as ``prepare`` kept them."""
        with self.artefact.hdf5(self.files[1]) as file:
            arrays = [file[name][:][self.kept] for name in ("mean", "scale", "count")]
        return check_scale(SessionScale(*arrays), self.names)

    def fitted(self, rows: Ids) -> SessionScale:
        """The same over its own ``rows`` alone, in their order."""
        with self.open() as reader:
            moments = Moments(len(self.kept), len(reader.columns))
            for place, values in reader.read(rows):
                moments.add(values, self.sessions[rows[place]])
        return check_scale(SessionScale(moments.mean(), moments.scale(), moments.count), self.names)


@dataclass(frozen=True)
class OpenBlock:
    """An open file of responses, read by the block's own rows."""

    file: Rows
    inner: Ids | None

    @property
    def columns(self) -> Ids:
        """Columns that are read."""
        return self.file.columns

    def read(self, rows: Ids) -> Iterator[tuple[Ids, NDArray[np.float32]]]:
        """Yield (positions in ``rows``, responses)."""
        yield from self.file.read(rows if self.inner is None else self.inner[rows])

    def into(self, rows: Ids, out: NDArray[np.float32]) -> None:
        """Write responses to ``out`` (rows, columns), in the order of ``rows``."""
        self.file.into(rows if self.inner is None else self.inner[rows], out)

    def span(self, start: int, stop: int) -> NDArray[np.float32]:
        """Responses of the own rows ``start`` to ``stop``."""
        if self.inner is None:
            return self.file.block(start, stop)
        out = np.empty((stop - start, len(self.columns)), dtype=np.float32)
        for place, values in self.read(np.arange(start, stop)):
            out[place] = values
        return out


def count_of(positions: Ids) -> int:
    """How many positions there are, ascending from 0 without a gap."""
    return int(positions[-1]) + 1 if len(positions) else 0


def sums_of(
    reader: OpenBlock, rows: Ids, positions: Ids, block: int, *, squares: bool = False
) -> Iterator[tuple[slice, Ids, Floats, Floats]]:
    """Yield (positions, trials of each, sums, sums of squares if asked) in bounded blocks."""
    count = count_of(positions)
    width = len(reader.columns)
    step = max(1, block // (8 * max(1, width)))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        lower, upper = np.searchsorted(positions, [part.start, part.stop])
        slots = positions[lower:upper] - start
        sums = np.zeros((part.stop - start, width))
        powers = np.zeros_like(sums if squares else sums[:0])
        for place, values in reader.read(rows[lower:upper]):
            for slot, value in zip(slots[place], values, strict=True):
                sums[slot] += value
                if squares:
                    powers[slot] += np.square(value, dtype=np.float64)
        yield part, np.bincount(slots).astype(np.int64), sums, powers


def put(
    out: NDArray[np.float32], rows: Ids, columns: Ids, values: NDArray[np.floating[Any]]
) -> None:
    """``out[rows, columns] = values``, at full speed where all columns are filled."""
    if len(columns) == out.shape[1]:
        out[rows] = values
    else:
        out[np.ix_(rows, columns)] = values
