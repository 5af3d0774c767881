"""The store of responses: written a session at a time, resumable, one checksummed file at last.

``responses.h5`` holds ``/responses`` (trials, targets), in rows as ``trials.tsv``, in one of
two forms. ``float32`` keeps values as they came. ``float16`` keeps z-scores of the trial's
session, (value - mean) / scale over all its trials; ``sessions.h5`` keeps ``/mean`` and
``/scale`` (sessions, targets) float64 of both forms, so raw values come back with an error of
at most scale x (|z| 2^-11 + 2^-25), and 2^-23 (scale |z| + |mean|) from float32: .05 % of the
distance from the mean, for NSD a thousandth of the noise of one trial. So whatever is fitted on
raw values or on z-scores by training trials agrees to that error. It agrees to the last bit
whatever the test trials are with ``float32`` alone: a session's mean and scale see all its
trials, and move the rounding of half precision.

Bytes moved, for V values of a dataset: float32 writes 8 V and reads 4 V (parts, then one file);
float16 writes 8 V and reads 6 V, as a session is spilled until its mean is known. No sums per
image are kept: for 10,000 images and 40,000 targets they would take 1.6 GB beside a store of
2.4 GB that gives them in one pass, and they could not be rescaled by session.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.atomic import atomic_path, fsync_file, fsync_folder, storage_errors
from neuroattn.core.hdf5 import add_dataset
from neuroattn.data.registry import StoreForm

RESPONSES = "responses.h5"
SESSIONS = "sessions.h5"
CHUNK_BYTES = 1 << 16  # a training side is scattered trials: small chunks waste little
_STEP = 2 << 20

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
        self._row = np.empty(targets)

    def add(self, values: NDArray[np.floating], codes: Codes) -> None:
        """Add rows (rows, targets) of the sessions ``codes`` (rows,)."""
        for row, code in zip(values, codes, strict=True):
            if not self.count[code]:
                self._first[code] = row
            np.subtract(row, self._first[code], out=self._row)
            self._sums[code] += self._row
            self._squares[code] += np.square(self._row, out=self._row)
            self.count[code] += 1

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
    """Takes rows in order; finished parts survive a kill.

    Memory: one block as it comes, a step of 2 MiB, and the moments of one part.

    Parameters
    ----------
    work : folder that survives a kill.
    form : form of the store.
    codes : session of every row, see `session_codes`.
    targets : number of columns.
    """

    def __init__(self, work: Path, form: StoreForm, codes: Codes, targets: int) -> None:
        self.work, self.form, self.codes, self.targets = work, form, codes, targets
        self.parts = parts_of(codes)
        self.done = 0
        while self.done < len(self.parts) and self._is_done(self.parts[self.done]):
            self.done += 1
        self.row = self.parts[self.done].start if self.done < len(self.parts) else len(codes)
        self._spill: IO[bytes] | None = None
        self._moments = Moments(0, 0)

    def add(self, values: NDArray[np.float32]) -> None:
        """Take the next rows (rows, targets), as they came.

        Raises
        ------
        StorageError : the disk refuses.
        """
        while len(values):
            part = self.parts[self.done]
            head, values = values[: part.stop - self.row], values[part.stop - self.row :]
            codes = self.codes[self.row : self.row + len(head)] - part.sessions.start
            with storage_errors(self._file(part, "raw")):
                spill = self._open(part)
                self._moments.add(head, codes)
                np.ascontiguousarray(head, dtype="<f4").tofile(spill)
            self.row += len(head)
            if self.row == part.stop:
                self._close(part)

    def finish(self, out: ArtefactWriter, attributes: dict[str, Any]) -> None:
        """Put the parts together: ``responses.h5`` and ``sessions.h5`` of the payload."""
        shape, dtype = (len(self.codes), self.targets), _DTYPES[self.form]
        marks = {**attributes, "form": self.form.value}
        with out.hdf5(RESPONSES) as file:
            array = add_dataset(
                file, "responses", shape=shape, dtype=dtype, attributes=marks,
                chunk_bytes=CHUNK_BYTES,
            )  # fmt: skip
            for part in self.parts:
                for rows, values in self._rows(part, "part", dtype):
                    array[rows] = values
        with out.hdf5(SESSIONS) as file:
            self._write_moments(file)

    def close(self) -> None:
        """Close what is open; an unfinished part is begun anew the next time."""
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def _open(self, part: Part) -> IO[bytes]:
        if self._spill is None:
            self._spill = open(self._file(part, "raw"), "wb")  # noqa: SIM115 - see `close`
            self._moments = Moments(part.sessions.stop - part.sessions.start, self.targets)
        return self._spill

    def _close(self, part: Part) -> None:
        self.close()
        mean, scale = self._moments.mean(), self._moments.scale()
        raw, final = self._file(part, "raw"), self._file(part, "part")
        with storage_errors(final):
            if self.form is StoreForm.float16:
                self._encode(part, mean, scale)
            else:
                fsync_file(raw)
                os.replace(raw, final)
                fsync_folder(self.work)
        with atomic_path(self._file(part, "npy")) as temporary, open(temporary, "wb") as file:
            np.save(file, np.stack([mean, scale]))
        self.done += 1

    def _encode(self, part: Part, mean: Floats, scale: Floats) -> None:
        """Write the z-scores of a part; one target's are at most sqrt(trials - 1)."""
        with atomic_path(self._file(part, "part")) as temporary, open(temporary, "wb") as file:
            for rows, values in self._rows(part, "raw", _DTYPES[StoreForm.float32]):
                for row, code in zip(values, self.codes[rows] - part.sessions.start, strict=True):
                    z = (row - mean[code]) / scale[code]
                    z.astype("<f2").tofile(file)
        self._file(part, "raw").unlink()

    def _rows(
        self, part: Part, kind: str, dtype: np.dtype[Any]
    ) -> Iterator[tuple[slice, NDArray[Any]]]:
        step = max(1, _STEP // (dtype.itemsize * self.targets))
        with open(self._file(part, kind), "rb") as file:
            for start in range(part.start, part.stop, step):
                rows = slice(start, min(start + step, part.stop))
                count = (rows.stop - rows.start) * self.targets
                yield rows, np.fromfile(file, dtype, count).reshape(-1, self.targets)

    def _write_moments(self, file: h5py.File) -> None:
        counts = np.bincount(self.codes).astype(np.int64)
        shape = (len(counts), self.targets)
        kept = [add_dataset(file, name, shape=shape, dtype="<f8") for name in ("mean", "scale")]
        for part in self.parts:
            for array, values in zip(kept, np.load(self._file(part, "npy")), strict=True):
                array[part.sessions] = values
        add_dataset(file, "count", counts)

    def _is_done(self, part: Part) -> bool:
        size = (part.stop - part.start) * self.targets * _DTYPES[self.form].itemsize
        file = self._file(part, "part")
        return self._file(part, "npy").is_file() and file.is_file() and file.stat().st_size == size

    def _file(self, part: Part, kind: str) -> Path:
        return self.work / f"responses-{part.index:05d}.{kind}"
