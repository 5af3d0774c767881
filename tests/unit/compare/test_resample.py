"""One pass over the predictions: blocks change nothing, and draws are shared by all models."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroattn.compare.resample import Mean, Plan, Resampled, Resampler, ends, region_p
from neuroattn.stats.bootstrap import bootstrap_r

FOLD = np.repeat([0, 1], 20)
REGIONS = {"all targets": np.arange(5), "odd": np.array([1, 3])}


def tables() -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(40, 5))
    guesses = [truth + spread * rng.normal(size=truth.shape) for spread in (0.5, 3.0)]
    return [guess.astype(np.float32) for guess in guesses], truth.astype(np.float32)


def passed(size: int, bootstraps: int = 50, permutations: int = 50) -> Resampled:
    plan = Plan(["a", "b"], [("a", "b")], [], REGIONS, bootstraps, permutations, seed=1)
    (first, second), truth = tables()
    sampler = Resampler(plan, 5, FOLD)
    for start in range(0, 5, size):
        part = slice(start, min(start + size, 5))
        sampler.add(part, [first[:, part], second[:, part]], truth[:, part])
    return sampler.finish()


def test_blocks_change_nothing() -> None:
    whole, parts = passed(5), passed(2)
    for name, values in whole.target["a", "b"].items():
        np.testing.assert_allclose(parts.target["a", "b"][name], values, atol=1e-12)
    for name in ("a", "b"):
        np.testing.assert_allclose(parts.r[name].value, whole.r[name].value, atol=1e-12)
    np.testing.assert_allclose(parts.null["a", "b"].value, whole.null["a", "b"].value, atol=1e-12)


def test_a_difference_is_drawn_with_the_same_images_on_both_sides() -> None:
    found = passed(5)
    between = found.r["a"].value - found.r["b"].value
    np.testing.assert_allclose(found.difference["a", "b"].value, between, atol=1e-12)
    low, high = ends(found.difference["a", "b"].value)
    assert (low > 0).all(), "the better model is better in every draw"
    assert (high > low).all()


def test_a_copy_differs_in_no_draw() -> None:
    plan = Plan(["a", "b"], [("a", "b")], [], REGIONS, 50, 0, seed=1)
    (first, _), truth = tables()
    sampler = Resampler(plan, 5, FOLD)
    sampler.add(slice(0, 5), [first, 2 * first + 1], truth)
    np.testing.assert_allclose(sampler.finish().difference["a", "b"].value, 0, atol=1e-6)


def test_regions_are_means_over_their_targets() -> None:
    found, (first, _), (_, truth) = passed(5), tables()[0], tables()
    ((_, drawn),) = bootstrap_r(first, truth, FOLD, draws=50, seed=1)
    assert found.r["a"].value.shape == (50, 2)
    np.testing.assert_allclose(found.r["a"].value.mean(0)[0], drawn.mean(), atol=0.02)
    observed = found.target["a", "b"]["difference"]
    np.testing.assert_allclose(
        found.null["a", "b"].value[0], [observed.mean(), observed[[1, 3]].mean()]
    )
    np.testing.assert_allclose(region_p(found.null["a", "b"].value), 1 / 51)


def test_a_prediction_that_gives_up_has_an_interval_at_nothing() -> None:
    plan = Plan(["a", "b"], [("a", "b")], [], {"all targets": np.arange(5)}, 20, 0, seed=1)
    (first, second), truth = tables()
    second[:] = 2.0
    sampler = Resampler(plan, 5, FOLD)
    sampler.add(slice(0, 5), [first, second], truth)
    found = sampler.finish()
    np.testing.assert_array_equal(found.r["b"].value, 0.0)
    np.testing.assert_allclose(found.difference["a", "b"].value, found.r["a"].value)


@pytest.mark.parametrize(("bootstraps", "permutations"), [(0, 9), (9, 0), (0, 0)])
def test_what_is_not_drawn_is_missing(bootstraps: int, permutations: int) -> None:
    found = passed(5, bootstraps, permutations)
    column = found.target["a", "b"]
    assert np.isfinite(column["difference"]).all()
    assert np.isfinite(column["p"]).all() == np.isfinite(column["q"]).all() == bool(permutations)
    assert np.isfinite(column["low"]).all() == bool(bootstraps)
    assert np.isfinite(ends(found.r["a"].value)[0]).all() == bool(bootstraps)
    assert np.isfinite(region_p(found.null["a", "b"].value)).all() == bool(permutations)


def test_a_mean_leaves_out_what_is_missing() -> None:
    mean = Mean.of(1, 2)
    mean.add(np.array([[1.0, np.nan, 4.0]]), np.array([[1.0, 0], [1, 1], [1, 0]]))
    np.testing.assert_array_equal(mean.value, [[2.5, np.nan]])
