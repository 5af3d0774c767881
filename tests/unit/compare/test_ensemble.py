"""Weights sum to one, copies return the model, and nothing missing leaks into the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neuroattn.compare.ensemble import combine, ensemble_weights, softmax_weights
from neuroattn.compare.registry import Weights


@pytest.mark.parametrize("temperature", [1e-3, 0.05, 1.0, 100.0])
def test_weights_sum_to_one_at_every_target(temperature: float) -> None:
    accuracy = np.random.default_rng(0).normal(size=(4, 50))
    accuracy[1, :9], accuracy[:, 3] = np.nan, np.nan
    weights = softmax_weights(accuracy, temperature)
    np.testing.assert_allclose(weights.sum(0), 1.0, rtol=1e-12)
    assert (weights >= 0).all()
    assert (weights[1, [0, 1, 2, 4]] == 0).all(), "a member without accuracy weighs nothing"
    np.testing.assert_allclose(weights[:, 3], 0.25), "where none has any, all weigh the same"


def test_the_temperature_is_in_units_of_r() -> None:
    weights = softmax_weights(np.array([[0.5], [0.4]]), 0.05)
    np.testing.assert_allclose(weights[0] / weights[1], np.exp(2))
    sharp = softmax_weights(np.array([[0.5], [0.4], [0.45]]), 1e-4)
    np.testing.assert_allclose(sharp[:, 0], [1, 0, 0], atol=1e-12)


def test_averaging_copies_of_a_model_returns_it() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(1e3, 1, size=(20, 7)).astype(np.float32)
    weights = softmax_weights(rng.normal(size=(5, 7)), 0.05)
    np.testing.assert_allclose(combine([table] * 5, weights), table, rtol=1e-6)


def test_the_mean_is_weighted_target_by_target() -> None:
    tables = [np.full((2, 2), value, dtype=np.float32) for value in (1.0, 3.0)]
    found = combine(tables, np.array([[1.0, 0.25], [0.0, 0.75]]))
    np.testing.assert_allclose(found, [[1.0, 2.5], [1.0, 2.5]])


def test_a_member_that_does_not_predict_a_target_leaves_it_to_the_others() -> None:
    first, second = np.ones((2, 3), np.float32), np.full((2, 3), 5.0, np.float32)
    first[:, 1:], second[:, 2] = np.nan, np.nan
    found = combine([first, second], np.full((2, 3), 0.5))
    np.testing.assert_array_equal(found, [[3.0, 5.0, np.nan]] * 2)


class Kept:
    """As much of a bench as weights need: two folds, three members, four targets."""

    names = ("a", "b", "oracle")
    members = ("a", "b", "oracle")
    fold_numbers = (0, 1)
    targets = range(4)

    def selection(self, index: int) -> np.ndarray | None:
        """The oracle keeps none."""
        return None if index == 2 else np.full((2, 4), 0.3 + 0.1 * index)


@pytest.mark.parametrize("kind", list(Weights))
def test_a_member_apart_weighs_nothing_and_need_keep_nothing(kind: Weights) -> None:
    bench: Any = Kept()
    weights = ensemble_weights(bench, kind, 0.05, ["oracle"])
    assert weights.shape == (2, 3, 4)
    assert not weights[:, 2].any()
    np.testing.assert_allclose(weights.sum(1), 1.0)
    alone = ensemble_weights(bench, kind, 0.05, ["oracle", "a"])
    np.testing.assert_array_equal(alone[:, 1], 1.0)
