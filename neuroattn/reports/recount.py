"""Scores counted again from the predictions, in one pass over the file.

The report does not take the scores on trust: it recomputes r within each fold from
``predictions.h5`` and says whether that agrees with ``scores.tsv``. The same pass fetches
the columns of the example targets. Floor: one read of the file; memory is one block of rows
plus five running sums for each fold and target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from neuroattn.core.errors import ArtefactError

Floats = np.ndarray[Any, np.dtype[np.float64]]

BLOCK_BYTES = 32 << 20


@dataclass(frozen=True)
class Recount:
    """What one pass over the predictions gave.

    ``folds`` are fold numbers, ``r`` (folds, targets), NaN where a side is constant;
    ``measured`` and ``predicted`` (rows, examples).
    """

    folds: tuple[int, ...]
    r: Floats
    measured: Floats
    predicted: Floats
    unit: str

    @property
    def mean(self) -> Floats:
        """Mean r over folds (targets,); NaN where any fold has none."""
        average: Floats = np.mean(self.r, axis=0)
        return average


def recount(file: h5py.File, examples: Sequence[int], block_bytes: int = BLOCK_BYTES) -> Recount:
    """Correlate measured with predicted responses within each fold, column by column.

    Parameters
    ----------
    file : ``predictions.h5`` with ``/test/measured``, ``/test/predicted`` (rows, targets) and
        ``/test/fold`` (rows,).
    examples : columns to be returned whole.

    Raises
    ------
    ArtefactError : a dataset is missing or the shapes differ.
    """
    measured, predicted, fold_of = _datasets(file)
    rows, targets = measured.shape
    numbers = tuple(int(fold) for fold in np.unique(fold_of))
    sums = {fold: _Sums(targets) for fold in numbers}
    columns = list(examples)
    kept = np.zeros((2, rows, len(columns)))
    step = max(1, block_bytes // max(1, targets * 8))
    for start in range(0, rows, step):
        block = slice(start, min(start + step, rows))
        pair = (measured[block].astype(np.float64), predicted[block].astype(np.float64))
        kept[:, block] = pair[0][:, columns], pair[1][:, columns]
        for fold in np.unique(fold_of[block]):
            chosen = fold_of[block] == fold
            sums[int(fold)].add(pair[0][chosen], pair[1][chosen])
    r = (
        np.stack([sums[fold].correlation() for fold in numbers])
        if numbers
        else np.zeros((0, targets))
    )
    return Recount(numbers, r, kept[0], kept[1], str(measured.attrs.get("units", "")))


def _datasets(file: h5py.File) -> tuple[h5py.Dataset, h5py.Dataset, Any]:
    absent = [name for name in ("measured", "predicted", "fold") if f"test/{name}" not in file]
    if absent:
        raise ArtefactError(
            "the predictions lack a dataset",
            file=file.filename, expected=", ".join(f"/test/{name}" for name in absent),
            found=", ".join(file.get("test", {})) or "nothing",
            fix="delete the encode artefact's folder and run the stage again",
        )  # fmt: skip
    measured, predicted, fold = file["test/measured"], file["test/predicted"], file["test/fold"][:]
    if measured.shape != predicted.shape or len(fold) != len(measured):
        raise ArtefactError(
            "the predictions have inconsistent shapes",
            file=file.filename, expected=f"{measured.shape} and {len(measured)} fold numbers",
            found=f"{predicted.shape} and {len(fold)}",
            fix="delete the encode artefact's folder and run the stage again",
        )  # fmt: skip
    return measured, predicted, fold


class _Sums:
    """Running sums of two variables for each target, shifted by their first row.

    The shift keeps the sums of squares small where responses ride on a large constant. With
    several subjects a target has no number in the rows of images that its subject never saw.
    """

    def __init__(self, targets: int) -> None:
        self.rows = np.zeros(targets)
        self.shift = np.full((2, targets), np.nan)
        self.sums = np.zeros((5, targets))

    def add(self, measured: Floats, predicted: Floats) -> None:
        """Add rows (rows, targets)."""
        both = np.isfinite(measured) & np.isfinite(predicted)
        first = both.argmax(0)
        fresh = np.isnan(self.shift[0]) & both.any(0)
        at = (first[fresh], np.flatnonzero(fresh))
        self.shift[:, fresh] = measured[at], predicted[at]
        x = np.where(both, measured - self.shift[0], 0.0)
        y = np.where(both, predicted - self.shift[1], 0.0)
        self.rows += both.sum(0)
        self.sums += np.stack([x.sum(0), y.sum(0), (x * x).sum(0), (y * y).sum(0), (x * y).sum(0)])

    def correlation(self) -> Floats:
        """Pearson's r (targets,), NaN where a variable is constant."""
        x, y, xx, yy, xy = self.sums / np.maximum(self.rows, 1)
        spread = np.sqrt(np.maximum(xx - x * x, 0) * np.maximum(yy - y * y, 0))
        r: Floats = np.full(len(spread), np.nan)
        # Rounding leaves a trace of variance in a constant column.
        varies = spread > 1e-12 * np.sqrt(xx * yy)
        r[varies] = np.clip((xy - x * y)[varies] / spread[varies], -1, 1)
        return r
