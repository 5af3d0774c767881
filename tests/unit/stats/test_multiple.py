"""Corrections against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neuroattn.stats.multiple import benjamini_hochberg, exceedance


def test_adjusted_p_values_are_those_of_scipy() -> None:
    p = np.random.default_rng(0).uniform(size=200) ** 3
    np.testing.assert_allclose(benjamini_hochberg(p), stats.false_discovery_control(p))


def test_missing_tests_do_not_count() -> None:
    p = np.array([0.01, np.nan, 0.04, 0.03])
    adjusted = benjamini_hochberg(p)
    np.testing.assert_allclose(adjusted[[0, 2, 3]], benjamini_hochberg(p[[0, 2, 3]]))
    assert np.isnan(adjusted[1])
    assert benjamini_hochberg(np.array([])).size == 0


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        benjamini_hochberg(np.array([0.1, 1.2]))


def test_the_observed_counts_in_its_own_null() -> None:
    null = np.array([0.1, 0.2, 0.3, 0.4])
    p = exceedance(np.array([0.5, 0.3, 0.0, np.nan]), null)
    np.testing.assert_allclose(p[:3], [1 / 5, 3 / 5, 1.0])
    assert np.isnan(p[3])
