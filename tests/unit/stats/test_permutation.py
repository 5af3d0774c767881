"""The permutation test against a plain loop, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats import permutation
from neuroattn.stats.correlation import pearson
from neuroattn.stats.permutation import permutation_test


def sides(rows: int = 40, targets: int = 6, signal: float = 0.0, seed: int = 0):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    predicted = rng.normal(size=(rows, targets))
    measured = signal * predicted + rng.normal(size=(rows, targets))
    return predicted.astype(np.float32), measured.astype(np.float32) + 5


def test_p_values_are_those_of_a_plain_loop() -> None:
    predicted, measured = sides(signal=0.3)
    fold = np.repeat([0, 1], 20)
    found = permutation_test(predicted, measured, fold, draws=50, seed=3)
    shuffles = [permutation._shuffles(20, 50, 3, k) for k in range(2)]
    null = np.array(
        [
            np.mean(
                [
                    pearson(predicted[fold == k][shuffles[k][draw]], measured[fold == k])
                    for k in range(2)
                ],
                axis=0,
            )
            for draw in range(50)
        ]
    )
    observed = np.mean([pearson(predicted[fold == k], measured[fold == k]) for k in range(2)], 0)
    np.testing.assert_allclose(found.r, observed, atol=1e-6)
    np.testing.assert_allclose(found.p, (1 + (null >= observed).sum(0)) / 51)
    highest = null.max(1)
    expected = [(1 + (highest >= r).sum()) / 51 for r in observed]
    np.testing.assert_allclose(found.p_max, expected)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    predicted, measured = sides(targets=7)
    fold = np.zeros(40, dtype=int)
    whole = permutation_test(predicted, measured, fold, draws=30)
    monkeypatch.setattr(permutation, "BLOCK", 2)
    parts = permutation_test(predicted, measured, fold, draws=30)
    np.testing.assert_array_equal(whole.p, parts.p)
    np.testing.assert_array_equal(whole.p_max, parts.p_max)


def test_signal_is_found_and_giving_up_is_no_signal() -> None:
    predicted, measured = sides(targets=7, signal=2.0)
    predicted[:, 4] = 1.5
    measured[:, 5] = 0.1
    predicted[0, 6] = np.nan
    found = permutation_test(predicted, measured, np.zeros(40, dtype=int), draws=199)
    assert (found.p_max[:4] == 1 / 200).all()
    assert (found.r[4], found.p[4], found.q[4], found.p_max[4]) == (0, 1, 1, 1), "it was tried"
    for value in (found.r, found.p, found.q, found.p_max):
        assert np.isnan(value[5:]).all(), "nothing to predict, or nothing predicted"


def test_a_fold_in_which_a_target_is_silent_is_passed_over() -> None:
    predicted, measured = sides(rows=60, targets=4, signal=0.5)
    fold = np.repeat([0, 1, 2], 20)
    measured[fold == 1, 2] = 0.1
    predicted[25, 3] = np.nan
    found = permutation_test(predicted, measured, fold, draws=99, seed=4)
    for target in (2, 3):
        r = [pearson(predicted[fold == k, target], measured[fold == k, target]) for k in (0, 2)]
        assert found.r[target] == pytest.approx(np.mean(r), abs=1e-6)
        assert 0 < found.p[target] <= 1
    assert np.isfinite(found.p_max).all()


def test_ties_are_ties_whatever_the_order_of_the_sum() -> None:
    """One spike: r is decided by the prediction at its place, and draws repeat that one often."""
    rng = np.random.default_rng(0)
    count, draws, targets = 60, 399, 200
    predicted = rng.normal(size=(count, targets)).astype(np.float32)
    place = predicted.argmax(0)
    measured = np.zeros_like(predicted)
    measured[place, np.arange(targets)] = 1
    found = permutation_test(predicted, measured, np.zeros(count, dtype=int), draws=draws)
    stays = (permutation._shuffles(count, draws, 0, 0)[:, place] == place).sum(0)
    np.testing.assert_allclose(found.p, (1 + stays) / (1 + draws))


def test_images_stay_in_their_fold() -> None:
    """Folds with other means would seem predicted, were images exchanged between them."""
    rng = np.random.default_rng(1)
    fold = np.repeat([0, 1], 30)
    offset = 10.0 * fold[:, None]
    found = permutation_test(
        rng.normal(size=(60, 50)) + offset, rng.normal(size=(60, 50)) + offset, fold, draws=99
    )
    assert np.mean(found.p < 0.05) < 0.2


def test_bad_shapes_are_refused() -> None:
    predicted, measured = sides()
    with pytest.raises(ValueError, match="shapes"):
        permutation_test(predicted, measured[:5], np.zeros(40, dtype=int))
    with pytest.raises(ValueError, match="three"):
        permutation_test(predicted[:2], measured[:2], np.zeros(2, dtype=int))
