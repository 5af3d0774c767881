"""Bootstrap draws against a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats import bootstrap
from neuroattn.stats.bootstrap import bootstrap_r, percentile_interval
from neuroattn.stats.correlation import pearson


def test_draws_are_correlations_of_the_drawn_images() -> None:
    rng = np.random.default_rng(0)
    predicted, measured = rng.normal(size=(2, 30, 4)) + 100.0
    fold = np.repeat([0, 1], 15)
    ((_, r),) = list(bootstrap_r(predicted, measured, fold, draws=6, seed=2))
    counts = [np.rint(15 * bootstrap._counts(15, 6, 2, k)).astype(int) for k in range(2)]
    for draw in range(6):
        each = [
            pearson(
                np.repeat(predicted[fold == k], counts[k][draw], axis=0),
                np.repeat(measured[fold == k], counts[k][draw], axis=0),
            )
            for k in range(2)
        ]
        np.testing.assert_allclose(r[draw], np.mean(each, axis=0), atol=1e-9)


def test_blocks_cover_every_target_with_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    predicted, measured = rng.normal(size=(2, 20, 7))
    fold = np.zeros(20, dtype=int)
    ((_, whole),) = list(bootstrap_r(predicted, measured, fold, draws=5))
    monkeypatch.setattr(bootstrap, "BLOCK", 3)
    parts = list(bootstrap_r(predicted, measured, fold, draws=5))
    assert [part.start for part, _ in parts] == [0, 3, 6]
    np.testing.assert_allclose(np.concatenate([r for _, r in parts], axis=1), whole)


def test_giving_up_scores_0_and_silent_folds_are_passed_over() -> None:
    rng = np.random.default_rng(1)
    predicted, measured = rng.normal(size=(2, 30, 5)).astype(np.float32)
    fold = np.repeat([0, 1], 15)
    predicted[:, 1] = 0.1  # no number of binary floating point
    measured[fold == 0, 2] = 0.1
    measured[:, 3] = 0.1
    predicted[[3, 20], 4] = np.nan
    ((_, r),) = list(bootstrap_r(predicted, measured, fold, draws=50))
    assert (r[:, 1] == 0).all()
    ((_, alone),) = list(bootstrap_r(predicted[15:], measured[15:], fold[15:], draws=50))
    assert np.isfinite(r[:, 2]).all()
    assert r[:, 2].std() == pytest.approx(alone[:, 2].std(), rel=0.3)
    assert np.isnan(r[:, 3:]).all()


def test_a_draw_without_the_only_spike_is_undefined_and_not_rounding() -> None:
    measured = np.full((12, 1), 0.1)
    measured[4] = 7.3
    predicted = np.random.default_rng(2).normal(size=(12, 1))
    ((_, r),) = list(bootstrap_r(predicted, measured, np.zeros(12, dtype=int), draws=300))
    share = np.isnan(r).mean()
    assert share == pytest.approx((11 / 12) ** 12, abs=0.1)
    assert (np.abs(r[np.isfinite(r)]) <= 1 + 1e-9).all()


def test_intervals_hold_the_middle_of_the_draws() -> None:
    low, high = percentile_interval(np.arange(1001.0)[:, None], level=0.9)
    assert (low[0], high[0]) == pytest.approx((50, 950))


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        list(bootstrap_r(np.zeros((3, 2)), np.zeros((3, 1)), np.zeros(3, dtype=int)))
