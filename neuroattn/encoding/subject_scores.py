"""Scores of several subjects: each as if alone, then over all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.hdf5 import add_dataset
from neuroattn.encoding.evaluate import SELECTION, FoldResult, metrics, score_table
from neuroattn.encoding.registry import ScoringConfig
from neuroattn.encoding.scoring import Resampled, region_table, resample
from neuroattn.encoding.sides import Unit
from neuroattn.stats.correlation import target_average

ALL = "all subjects"
CHUNK = 2048  # targets of a chunk of predictions

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SubjectResults:
    """One subject's folds and scores.

    Parameters
    ----------
    scores : one row per target of the subject, with its number in the dataset.
    """

    unit: Unit
    folds: list[FoldResult]
    scores: pd.DataFrame


def subject_results(
    units: Sequence[tuple[Unit, list[FoldResult]]], targets: pd.DataFrame, threshold: float
) -> list[SubjectResults]:
    """Score every subject by itself; ``targets`` are those of the dataset."""
    found = []
    for unit, folds in units:
        scores = score_table(targets.iloc[unit.columns], folds, threshold)
        scores.insert(1, "subject", unit.name)
        found.append(SubjectResults(unit, folds, scores))
    return found


def resampled_subjects(
    results: Sequence[SubjectResults], options: ScoringConfig, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of all targets with their intervals and p values, and the table of regions.

    Draws of test images are the same for subjects with the same test images. p values are
    corrected within a subject. The table has the regions of all subjects together (means over
    their targets), then those of each.
    """
    drawn = [resample(part.scores, part.folds, options, seed) for part in results]
    frames = [
        pd.concat([part.scores, one.columns], axis=1)
        for part, one in zip(results, drawn, strict=True)
    ]
    scores = pd.concat(frames, ignore_index=True)
    tables = [region_table(scores, scores["q"].to_numpy(), *_pooled(results, drawn))]
    for frame, one in zip(frames, drawn, strict=True):
        tables.append(region_table(frame, frame["q"].to_numpy(), one.regions, one.means))
    for table, name in zip(tables, [ALL, *(part.unit.name for part in results)], strict=True):
        table.insert(0, "subject", name)
    return scores, pd.concat(tables, ignore_index=True)


def _pooled(
    results: Sequence[SubjectResults], drawn: Sequence[Resampled]
) -> tuple[dict[str, Ids], NDArray[np.float64] | None]:
    """Rows of each region over all subjects, and its mean in each draw."""
    rows: dict[str, list[Ids]] = {}
    start = 0
    for part, one in zip(results, drawn, strict=True):
        for name, members in one.regions.items():
            rows.setdefault(name, []).append(members + start)
        start += len(part.scores)
    first, *named = rows
    regions = {name: np.concatenate(rows[name]) for name in [first, *sorted(named)]}
    if any(one.total is None for one in drawn):
        return regions, None
    means = []
    for name in regions:
        having = [(one, list(one.regions).index(name)) for one in drawn if name in one.regions]
        total = sum(one.total[:, place] for one, place in having if one.total is not None)
        known = sum(one.known[:, place] for one, place in having if one.known is not None)
        with np.errstate(invalid="ignore", divide="ignore"):
            means.append(np.divide(total, known))
    return regions, np.stack(means, axis=1)


def subject_metrics(scores: pd.DataFrame) -> dict[str, float]:
    """`metrics` over all targets, and ``subject.<name>.r`` and its kin for each subject."""
    found = metrics(scores)
    for name, rows in scores.groupby("subject", sort=False):
        for key in ("r", "r_squared", "r_squared_over_nc"):
            if key in rows and rows[key].notna().any():
                found[f"subject.{name}.{key}"] = target_average(rows[key].to_numpy(float))
    return found


def merged_folds(results: Sequence[SubjectResults]) -> list[FoldResult]:
    """Folds over all subjects: their images and ceilings, without predictions."""
    merged = []
    for folds in zip(*(part.folds for part in results), strict=True):
        train, test = (
            np.unique(np.concatenate([getattr(fold, side) for fold in folds]))
            for side in ("train", "test")
        )
        none = np.empty((0, 0), dtype=np.float32)
        known = [fold.ceiling for fold in folds if fold.ceiling is not None]
        ceiling = np.concatenate(known) if known else None
        merged.append(FoldResult(folds[0].index, train, test, none, none, {}, ceiling))
    return merged


def write_subject_predictions(file: h5py.File, results: Sequence[SubjectResults]) -> None:
    """Fill ``/test`` as `evaluate.write_predictions` does, NaN where a subject saw no image.

    Within a fold, rows are ordered by who saw the image, so that what nobody saw takes no room:
    HDF5 stores no chunk that was never written.
    """
    width = sum(len(part.unit.columns) for part in results)
    orders = [_order(folds) for folds in zip(*(part.folds for part in results), strict=True)]
    rows = sum(map(len, orders))
    group = file.create_group("test")
    chunks = (min(rows, max(1, (1 << 18) // CHUNK)), min(width, CHUNK))
    tables = {
        name: group.create_dataset(
            name, shape=(rows, width), dtype=np.float32, chunks=chunks, fletcher32=True,
            fillvalue=np.nan,
        )
        for name in ("predicted", "measured")
    }  # fmt: skip
    for part in results:
        columns, start = slice(int(part.unit.columns[0]), int(part.unit.columns[-1]) + 1), 0
        for fold, order in zip(part.folds, orders, strict=True):
            for own, there in _runs(fold.test, order):
                at = slice(start + there.start, start + there.stop)
                tables["predicted"][at, columns] = fold.predicted[own]
                tables["measured"][at, columns] = fold.measured[own]
            start += len(order)
    indices = [fold.index for fold in results[0].folds]
    add_dataset(group, "image", np.concatenate(orders).astype(np.int64))
    add_dataset(group, "fold", np.repeat(indices, list(map(len, orders))).astype(np.int32))
    if all(SELECTION in part.folds[0].columns for part in results):
        kept = [np.stack([fold.columns[SELECTION] for fold in part.folds]) for part in results]
        r = np.concatenate(kept, axis=1).astype(np.float32)
        add_dataset(file.create_group("selection"), "r", r)


def _order(folds: Sequence[FoldResult]) -> Ids:
    """Test images of one fold over all subjects, those that the same subjects saw side by side."""
    images = np.unique(np.concatenate([fold.test for fold in folds]))
    owners = np.stack([np.isin(images, fold.test) for fold in folds])
    return images[np.lexsort((images, *(~owners[::-1])))]


def _runs(test: Ids, order: Ids) -> Iterator[tuple[Ids, slice]]:
    """Rows of ``test`` (a subject's images) and where in ``order`` they stand, run by run."""
    own = np.argsort(test, kind="stable")
    there = np.flatnonzero(np.isin(order, test))
    rows = own[np.searchsorted(test[own], order[there])]
    cuts = np.flatnonzero(np.diff(there) != 1) + 1
    for places, part in zip(np.split(there, cuts), np.split(rows, cuts), strict=True):
        yield part, slice(int(places[0]), int(places[-1]) + 1)
