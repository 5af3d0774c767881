"""Selectivity and its agreement with a map: against scipy, and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, pearsonr, ttest_ind

from neuroattn.stats.selectivity import (
    areas,
    correlations,
    resampled,
    selectivity,
    with_interval,
)


def test_t_is_welchs() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(30, 4)) * [1, 2, 3, 1] + 5
    inside = np.arange(30) < 12
    found = selectivity(values, inside)
    expected = ttest_ind(values[inside], values[~inside], equal_var=False)
    np.testing.assert_allclose(found.t, expected.statistic, rtol=1e-9)
    apart = values[inside].mean(0) - values[~inside].mean(0)
    np.testing.assert_allclose(found.difference, apart, rtol=1e-9)
    with pytest.raises(ValueError, match="two pictures"):
        selectivity(values, np.arange(30) < 1)


def test_a_target_that_is_never_moved_has_no_t() -> None:
    found = selectivity(np.ones((10, 1)), np.arange(10) < 5)
    assert found.difference[0] == 0
    assert np.isnan(found.t[0])


def test_area_and_correlation_are_scipys() -> None:
    rng = np.random.default_rng(1)
    maps, other = rng.integers(0, 5, (3, 40)).astype(float), rng.normal(size=40)
    members = np.arange(40) < 9
    other[20] = np.nan
    known = np.arange(40) != 20
    for row, area, r in zip(maps, areas(maps, members), correlations(maps, other), strict=True):
        u = mannwhitneyu(row[members], row[~members]).statistic
        assert area == pytest.approx(u / (9 * 31))
        assert r == pytest.approx(pearsonr(row[known], other[known]).statistic)
    assert np.isnan(areas(maps, np.zeros(40, bool))).all()


def test_bootstraps_of_the_pictures_spread_as_the_mean_does() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(size=(80, 3))
    inside = np.arange(80) < 40
    draws = np.concatenate([maps.difference for maps in resampled(values, inside, 400, 0)])
    assert draws.shape == (400, 3)
    error = np.sqrt(values[inside].var(0) / 40 + values[~inside].var(0) / 40)
    np.testing.assert_allclose(draws.std(0), error, rtol=0.15)
    interval = with_interval(0.0, draws[:, 0])
    assert interval.low < draws[:, 0].mean() < interval.high
