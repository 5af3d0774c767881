"""Intervals and p values beside the scores."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neuroattn.encoding.evaluate import FoldResult, score_table
from neuroattn.encoding.registry import ScoringConfig
from neuroattn.encoding.scoring import ALL, resampled

TARGETS = pd.DataFrame({"target": range(4), "rois": ["A", "A|B", "B", ""], "hemisphere": "lh"})


def folds(test: int = 40, seed: int = 0) -> list[FoldResult]:
    """Targets 0 and 1 are predicted, 2 is not, 3 was not fitted."""
    rng = np.random.default_rng(seed)
    made = []
    for index in range(2):
        predicted = rng.normal(size=(test, 4)).astype(np.float32)
        measured = rng.normal(size=(test, 4)).astype(np.float32)
        measured[:, :2] += predicted[:, :2]
        predicted[:, 3] = np.nan
        images = np.arange(test) + index * test
        made.append(FoldResult(index, images + 1000, images, predicted, measured))
    return made


def test_what_is_predicted_is_above_chance_and_the_rest_is_not() -> None:
    results = folds()
    scores = score_table(TARGETS, results)
    columns, regions = resampled(
        scores, results, ScoringConfig(permutations=199, bootstraps=200), 0
    )
    assert (columns["p"][:2] <= 0.01).all()
    assert columns["p"][2] > 0.05
    assert columns.loc[3].isna().all()
    known = columns[:3]
    assert ((known["r_low"] < scores["r"][:3]) & (scores["r"][:3] < known["r_high"])).all()
    table = regions.set_index("roi")
    assert table.index.tolist() == [ALL, "A", "B"]
    assert table.loc["A", "n_targets"] == 2
    assert table.loc["A", "r"] == scores["r"][:2].mean()
    assert table.loc["A", "share_q05"] == 1
    assert table.loc["B", "share_q05"] == 0.5
    assert (table["r_low"] < table["r"]).all()
    assert (table["r"] < table["r_high"]).all()


def test_a_region_s_interval_is_of_the_targets_of_its_mean() -> None:
    """Given up, or silent in one fold: in the mean, so in its interval and in the share as well."""
    results = folds(test=60)
    for result in results:
        result.predicted[:, 0] = 0.1
    results[0].measured[:, 1] = 0.1
    scores = score_table(TARGETS, results)
    columns, regions = resampled(
        scores, results, ScoringConfig(permutations=199, bootstraps=200), 0
    )
    assert (columns["p"][0], scores["r"][0]) == (1, 0)
    assert columns.loc[1].notna().all()
    table = regions.set_index("roi")
    assert table.loc["A", "share_q05"] == 0.5
    assert table.loc["A", "r_low"] < table.loc["A", "r"] < table.loc["A", "r_high"]


def test_nothing_is_resampled_where_it_is_turned_off_or_cannot_be() -> None:
    results = folds()
    scores = score_table(TARGETS, results)
    off = ScoringConfig(permutations=0, bootstraps=0)
    columns, regions = resampled(scores, results, off, 0)
    assert columns.isna().all(axis=None)
    assert regions["r"].notna().all()
    assert regions["r_low"].isna().all()
    few = folds(test=2)
    columns, _ = resampled(score_table(TARGETS, few), few, ScoringConfig(permutations=9), 0)
    assert columns.isna().all(axis=None)


def test_a_seed_gives_the_same_numbers() -> None:
    results = folds()
    scores = score_table(TARGETS, results)
    options = ScoringConfig(permutations=49, bootstraps=50)
    first, second = (resampled(scores, results, options, 5)[0] for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    other, _ = resampled(scores, results, options, 6)
    assert not first["r_low"].equals(other["r_low"])
