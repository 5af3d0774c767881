"""Scores of test predictions: per fold first, then over folds, then over targets.

A correlation over all test images of a cross-validation mixes the folds' offsets into one
number; the headline here is the mean of the folds' own correlations, and the pooled one stands
beside it. Scores over the noise ceiling are means over folds of r squared over means of the
ceiling: a ratio within each fold would blow up where a small fold has a low ceiling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.tables import CEILINGS, FOLDS, SCORES, rois_of
from neuroattn.stats.ceiling import over_ceiling
from neuroattn.stats.correlation import (
    coefficient_of_determination,
    fold_average,
    is_constant,
    pearson,
    r_squared,
    target_average,
)

BLOCK = 4096
SHARED = ("r", "r_squared", "r2", "r_pooled")
THRESHOLD = 0.05
SELECTION = "r_selection"  # a readout's column: r on training images held out to select
PENALTY = "alpha"

Floats = NDArray[np.float64]
Table = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FoldResult:
    """Test predictions of one fold; tables may be memory-mapped.

    Parameters
    ----------
    index : number of the fold.
    train, test : image ids.
    predicted, measured : (test images, targets); measured is the mean over repeats. A target
        that was not fitted is predicted as NaN.
    columns : further columns (targets,) of the readout, such as its penalty.
    ceiling : noise ceiling (targets,) of the test images, NaN where it is not known.
    """

    index: int
    train: NDArray[np.int64]
    test: NDArray[np.int64]
    predicted: Table
    measured: Table
    columns: Mapping[str, Floats] = field(default_factory=dict)
    ceiling: Floats | None = None


def correlation(predicted: Table, measured: Table) -> Floats:
    """Correlation of each target (targets,), with a constant prediction scored 0.

    A readout that gives up on a target explains nothing of it; leaving the target out of the
    mean instead would reward giving up. A measured response that is constant stays NaN.
    """
    r = pearson(predicted, measured)
    return np.where(np.isnan(r) & is_constant(predicted) & ~is_constant(measured), 0.0, r)


def score_table(
    targets: pd.DataFrame, folds: Sequence[FoldResult], threshold: float = THRESHOLD
) -> pd.DataFrame:
    """One row per target: r, r_squared, r2 as means over folds, r_pooled, `CEILINGS`, others.

    ``nc`` is the mean ceiling over folds, ``r_squared_over_nc`` is not defined where that is
    below ``threshold``, and ``n_images`` counts the test images of folds with a defined r.
    Readout columns are averaged geometrically where positive in every fold (penalties).
    """
    per_fold = np.stack([correlation(fold.predicted, fold.measured) for fold in folds])
    r2 = [coefficient_of_determination(fold.predicted, fold.measured) for fold in folds]
    columns: dict[str, Floats] = {
        "r": fold_average(per_fold),
        "r_squared": fold_average(np.where(np.isnan(per_fold), np.nan, r_squared(per_fold))),
        "r2": fold_average(np.stack(r2)),
        "r_pooled": pooled_correlation(folds),
    }
    columns |= _over_ceilings(folds, per_fold, columns["r_squared"], threshold)
    for name in _extra(folds):
        average = _typical if name == PENALTY else fold_average
        columns[name] = average(np.stack([fold.columns[name] for fold in folds]))
    frame = targets[["target", "rois", "hemisphere"]].reset_index(drop=True)
    return frame.assign(**columns)[[*SCORES, *CEILINGS, *_extra(folds)]]


def _over_ceilings(
    folds: Sequence[FoldResult], per_fold: Floats, explained: Floats, threshold: float
) -> dict[str, Any]:
    unknown = np.full(per_fold.shape[1], np.nan)
    nc = fold_average(
        np.stack([unknown if fold.ceiling is None else fold.ceiling for fold in folds])
    )
    sizes = np.array([len(fold.test) for fold in folds])
    values = (
        nc,
        over_ceiling(explained, nc, threshold),
        over_ceiling(explained, nc, threshold, capped=True),
        sizes @ ~np.isnan(per_fold),
    )
    return dict(zip(CEILINGS, values, strict=True))


def pooled_correlation(folds: Sequence[FoldResult]) -> Floats:
    """Correlation (targets,) over the test images of all folds at once."""
    parts = []
    for start in range(0, folds[0].predicted.shape[1], BLOCK):
        columns = slice(start, start + BLOCK)
        predicted = np.concatenate([fold.predicted[:, columns] for fold in folds])
        measured = np.concatenate([fold.measured[:, columns] for fold in folds])
        parts.append(correlation(predicted, measured))
    return np.concatenate(parts)


def metrics(scores: pd.DataFrame) -> dict[str, float]:
    """Flat metrics: ``test.r`` and its kin over all targets, ``roi.<name>.r`` for each ROI.

    Targets whose measured response never varies, and those that were not fitted, are left out
    and counted in ``test.undefined``. Means over the ceiling are over the targets that reach
    the threshold, ``test.targets_over_nc`` of them; without ceilings they are absent.

    Raises
    ------
    DataError : that is so for every target.
    """
    undefined = int(scores["r"].isna().sum())
    if undefined == len(scores):
        raise DataError(
            "no correlation is defined",
            expected="responses that vary over the test images of a fold",
            found="constant responses at every target",
            fix="check the responses, or choose another dataset.split",
        )
    result = {f"test.{name}": target_average(scores[name].to_numpy(float)) for name in SHARED}
    result |= {"test.targets": float(len(scores)), "test.undefined": float(undefined)}
    normalised = [name for name in CEILINGS[:3] if name in scores and scores[name].notna().any()]
    result |= {f"test.{name}": target_average(scores[name].to_numpy(float)) for name in normalised}
    if CEILINGS[1] in normalised:
        result["test.targets_over_nc"] = float(scores[CEILINGS[1]].notna().sum())
    for name, rows in roi_rows(scores["rois"]).items():
        for score in ("r", *normalised[1:]):
            values = scores[score].to_numpy(float)[rows]
            if not np.isnan(values).all():
                result[f"roi.{name}.{score}"] = target_average(values)
    return result


def roi_rows(rois: pd.Series[str]) -> dict[str, NDArray[np.int64]]:
    """Rows of each ROI, by name; a target may stand in several."""
    rows: dict[str, list[int]] = {}
    for row, cell in enumerate(rois):
        for name in rois_of(cell):
            rows.setdefault(name, []).append(row)
    return {name: np.array(members, dtype=np.int64) for name, members in sorted(rows.items())}


def fold_table(folds: Sequence[FoldResult]) -> pd.DataFrame:
    """One row per fold and image: fold, image, side."""
    parts = [
        pd.DataFrame({"fold": fold.index, "image": images, "side": side})
        for fold in folds
        for side, images in (("train", fold.train), ("test", fold.test))
    ]
    return pd.concat(parts, ignore_index=True)[list(FOLDS)]


def write_predictions(file: h5py.File, folds: Sequence[FoldResult]) -> None:
    """Fill ``/test``: predicted, measured (rows, targets), image and fold (rows,).

    Rows follow the folds; one fold is in memory at a time. Where the readout knows how well it
    predicts images that were held out from training, ``/selection/r`` (folds, targets) has it: an
    ensemble may weigh a fold by its own row and has then seen none of its test images.
    """
    sizes = [len(fold.test) for fold in folds]
    shape = (sum(sizes), folds[0].predicted.shape[1])
    group = file.create_group("test")
    tables = {
        name: add_dataset(group, name, shape=shape, dtype=np.float32)
        for name in ("predicted", "measured")
    }
    for fold, stop in zip(folds, np.cumsum(sizes), strict=True):
        rows = slice(int(stop) - len(fold.test), int(stop))
        tables["predicted"][rows] = fold.predicted
        tables["measured"][rows] = fold.measured
    add_dataset(group, "image", np.concatenate([fold.test for fold in folds]).astype(np.int64))
    add_dataset(group, "fold", np.repeat([fold.index for fold in folds], sizes).astype(np.int32))
    if SELECTION in folds[0].columns:
        kept = np.stack([fold.columns[SELECTION] for fold in folds]).astype(np.float32)
        add_dataset(file.create_group("selection"), "r", kept)


def _extra(folds: Sequence[FoldResult]) -> list[str]:
    return sorted(folds[0].columns)


def _typical(table: Floats) -> Floats:
    """The geometric mean over folds: penalties are compared by their ratios."""
    logs = np.log(table, where=np.isfinite(table), out=np.full_like(table, np.nan))
    return np.asarray(np.exp(fold_average(logs)))
