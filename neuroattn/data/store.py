"""The store of responses: written a session at a time, resumable, one file from the start.

``responses.h5`` holds ``/responses`` (trials, targets), in rows as ``trials.tsv``, in one of
two forms. ``float32`` keeps values as they came. ``float16`` keeps z-scores of the trial's
session, (value - mean) / scale over all its trials; ``sessions.h5`` keeps ``/mean`` and
``/scale`` (sessions, targets) float64 of both forms, so raw values come back with an error of
at most scale x (|z| 2^-11 + 2^-25), and 2^-23 (scale |z| + |mean|) from float32: .05 % of the
distance from the mean, for NSD a thousandth of the noise of one trial. So whatever is fitted on
raw values or on z-scores by training trials agrees to that error. It agrees to the last bit
whatever the test trials are with ``float32`` alone: a session's mean and scale see all its
trials, and move the rounding of half precision. ``/crc32`` (trials,) of ``sessions.h5`` is that
of the bytes of each row, by which it is checked whenever it is read (`store_rows`).

The file is made at full length and filled in place, so a finished session is never copied.
Bytes moved, for V values of a dataset: float32 writes 4 V; float16 writes 2 V, and 4 V more to a
file that is read once and removed, as a session's mean is known at its end. No sums per
image are kept: for 10,000 images and 40,000 targets they would take 1.6 GB beside a store of
2.4 GB that gives them in one pass, and they could not be rescaled by session.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.atomic import atomic_path, storage_errors
from neuroattn.core.errors import StorageError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.data.registry import StoreForm
from neuroattn.data.store_rows import (
    CHECKSUMS,
    TABLE,
    Place,
    checksums,
    create_table,
    find_table,
    put_rows,
)

RESPONSES = "responses.h5"
SESSIONS = "sessions.h5"
_MOMENTS = ("mean", "scale")
_STEP = 2 << 20
_STRIP = 8192  # targets at a time: their sums stay in the processor's cache

Codes = NDArray[np.int64]
Floats = NDArray[np.float64]
_DTYPES: dict[StoreForm, np.dtype[Any]] = {
    StoreForm.float32: np.dtype("<f4"),
    StoreForm.float16: np.dtype("<f2"),
}


def session_codes(trials: pd.DataFrame) -> Codes:
    """Running number of each trial's session (trials,), by first appearance over all subjects."""
    numbers = trials.groupby(["subject", "session"], sort=False).ngroup()
    return np.asarray(numbers, dtype=np.int64)


class Moments:
    """Count, mean and spread of each session and target, from rows in order.

    Rows are added one by one, as deviations from the session's first in float64: the result
    does not depend on blocks, and a constant target has a spread of exactly 0.
    """

    def __init__(self, sessions: int, targets: int) -> None:
        self.count = np.zeros(sessions, dtype=np.int64)
        self._first, self._sums, self._squares = np.zeros((3, sessions, targets))
        self._row = np.empty(min(_STRIP, targets))

    def add(self, values: NDArray[np.floating], codes: Codes) -> None:
        """Add rows (rows, targets) of the sessions ``codes`` (rows,)."""
        order = codes.tolist()
        for row, code in zip(values, order, strict=True):
            if not self.count[code]:
                self._first[code] = row
            self.count[code] += 1
        for start in range(0, values.shape[1], _STRIP):
            strip = slice(start, start + _STRIP)
            parts = self._first[:, strip], self._sums[:, strip], self._squares[:, strip]
            self._add(values[:, strip], order, *parts)

    def _add(
        self, values: NDArray[Any], codes: list[int], first: Floats, sums: Floats, squares: Floats
    ) -> None:
        away = self._row[: values.shape[1]]
        for row, code in zip(values, codes, strict=True):
            np.subtract(row, first[code], out=away)
            sums[code] += away
            squares[code] += np.square(away, out=away)

    def mean(self) -> Floats:
        """(sessions, targets); 0 for a session without rows."""
        return self._first + self._sums / self._counts()

    def scale(self) -> Floats:
        """Standard deviation (sessions, targets) with divisor n; 1 for a constant target."""
        offset = self._sums / self._counts()
        sd = np.sqrt(np.maximum(self._squares / self._counts() - np.square(offset), 0.0))
        return np.where(sd > 0, sd, 1.0)

    def _counts(self) -> Floats:
        return np.maximum(self.count, 1).astype(np.float64)[:, None]


@dataclass(frozen=True)
class Part:
    """What is written, and resumed, at once: rows ``start`` to ``stop``, and their sessions."""

    index: int
    start: int
    stop: int
    sessions: slice


def parts_of(codes: Codes) -> list[Part]:
    """One part per session where sessions follow one another, else one part of all."""
    if (np.diff(codes) < 0).any():
        return [Part(0, 0, len(codes), slice(0, int(codes.max()) + 1))]
    starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist(), len(codes)]
    return [
        Part(k, start, stop, slice(k, k + 1)) for k, (start, stop) in enumerate(pairwise(starts))
    ]


class ResponseStoreWriter:
    """Takes rows in order and puts them at their place; finished parts survive a kill.

    Memory: one block as it comes, a step of 2 MiB, and the moments of one part.

    Parameters
    ----------
    work : folder that survives a kill.
    form : form of the store.
    codes : session of every row, see `session_codes`.
    targets : number of columns.
    """

    def __init__(self, work: Path, form: StoreForm, codes: Codes, targets: int) -> None:
        self.work, self.form, self.codes = work, form, codes
        self.targets, self.parts, self.done = targets, parts_of(codes), 0
        self._spill: IO[bytes] | None = None
        self._moments, self._sums = Moments(0, 0), np.zeros(0, dtype=np.uint32)
        self._place = self._resumed() or self._begun()
        self._file = os.open(self._place.path, os.O_RDWR)
        self.row = self.parts[self.done].start if self.done < len(self.parts) else len(codes)

    def add(self, values: NDArray[np.float32]) -> None:
        """Take the next rows (rows, targets), as they came.

        Raises
        ------
        StorageError : the disk refuses.
        """
        while len(values):
            part = self.parts[self.done]
            if self.row == part.start:
                self._open(part)
            head, values = values[: part.stop - self.row], values[part.stop - self.row :]
            codes = self.codes[self.row : self.row + len(head)] - part.sessions.start
            self._moments.add(head, codes)
            with storage_errors(self._place.path):
                self._keep(part, np.ascontiguousarray(head, dtype="<f4"))
            self.row += len(head)
            if self.row == part.stop:
                self._close(part)

    def finish(self, out: ArtefactWriter, attributes: dict[str, Any]) -> None:
        """Close the store: ``responses.h5`` and ``sessions.h5`` of the payload."""
        self.close()
        with h5py.File(self._place.path, "r+") as file:
            file[TABLE].attrs.update({**attributes, "form": self.form.value})
        out.adopt(self._place.path, RESPONSES)
        with out.hdf5(SESSIONS) as file:
            self._write_moments(file)

    def close(self) -> None:
        """Close what is open; an unfinished part is begun anew the next time."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def _resumed(self) -> Place | None:
        """The table of a killed run, and how many of its parts are finished."""
        shape = (len(self.codes), self.targets)
        place = find_table(self.work / RESPONSES, shape, _DTYPES[self.form])
        while place and self.done < len(self.parts) and self._path(self.done, "npz").is_file():
            self.done += 1
        return place

    def _begun(self) -> Place:
        """An empty table; what stands here of another has nothing to do with it."""
        for path in self.work.glob("responses*.np[yz]"):
            path.unlink()
        path, shape = self.work / RESPONSES, (len(self.codes), self.targets)
        create_table(path, shape, _DTYPES[self.form])
        place = find_table(path, shape, _DTYPES[self.form])
        if place is None:
            raise StorageError(
                "the disk does not keep what is written", file=path, fix="use another disk"
            )
        return place

    def _open(self, part: Part) -> None:
        self._moments = Moments(part.sessions.stop - part.sessions.start, self.targets)
        self._sums = np.zeros(part.stop - part.start, dtype=np.uint32)
        if self.form is StoreForm.float16:
            self._spill = open(self._path(part.index, "raw"), "w+b")  # noqa: SIM115 - `close`

    def _keep(self, part: Part, rows: NDArray[np.float32]) -> None:
        if self._spill is not None:
            self._spill.write(rows.data.cast("B"))
        else:
            self._put(part, self.row, rows)

    def _put(self, part: Part, first: int, rows: NDArray[Any]) -> None:
        """Write rows in their final form, and note their checksums."""
        start = first - part.start
        self._sums[start : start + len(rows)] = checksums(rows)
        put_rows(self._file, self._place, first, rows)

    def _close(self, part: Part) -> None:
        mean, scale = self._moments.mean(), self._moments.scale()
        with storage_errors(self._place.path):
            if self._spill is not None:
                self._encode(part, self._spill, mean, scale)
            os.fsync(self._file)
        with atomic_path(self._path(part.index, "npz")) as path, open(path, "wb") as file:
            np.savez(file, mean=mean, scale=scale, crc32=self._sums)
        self.done += 1

    def _encode(self, part: Part, spill: IO[bytes], mean: Floats, scale: Floats) -> None:
        """Write the z-scores of a part; one target's are at most sqrt(trials - 1)."""
        spill.seek(0)
        step = max(1, _STEP // (4 * self.targets))
        for start in range(part.start, part.stop, step):
            codes = self.codes[start : min(start + step, part.stop)] - part.sessions.start
            raw = np.fromfile(spill, "<f4", len(codes) * self.targets).reshape(len(codes), -1)
            self._put(part, start, z_scores(raw, codes, mean, scale))
        spill.close()
        self._spill = None
        self._path(part.index, "raw").unlink()

    def _write_moments(self, file: h5py.File) -> None:
        counts = np.bincount(self.codes).astype(np.int64)
        shape = (len(counts), self.targets)
        mean, scale = (add_dataset(file, name, shape=shape, dtype="<f8") for name in _MOMENTS)
        crc32 = np.zeros(len(self.codes), dtype=np.uint32)
        for part in self.parts:
            with np.load(self._path(part.index, "npz")) as kept:
                mean[part.sessions], scale[part.sessions] = kept["mean"], kept["scale"]
                crc32[part.start : part.stop] = kept["crc32"]
        add_dataset(file, "count", counts)
        add_dataset(file, CHECKSUMS, crc32)

    def _path(self, part: int, kind: str) -> Path:
        return self.work / f"responses-{part:05d}.{kind}"


def z_scores(
    raw: NDArray[np.float32], codes: Codes, mean: Floats, scale: Floats
) -> NDArray[np.float16]:
    """(rows - mean) / scale of their sessions, in float64 and then rounded to half."""
    out, z = np.empty(raw.shape, dtype="<f2"), np.empty(raw.shape[1])
    for values, code, place in zip(raw, codes.tolist(), out, strict=True):
        np.subtract(values, mean[code], out=z)
        place[:] = np.divide(z, scale[code], out=z)
    return out
