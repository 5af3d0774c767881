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


def test_intervals_hold_the_middle_of_the_draws() -> None:
    low, high = percentile_interval(np.arange(1001.0)[:, None], level=0.9)
    assert (low[0], high[0]) == pytest.approx((50, 950))


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        list(bootstrap_r(np.zeros((3, 2)), np.zeros((3, 1)), np.zeros(3, dtype=int)))
