"""Scores of the one fold whose encoder is captioned.

``scores.tsv`` has means over folds. Under a cross-validation the training images of the other folds
are this fold's test images, so a mean over folds lets them decide which targets are captioned and
verified; and null targets, which are fitted in this fold alone, would be held against means.

A ceiling stays the mean over folds: it is noise of the measurement, which no fit has a part in,
and that of a small fold may be low by chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.encoding.evaluate import SELECTION, correlation
from neuroattn.encoding.sides import Side
from neuroattn.stats.correlation import r_squared

Floats = NDArray[np.float64]
BLOCK = 4096  # targets whose predictions are read at a time


def scores_of_fold(encode: Artefact, sides: Sequence[Side], fold: int) -> pd.DataFrame:
    """``scores.tsv`` with r, r_squared and r_selection of one fold in the place of their means.

    p and q stay those of the whole test, and the ceiling too; a single fold is its own mean.

    Parameters
    ----------
    sides : all units of the dataset in this fold, for the test images of each.

    Cost: the fold's predictions and measurements are read once, 8 bytes an image and target.
    """
    scores = encode.table("scores.tsv")
    with encode.hdf5("predictions.h5") as file:
        if len(np.unique(file["test/fold"][...])) == 1:
            return scores
        r = _correlations(file, sides, fold, len(scores))
        own: dict[str, Any] = {"r": r, "r_squared": np.where(np.isnan(r), np.nan, r_squared(r))}
        if SELECTION in scores:
            own[SELECTION] = _selection(file, fold, len(scores))
    return scores.assign(**own)


def selection_of_fold(encode: Artefact, fold: int) -> Floats:
    """Correlation (targets,) on training images held out to select; NaN where not known."""
    scores = encode.table("scores.tsv")
    with encode.hdf5("predictions.h5") as file:
        if len(np.unique(file["test/fold"][...])) > 1:
            return _selection(file, fold, len(scores))
    if SELECTION not in scores:
        return np.full(len(scores), np.nan)
    return np.asarray(scores[SELECTION], dtype=np.float64)


def _selection(file: h5py.File, fold: int, targets: int) -> Floats:
    """The fold's row of ``/selection/r``; a mean never stands in for it."""
    if "selection/r" not in file:
        return np.full(targets, np.nan)
    row = int(np.searchsorted(np.unique(file["test/fold"][...]), fold))
    return np.asarray(file["selection/r"][row], dtype=np.float64)


def _correlations(file: h5py.File, sides: Sequence[Side], fold: int, targets: int) -> Floats:
    """Correlation (targets,) on test images of the fold: of each unit, on those it was shown."""
    rows = np.flatnonzero(file["test/fold"][...] == fold)
    whole = slice(int(rows[0]), int(rows[-1]) + 1)  # the rows of a fold stand side by side
    images, found = file["test/image"][whole], np.full(targets, np.nan)
    for side in sides:
        columns, shown = side.unit.columns, np.isin(images, side.test)
        for start in range(int(columns[0]), int(columns[-1]) + 1, BLOCK):
            part = slice(start, min(start + BLOCK, int(columns[-1]) + 1))
            predicted, measured = (
                file[f"test/{name}"][whole, part][shown] for name in ("predicted", "measured")
            )
            found[part] = correlation(predicted, measured)
    return found
