"""Column-wise correlation and its averages, against scipy and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from neuroattn.core.errors import DataError
from neuroattn.stats.correlation import (
    coefficient_of_determination,
    fold_average,
    is_constant,
    pearson,
    r_squared,
    target_average,
)


def pair(images: int = 40, targets: int = 11) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(images, targets))
    return x, 0.5 * x + rng.normal(size=x.shape)


def scipy_pearson(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    columns = range(x.shape[1])
    return np.array([stats.pearsonr(x[:, column], y[:, column]).statistic for column in columns])


@pytest.mark.parametrize("block", [1, 3, 4096])
def test_pearson_equals_scipy_in_every_block_size(block: int) -> None:
    x, y = pair()
    np.testing.assert_allclose(pearson(x, y, block=block), scipy_pearson(x, y), atol=1e-10, rtol=0)


@pytest.mark.parametrize(("offset", "scale"), [(0.0, 1.0), (1e6, 1.0), (-3.0, 1e-200), (0.0, 1e12)])
def test_pearson_ignores_offset_and_scale(offset: float, scale: float) -> None:
    x, y = pair()
    found = pearson((x + offset) * scale, y)
    np.testing.assert_allclose(found, scipy_pearson(x, y), atol=1e-9, rtol=0)


def test_float32_input_is_summed_in_float64() -> None:
    x, y = (values.astype(np.float32) + np.float32(1000) for values in pair(5000, 3))
    exact = scipy_pearson(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(pearson(x, y), exact, atol=1e-10, rtol=0)


def test_pearson_of_perfect_and_inverted_columns_is_one_and_minus_one() -> None:
    x, _ = pair()
    assert np.array_equal(pearson(x, x * [[-1.0] + [1.0] * 10])[:2].round(12), [-1.0, 1.0])
    assert np.abs(pearson(x, x)).max() <= 1.0


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e9 + 0.3])
def test_a_constant_column_is_nan_without_a_warning(constant: float) -> None:
    x, y = pair()
    x[:, 4] = constant
    y[:, 6] = constant
    undefined = np.isnan(pearson(x, y))
    assert np.flatnonzero(undefined).tolist() == [4, 6]
    assert np.flatnonzero(is_constant(x, block=3)).tolist() == [4]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_value_that_is_no_number_spoils_its_own_column_only(bad: float) -> None:
    x, y = pair()
    x[0, 2], x[3, 5] = bad, bad
    assert np.flatnonzero(np.isnan(pearson(x, y))).tolist() == [2, 5]
    assert np.flatnonzero(~np.isfinite(coefficient_of_determination(x, y))).tolist() == [2, 5]


def test_one_dimensional_input_is_one_target() -> None:
    x, y = pair(targets=1)
    assert pearson(x[:, 0], y[:, 0]).shape == (1,)


@pytest.mark.parametrize("shape", [(3, 2), (4, 3), (4,)])
def test_different_shapes_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="column by column"):
        pearson(np.zeros((4, 2)), np.zeros(shape))


def test_a_single_image_has_no_correlation() -> None:
    with pytest.raises(DataError):
        pearson(np.zeros((1, 2)), np.zeros((1, 2)))


def test_r_squared_counts_an_inverted_prediction_as_nothing() -> None:
    assert r_squared(np.array([0.5, -0.5, 0.0])).tolist() == [0.25, 0.0, 0.0]


def test_coefficient_of_determination_by_hand() -> None:
    measured = np.array([[1.0, 2.0, 7.0], [2.0, 4.0, 7.0], [3.0, 6.0, 7.0]])
    predicted = np.array([[1.0, 4.0, 7.0], [2.0, 4.0, 7.0], [3.0, 4.0, 7.0]])
    found = coefficient_of_determination(predicted, measured, block=2)
    assert found[:2].tolist() == [1.0, 0.0]
    assert np.isnan(found[2])
    shifted = coefficient_of_determination(predicted + 1, measured)
    assert shifted[0] == pytest.approx(1 - 3 / 2)


def test_averages_skip_what_is_undefined() -> None:
    values = np.array([[0.2, np.nan, np.nan], [0.4, 0.6, np.nan]])
    assert fold_average(values)[:2] == pytest.approx([0.3, 0.6])
    assert np.isnan(fold_average(values)[2])
    assert target_average(fold_average(values)) == pytest.approx(0.45)
    assert np.isnan(target_average(np.array([np.nan])))
