from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats.pictures import (
    best_scale,
    diversity,
    draws_of,
    frechet,
    jackknife,
    leading,
    mean_and_interval,
    nearest,
    nearest_pixels,
)

RNG = np.random.default_rng(0)


def test_frechet_is_the_distance_of_two_normal_distributions() -> None:
    rows = RNG.normal(size=(4000, 3)) @ np.diag([1.0, 2.0, 0.5])
    assert frechet(rows, rows) == pytest.approx(0, abs=1e-9)
    assert frechet(rows, rows + np.array([3.0, 0.0, 4.0])) == pytest.approx(25, rel=1e-9)
    # Along each axis the deviations differ by sd: (a - b)^2 summed.
    spread = np.square(rows.std(0, ddof=1)).sum()
    assert frechet(rows, 3 * (rows - rows.mean(0)) + rows.mean(0)) == pytest.approx(4 * spread)
    with pytest.raises(ValueError, match="no distance"):
        frechet(rows[:1], rows)


def test_leading_directions_are_those_that_vary() -> None:
    hidden = RNG.normal(size=(50, 2)) * [5, 3]
    basis = np.linalg.qr(RNG.normal(size=(20, 2)))[0]
    rows = hidden @ basis.T + 7
    found = leading(rows, 2)
    again = found(rows) @ found.basis.T + found.mean
    assert np.allclose(again, rows)
    assert leading(rows[:4], 10).basis.shape[1] == 3


def test_diversity_is_the_mean_over_pairs() -> None:
    rows = RNG.normal(size=(6, 4))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    pairs = [1 - unit[i] @ unit[j] for i in range(6) for j in range(i)]
    assert diversity(rows) == pytest.approx(np.mean(pairs))
    assert diversity(np.ones((3, 4))) == pytest.approx(0)
    assert np.isnan(diversity(rows[:1]))


def test_nearest_finds_a_copy() -> None:
    known = RNG.normal(size=(9, 5))
    distance, which = nearest(2 * known[[4, 7]], known)
    assert which.tolist() == [4, 7]
    assert np.allclose(distance, 0)
    pictures = RNG.random((9, 3, 4, 4))
    found = nearest_pixels(pictures[[2]] + 0.25, pictures)
    assert found[0] <= 0.25
    assert nearest_pixels(pictures[[2]], pictures)[0] == 0


def test_intervals_hold_the_mean_and_pairs_make_them_narrow() -> None:
    base = RNG.normal(size=200) * 5
    gain = 0.5 + RNG.normal(size=200) * 0.1
    mean, low, high = mean_and_interval(gain)
    assert low < mean < high
    assert high - low < 0.05
    _, alone_low, alone_high = mean_and_interval(base + gain)
    assert alone_high - alone_low > 1
    assert mean_and_interval(np.array([np.nan, 2.0]))[0] == 2
    assert (draws_of(5, 10, 0) == draws_of(5, 10, 0)).all()


def test_leaving_out_gives_the_error_of_a_mean_without_drawing_twice() -> None:
    values = RNG.normal(size=40)
    value, low, high = jackknife(lambda rows: float(values[rows].mean()), len(values))
    assert value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std(ddof=1) / np.sqrt(len(values)))
    assert np.isnan(jackknife(lambda rows: 1.0, 2)[1:]).all()
    many = RNG.normal(size=4000)
    _, low, high = jackknife(lambda rows: float(many[rows].mean()), len(many))
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(4000), rel=0.35), "50 groups, not 4000"


def test_the_best_scale_keeps_pictures_real() -> None:
    scales, reached = np.array([0, 1, 2, 4.0]), np.array([0, 1, 3, 2.0])
    assert best_scale(scales, reached) == 2
    assert best_scale(scales, reached, np.array([1, 1.05, 1.2, 1.1])) == 4
    assert np.isnan(best_scale(scales, reached, np.full(4, 1.5)))
    assert best_scale(scales, np.array([0, np.nan, np.nan, np.nan])) == 0
