"""The paired test: what an exchange is, and what becomes of missing and constant predictions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroattn.stats import paired
from neuroattn.stats.correlation import pearson
from neuroattn.stats.paired import exchange_models, two_sided

Floats = NDArray[np.float64]
FOLD = np.repeat([0, 1], 30)


def models(targets: int = 5, noise: float = 1.0) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(len(FOLD), targets))
    first, second = (
        scale * (truth + spread * rng.normal(size=truth.shape)) + 3
        for scale, spread in ((1.0, 0.5), (7.0, noise))
    )
    return first, second, truth


def by_fold(first: Floats, second: Floats, truth: Floats) -> Floats:
    sides = [number == FOLD for number in (0, 1)]
    return np.mean(
        [pearson(first[s], truth[s]) - pearson(second[s], truth[s]) for s in sides], axis=0
    )


def test_the_difference_is_that_of_the_folds_correlations() -> None:
    first, second, truth = models()
    (block,) = exchange_models(first, second, truth, FOLD, draws=3)
    np.testing.assert_allclose(block.observed, by_fold(first, second, truth), atol=1e-12)


def test_an_exchange_swaps_standardised_predictions_of_whole_images() -> None:
    first, second, truth = models()
    (block,) = exchange_models(first, second, truth, FOLD, draws=4, seed=3)
    signs = [paired._signs(30, 4, 3, fold)[1:] for fold in (0, 1)]
    for draw in range(4):
        a, b = first.copy(), second.copy()
        for fold in (0, 1):
            rows = np.flatnonzero(fold == FOLD)
            za, zb = ((m[rows] - m[rows].mean(0)) / m[rows].std(0) for m in (first, second))
            kept = signs[fold][draw][:, None] > 0
            a[rows], b[rows] = np.where(kept, za, zb), np.where(kept, zb, za)
        np.testing.assert_allclose(block.null[draw], by_fold(a, b, truth), atol=1e-12)


def test_blocks_of_targets_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, truth = models()
    (whole,) = exchange_models(first, second, truth, FOLD, draws=9)
    monkeypatch.setattr(paired, "BLOCK", 2)
    parts = list(exchange_models(first, second, truth, FOLD, draws=9))
    assert [part.part for part in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    np.testing.assert_allclose(np.hstack([p.null for p in parts]), whole.null, atol=1e-14)


def test_copies_do_not_differ_and_a_better_model_does() -> None:
    first, second, truth = models(noise=5.0)
    (same,) = exchange_models(first, 2 * first - 1, truth, FOLD, draws=99)
    np.testing.assert_allclose(same.observed, 0, atol=1e-12)
    np.testing.assert_array_equal(same.p, 1.0)
    (better,) = exchange_models(first, second, truth, FOLD, draws=99)
    np.testing.assert_array_equal(better.p, 0.01)
    (worse,) = exchange_models(second, first, truth, FOLD, draws=99)
    np.testing.assert_array_equal(worse.p, 0.01)


def test_a_prediction_that_gives_up_scores_nothing_and_a_missing_one_is_missing() -> None:
    first, second, truth = models(noise=0.5)
    first[:, 0], first[:, 1], truth[:, 2] = 4.0, np.nan, 1.0
    (block,) = exchange_models(first, second, truth, FOLD, draws=99)
    nothing = by_fold(np.zeros_like(second) + truth, second, truth) - 1
    np.testing.assert_allclose(block.observed[0], nothing[0], atol=1e-12)
    assert block.p[0] == 0.01
    assert np.isnan(block.p[[1, 2]]).all()
    assert np.isfinite(block.p[3:]).all()


def test_p_is_two_sided_and_never_zero() -> None:
    null = np.array([[-3.0], [1.0], [2.0]])
    for observed, p in ((2.5, 0.5), (-2.5, 0.5), (4.0, 0.25), (0.0, 1.0)):
        np.testing.assert_array_equal(two_sided(np.array([observed]), null), [p])


def test_other_shapes_are_refused() -> None:
    first, second, truth = models()
    for sides in ((first[:-1], second, truth), (first, second[:, 1:], truth)):
        with pytest.raises(ValueError, match="shapes disagree"):
            next(exchange_models(*sides, FOLD))
    with pytest.raises(ValueError, match="shapes disagree"):
        next(exchange_models(first, second, truth, FOLD[1:]))
