"""How much of what was planted a fitted encoder found: its scores against the planted truth.

Measured responses hold noise, so a correlation with them has a ceiling that differs between
targets. Against the noiseless response there is none. A late response has two halves: whether
a category is present, which a mean over the picture can tell, and the attributes of its thing,
for which the thing must be found. The second half is scored over the pictures that show the
category, where the first is constant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.stats.correlation import fold_average, pearson
from neuroattn.stats.planted import CATEGORY, EARLY, NETWORK, PLACE, Truth

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Table = NDArray[np.floating]  # of single or of double precision

NULL = "null"
LATE = "all that read things"  # means over all targets of regions that read things
FEWEST = 10  # pictures over which a correlation is worth a number

#: Columns of the table after roi, kind, category and n_targets.
SCORES = (
    "r", "r_sd", "oracle", "r_truth", "r_attributes", "r_presence", "r_truth_unseen",
    "r_attributes_unseen", "share", "share_unseen", "share_over_area", "area",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Predictions:
    """Test predictions of an encoder.

    Parameters
    ----------
    predicted, measured : (rows, targets).
    image, fold : (rows,).
    target : (targets,) numbers as in ``targets.tsv``.
    """

    predicted: NDArray[np.float32]
    measured: NDArray[np.float32]
    image: Ids
    fold: Ids
    target: Ids


@dataclass(frozen=True, eq=False)
class Looks:
    """Attention maps of test images.

    Parameters
    ----------
    queries : names, as in ``lh.OFA``.
    grid : rows and columns of the tokens.
    image : (maps,).
    weights : (maps, queries, tokens).
    """

    queries: Sequence[str]
    grid: tuple[int, int]
    image: Ids
    weights: NDArray[np.floating]


def recovery(truth: Truth, tested: Predictions, looks: Looks | None = None) -> pd.DataFrame:
    """One row for each planted region, then `LATE` over those that read things, then `NULL`.

    Columns are roi, kind, category, n_targets and `SCORES`: means over targets of correlations
    within a fold, averaged over folds; ``oracle`` is that of the noiseless with the measured
    response. ``_unseen`` is over pictures of exemplars that no training picture shows;
    ``share`` is the mean attention on the thing of the category in pictures that show it.
    ``r_sd`` is the standard deviation over targets of the null: about 1 / sqrt(images) by chance.
    What is not defined is NaN.
    """
    columns = {int(target): column for column, target in enumerate(tested.target)}
    column = np.array([columns.get(int(target), -1) for target in truth.target])
    rows = []
    for kind in (CATEGORY, EARLY, NETWORK):
        for roi in truth.regions(kind):
            planted = np.flatnonzero((truth.roi == roi) & (column >= 0))
            if len(planted):
                rows.append(_region(truth, tested, looks, planted, column[planted]))
    late = [row for row in rows if row["kind"] == CATEGORY and row["category"] != PLACE]
    table = pd.DataFrame([*rows, _mean_row(late), _null_row(truth, tested)])
    return table[["roi", "kind", "category", "n_targets", *SCORES]]


def _region(
    truth: Truth, tested: Predictions, looks: Looks | None, planted: Ids, column: Ids
) -> dict[str, object]:
    known, unseen = truth.rows(tested.image), truth.unseen[truth.rows(tested.image)]
    predicted, measured = tested.predicted[:, column], tested.measured[:, column]
    noiseless = truth.noiseless[np.ix_(known, planted)].astype(np.float64)
    roi, kind, category = (
        str(part[planted[0]]) for part in (truth.roi, truth.kind, truth.category)
    )
    row: dict[str, object] = dict.fromkeys(SCORES, np.nan)
    row |= {"roi": roi, "kind": kind, "category": category, "n_targets": len(planted)}

    def r(left: Table, right: Table, rows: NDArray[np.bool_] | None = None) -> float:
        return _mean_r(left, right, tested.fold, rows)

    row |= {"r": r(predicted, measured), "oracle": r(noiseless, measured)}
    row |= {"r_truth": r(predicted, noiseless), "r_truth_unseen": r(predicted, noiseless, unseen)}
    if kind == EARLY:
        return row
    presence, attributes = truth.components(planted, known)
    shown = presence > 0 if category != PLACE else np.ones(len(presence), dtype=bool)
    row["r_presence"] = r(predicted, np.repeat(presence[:, None], len(planted), axis=1))
    row["r_attributes"] = r(predicted, attributes, shown)
    row["r_attributes_unseen"] = r(predicted, attributes, shown & unseen)
    if looks is not None and category != PLACE:
        row |= attention_on(truth, looks, roi, category)
    return row


def _mean_r(left: Table, right: Table, fold: Ids, rows: NDArray[np.bool_] | None) -> float:
    """Mean over targets of r within each fold, averaged over folds with enough rows."""
    chosen = np.ones(len(fold), dtype=bool) if rows is None else rows
    found = []
    for index in np.unique(fold):
        inside = np.flatnonzero(chosen & (fold == index))
        if len(inside) >= FEWEST:
            r = pearson(left[inside], right[inside])
            # What does not vary explains nothing.
            found.append(np.where(np.isnan(r), 0.0, r))
    return float(fold_average(np.stack(found)).mean()) if found else float("nan")


def attention_on(truth: Truth, looks: Looks, roi: str, category: str) -> dict[str, float]:
    """Share of a region's attention on the thing of its category, over pictures that show it.

    A cell counts by the part of it that the thing covers. ``area`` is the share of the picture
    that things cover, which blind attention would give; ``share_over_area`` is the mean ratio.
    """
    queries = [n for n, name in enumerate(looks.queries) if name.rpartition(".")[2] == roi]
    things = truth.things(looks.image, category)
    shown = np.flatnonzero(things >= 0)
    if not queries or not len(shown):
        return {}
    cover = truth.coverage(things[shown], looks.grid)
    maps = looks.weights[shown][:, queries].astype(np.float64).mean(axis=1)
    share, area = (maps * cover).sum(axis=1), cover.mean(axis=1)
    unseen = truth.unseen[truth.rows(looks.image[shown])]
    seen_alone = float(share[unseen].mean()) if unseen.sum() >= FEWEST else float("nan")
    ratio = share[area > 0] / area[area > 0]
    return {"share": float(share.mean()), "share_unseen": seen_alone,
            "share_over_area": float(ratio.mean()), "area": float(area.mean())}  # fmt: skip


def _mean_row(rows: Sequence[dict[str, object]]) -> dict[str, object]:
    """Means over the targets of some regions."""
    found: dict[str, object] = {"roi": LATE, "kind": "mean", "category": "things"}
    count = np.array([row["n_targets"] for row in rows], dtype=np.float64)
    found["n_targets"] = int(count.sum())
    for name in SCORES:
        values = np.array([row[name] for row in rows], dtype=np.float64)
        known = np.isfinite(values)
        total = count[known].sum()
        found[name] = float(values[known] @ count[known] / total) if total else float("nan")
    return found


def _null_row(truth: Truth, tested: Predictions) -> dict[str, object]:
    """Targets in which nothing was planted."""
    null = np.flatnonzero(~np.isin(tested.target, truth.target))
    row: dict[str, object] = dict.fromkeys(SCORES, np.nan)
    row |= {"roi": NULL, "kind": NULL, "category": "", "n_targets": len(null)}
    if len(null):
        predicted, measured = tested.predicted[:, null], tested.measured[:, null]
        row["r"] = _mean_r(predicted, measured, tested.fold, None)
        folds = [tested.fold == index for index in np.unique(tested.fold)]
        each = np.stack([pearson(predicted[f], measured[f]) for f in folds])
        row["r_sd"] = float(np.nanstd(np.nanmean(each, axis=0))) if each.size else np.nan
    return row
