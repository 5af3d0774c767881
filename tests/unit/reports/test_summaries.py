from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from neuroattn.reports.summaries import Fold, folds, interval, regions, source_share


def scores(r: list[float], rois: list[object]) -> pd.DataFrame:
    table = pd.DataFrame({"target": range(len(r)), "rois": rois, "r": r})
    return table.assign(r_squared=table.r**2, r2=table.r - 0.1, r_pooled=table.r + 0.1)


def test_interval_is_the_student_t_interval_of_scipy() -> None:
    values = np.random.default_rng(0).normal(0.4, 0.2, 23)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(interval(values), (expected.low, expected.high), rtol=1e-12)


@pytest.mark.parametrize("values", [[], [0.3], [0.1, 0.5, 0.2, 0.9]])
def test_few_targets_give_no_interval(values: list[float]) -> None:
    assert all(map(math.isnan, interval(np.array(values))))


def test_the_interval_covers_the_mean_of_the_population_as_often_as_it_says() -> None:
    draws = np.random.default_rng(1).normal(0.3, 0.1, (2000, 12))
    covered = [low < 0.3 < high for low, high in map(interval, draws)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.015)


def test_targets_count_in_every_region_and_regions_stand_by_mean() -> None:
    table = scores([0.1, 0.5, 0.9, 0.3], ["V1", "V2|ventral", "ventral", math.nan])
    found = regions(table)
    assert [region.name for region in found] == ["all targets", "ventral", "V2", "V1"]
    assert [region.n for region in found] == [4, 2, 1, 1]
    assert [region.mean for region in found] == pytest.approx([0.45, 0.7, 0.5, 0.1])
    ventral = found[1]
    assert ventral.median == pytest.approx(0.7)
    assert ventral.r_squared == pytest.approx((0.25 + 0.81) / 2)
    assert ventral.r2 == pytest.approx(0.6)
    assert ventral.r_pooled == pytest.approx(0.8)


def test_undefined_scores_count_as_targets_and_not_in_the_mean() -> None:
    found = regions(scores([0.2, math.nan, math.nan], ["V1", "V1", "V2"]))
    by_name = {region.name: region for region in found}
    assert (by_name["V1"].n, by_name["V1"].mean) == (2, pytest.approx(0.2))
    assert math.isnan(by_name["V2"].mean)
    assert found[-1].name == "V2"  # nothing known stands last


def test_scores_over_the_ceiling_are_means_over_targets_that_have_one() -> None:
    table = scores([0.2, 0.5, 0.9], ["V1", "V1", "V2"])
    table = table.assign(
        nc=[0.5, 0.01, math.nan],
        r_squared_over_nc=[1.2, math.nan, math.nan],
        r_squared_over_nc_capped=[1.0, math.nan, math.nan],
        n_images=50,
    )
    by_name = {region.name: region for region in regions(table)}
    assert (by_name["V1"].over_nc, by_name["V1"].capped, by_name["V1"].n_nc) == (1.2, 1.0, 1)
    assert by_name["V2"].n_nc == 0
    assert math.isnan(by_name["V2"].over_nc)
    assert all(region.n_nc == 0 for region in regions(table.drop(columns="nc").iloc[1:]))


def test_folds_find_every_image_on_both_sides() -> None:
    rows = [(0, 1, "train"), (0, 2, "train"), (0, 2, "test"), (1, 1, "test"), (1, 2, "train")]
    first, second = folds(pd.DataFrame(rows, columns=["fold", "image", "side"]))
    assert (first.name, first.train, first.test, first.both) == ("0", {1, 2}, {2}, {2})
    assert second.both == frozenset()


def test_sources_are_counted_and_shared_ones_found() -> None:
    images = pd.DataFrame({"image": [1, 2, 3, 4], "source": ["cat|wall", "dog", "cat", math.nan]})
    split = [Fold("0", frozenset({1, 2}), frozenset({3, 4}))]
    share = source_share(images, split)
    assert share is not None
    assert (share.sources, share.test_images, share.seen) == (3, 2, 1)


def test_unknown_sources_claim_nothing() -> None:
    images = pd.DataFrame({"image": [1, 2], "source": [math.nan, ""]})
    assert source_share(images, [Fold("0", frozenset({1}), frozenset({2}))]) is None
