"""What surrounds the solution: guards, warnings, the grid."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import DataError
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import RidgeConfig
from neuroattn.encoding.ridge import Ridge, RidgeModel, response_scale, warn_at_ends

from .conftest import Store

GRID = np.array([0.1, 1.0, 10.0])


def fit(store: Store, responses: np.ndarray, config: RidgeConfig | None = None) -> RidgeModel:
    train = TrainingSet(
        features=store,
        images=store.images[: len(responses)],
        responses=responses.astype(np.float32),
        targets=pd.DataFrame({"target": range(responses.shape[1])}),
        seed=0,
        work=Path("unused"),
        device="cpu",
    )
    return Ridge(config or RidgeConfig()).fit(train)


def noise(rows: int = 30, targets: int = 4) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(rows, targets))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_responses_that_are_not_finite_are_counted(store: Store, bad: float) -> None:
    responses = noise()
    responses[3, 1] = bad
    with np.errstate(invalid="ignore"), pytest.raises(DataError, match="not all finite") as caught:
        fit(store, responses)
    assert "1 targets" in str(caught.value)


def test_a_constant_target_is_predicted_as_itself(store: Store) -> None:
    responses = noise()
    responses[:, 2] = 7.25
    predicted = fit(store, responses).predict(store, store.images)
    np.testing.assert_allclose(predicted[:, 2], 7.25, rtol=1e-6)
    assert np.isfinite(predicted).all()
    assert response_scale(responses.astype(np.float32))[2] == 1.0


def test_features_that_never_vary_are_an_error(store: Store) -> None:
    for values in store.values.values():
        values[:] = 2
    with pytest.raises(DataError, match="no feature varies"):
        fit(store, noise())


def test_fewer_images_than_inner_folds_are_an_error(store: Store) -> None:
    with pytest.raises(DataError, match="too few training images"):
        fit(store, noise(rows=4))


@pytest.mark.parametrize(("low", "high", "ends"), [(2, 0, ["smallest"]), (1, 2, ["largest"])])
def test_a_crowded_end_of_the_grid_is_logged(
    caplog: pytest.LogCaptureFixture, low: int, high: int, ends: list[str]
) -> None:
    alpha = np.array([0.1] * low + [10.0] * high + [1.0] * (10 - low - high))
    with caplog.at_level(logging.WARNING, "neuroattn.encoding"):
        warn_at_ends(alpha, GRID)
    assert len(caplog.messages) == 1
    assert all(end in caplog.text for end in ends)
    assert "20 %" in caplog.text


def test_a_tenth_at_the_end_or_a_fixed_penalty_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warn_at_ends(np.array([0.1] + [1.0] * 9), GRID)
    warn_at_ends(np.full(5, 1.0), np.array([1.0]))
    assert caplog.messages == []


def test_two_fits_have_equal_bytes(store: Store) -> None:
    first, second = (fit(store, noise()).state()[0] for _ in range(2))
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


def test_methods_name_the_settings() -> None:
    text = Ridge(RidgeConfig(layers=["late"], standardise=False, n_alphas=9)).methods()
    assert all(words in text for words in ("layers late", "centred", "among 9", "himalaya"))
