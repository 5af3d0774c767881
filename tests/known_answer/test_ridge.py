"""Ridge against scikit-learn, brute force, and data whose best answer is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import Ridge as ReferenceRidge
from sklearn.preprocessing import StandardScaler

from neuroattn.encoding.design import Design, Reader, fit_scaler
from neuroattn.encoding.narrow import solve_narrow
from neuroattn.encoding.penalties import penalties
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import Arithmetic, RidgeConfig
from neuroattn.encoding.ridge import Ridge, RidgeModel
from neuroattn.encoding.solvers import inner_folds, solve_dual, solve_primal
from neuroattn.stats.correlation import pearson

Array = np.ndarray[Any, Any]


class Store:
    """Features in memory, image id = row."""

    def __init__(self, **layers: Array) -> None:
        self._layers = {name: values.astype(np.float16) for name, values in layers.items()}

    @property
    def layers(self) -> list[str]:
        return list(self._layers)

    def shape(self, layer: str) -> tuple[int, int, int]:
        return self._layers[layer].shape

    def read(self, layer: str, images: Any = None) -> Array:
        values = self._layers[layer]
        return values.copy() if images is None else values[images]

    def flat(self) -> Array:
        parts = [values.reshape(len(values), -1) for values in self._layers.values()]
        return np.concatenate(parts, axis=1).astype(np.float64)


def store(images: int, seed: int = 0, *, tokens: int = 4, dim: int = 3) -> Store:
    """Two layers of features with different scales and offsets."""
    rng = np.random.default_rng(seed)
    early = rng.normal(size=(images, tokens, dim)) * np.linspace(0.2, 3, dim) + 2
    late = np.maximum(rng.normal(size=(images, 2, 5)), 0)
    return Store(early=early, late=late)


def training(features: Store, images: Array, responses: Array, seed: int = 0) -> TrainingSet:
    targets = pd.DataFrame({"target": range(responses.shape[1])})
    return TrainingSet(
        features=features,
        images=np.asarray(images, dtype=np.int64),
        responses=responses.astype(np.float32),
        targets=targets,
        seed=seed,
        work=Path("unused"),
        device="cpu",
    )


def fit(features: Store, images: Array, responses: Array, **keys: Any) -> RidgeModel:
    return Ridge(RidgeConfig(**keys)).fit(training(features, images, responses))


def linear(features: Store, targets: int, noise: float, seed: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    x = StandardScaler().fit_transform(features.flat())
    y = x @ rng.normal(size=(x.shape[1], targets)) / np.sqrt(x.shape[1])
    return y + noise * rng.normal(size=y.shape) + np.linspace(-50, 50, targets)


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize(("images", "form"), [(60, "primal"), (15, "dual")])
@pytest.mark.parametrize("alpha", [0.003, 1.0, 30.0])
def test_equals_scikit_learn(images: int, form: str, standardise: bool, alpha: float) -> None:
    features, train = store(images + 10), np.arange(images)
    y, x = linear(features, 5, 0.3), features.flat()
    keys = {"alpha_min": alpha, "alpha_max": alpha, "n_alphas": 1, "standardise": standardise}
    model = fit(features, train, y[train], **keys)
    scaler = StandardScaler(with_std=standardise).fit(x[train])
    z = scaler.transform(x)
    penalty = alpha * np.square(z[train]).sum() / images
    reference = ReferenceRidge(alpha=penalty).fit(z[train], y[train].astype(np.float32))
    assert (x.shape[1] <= images) == (form == "primal")
    everyone = np.arange(len(x))
    np.testing.assert_allclose(
        model.predict(features, everyone), reference.predict(z), rtol=2e-5, atol=2e-5
    )
    found = np.concatenate(list(model.coefficients.values()))
    np.testing.assert_allclose(found, reference.coef_.T, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("rows", "columns"), [(30, 12), (12, 30), (20, 20)])
def test_primal_equals_dual(rows: int, columns: int) -> None:
    rng = np.random.default_rng(3)
    x = torch.tensor(rng.normal(size=(rows, columns)))
    x = x - x.mean(0)
    y = torch.tensor(rng.normal(size=(rows, 7)) + 4)
    grid, folds = np.logspace(-2, 3, 6), inner_folds(np.arange(rows), 4, 0)
    primal = solve_primal(x, y, grid, folds, 3)
    dual = solve_dual(x @ x.T, y, grid, folds, 3)
    np.testing.assert_array_equal(primal.alpha, dual.alpha)
    np.testing.assert_allclose(primal.intercept, dual.intercept, atol=1e-10)
    np.testing.assert_allclose(primal.weights, x.T @ dual.weights, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_scores_without_predictions_choose_as_predictions_do(dtype: torch.dtype) -> None:
    """The search over many feature sets has the weights, penalties and scores of the plain one."""
    rng = np.random.default_rng(4)
    x = torch.tensor(rng.normal(size=(90, 8)) * np.logspace(0, 2, 8), dtype=dtype)
    x = x - x.mean(0)
    signal = x.numpy() @ rng.normal(size=(8, 25)) * np.logspace(-2, 0, 25)
    y = torch.tensor(signal + 30 * rng.normal(size=signal.shape) + 9, dtype=dtype)
    grid, folds = np.logspace(-4, 3, 8), inner_folds(np.arange(90), 4, 0)
    plain, narrow = solve_primal(x, y, grid, folds, 7), solve_narrow(x, y, grid, folds, 7)
    np.testing.assert_array_equal(narrow.alpha, plain.alpha)
    assert len(set(narrow.alpha)) > 2
    near = {"rtol": 1e-3, "atol": 1e-4} if dtype == torch.float32 else {"rtol": 1e-7, "atol": 1e-9}
    np.testing.assert_allclose(narrow.weights, plain.weights, **near)
    np.testing.assert_allclose(narrow.intercept, plain.intercept, **near)
    assert narrow.r_selection is not None
    np.testing.assert_allclose(narrow.r_selection, plain.r_selection, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_target_that_is_silent_in_a_fold_has_no_correlation_there(dtype: torch.dtype) -> None:
    """What is left of a constant is rounding, and over next to nothing it would choose."""
    rng = np.random.default_rng(5)
    x = torch.tensor(rng.normal(size=(60, 8)), dtype=dtype)
    x = x - x.mean(0)
    y = np.repeat((x.numpy() @ rng.normal(size=8))[:, None], 3, axis=1) / 7 + 0.1
    grid, folds = np.logspace(-2, 3, 6), inner_folds(np.arange(60), 4, 0)
    y[folds[1][1], 1] = 0.1  # silent in one fold
    y[:, 2] = 0.1
    table = torch.tensor(y, dtype=dtype)
    for solve in (solve_primal, solve_narrow):
        r = solve(x, table, grid, folds, 3).r_selection
        assert r is not None
        assert r[0] == pytest.approx(1, abs=1e-3)
        assert r[1] == pytest.approx(0.75, abs=0.1), "one fold of four counts as 0"
        assert r[2] == 0


@pytest.mark.parametrize("images", [60, 15])
def test_penalties_are_those_of_brute_force_cross_validation(images: int) -> None:
    """Centring happens anew in every inner fold: a plain loop over scikit-learn agrees."""
    features, train = store(images), np.arange(images)
    y = linear(features, 12, 1.0).astype(np.float32)
    config = RidgeConfig(alpha_min=1e-2, alpha_max=1e3, n_alphas=6, inner_folds=4)
    model = Ridge(config).fit(training(features, train, y, seed=7))
    z = StandardScaler().fit_transform(features.flat())
    scale, grid = np.square(z).sum() / images, penalties(config)
    errors = np.zeros((len(grid), y.shape[1]))
    for inner, held_out in inner_folds(train, 4, 7):
        for row, alpha in enumerate(grid):
            reference = ReferenceRidge(alpha=alpha * scale).fit(z[inner], y[inner])
            errors[row] += np.square(reference.predict(z[held_out]) - y[held_out]).mean(0)
    np.testing.assert_array_equal(model.alpha, grid[errors.argmin(0)])
    assert len(set(model.alpha)) > 1


@pytest.mark.parametrize("batch", [5, 4096])
@pytest.mark.parametrize("images", [60, 15])
def test_r_selection_is_that_of_the_inner_folds_at_the_chosen_penalty(
    images: int, batch: int
) -> None:
    """Against a plain loop over scikit-learn, in the primal and in the dual form."""
    features, train = store(images), np.arange(images)
    y = linear(features, 12, 1.0).astype(np.float32)
    config = RidgeConfig(
        alpha_min=1e-2, alpha_max=1e3, n_alphas=6, inner_folds=3, n_targets_batch=batch
    )
    model = Ridge(config).fit(training(features, train, y, seed=7))
    z = StandardScaler().fit_transform(features.flat())
    scale, folds, expected = np.square(z).sum() / images, inner_folds(train, 3, 7), []
    for target, alpha in enumerate(model.alpha):
        reference, column = ReferenceRidge(alpha=alpha * scale), y[:, [target]]
        guesses = [reference.fit(z[i], column[i]).predict(z[h]) for i, h in folds]
        pairs = zip(guesses, folds, strict=True)
        expected.append(np.mean([pearson(g.reshape(-1, 1), column[h]) for g, (_, h) in pairs]))
    assert model.r_selection is not None
    np.testing.assert_allclose(model.r_selection, expected, atol=1e-5)
    np.testing.assert_array_equal(model.columns()["r_selection"], model.r_selection)


@pytest.mark.parametrize(("images", "width"), [(200, 40), (60, 400)])
def test_a_noiseless_target_chooses_a_small_penalty_and_noise_a_large_one(
    images: int, width: int
) -> None:
    """Features of rank 8, so that the noiseless target can be learnt from few images."""
    rng = np.random.default_rng(9)
    sources = rng.normal(size=(images, 8))
    features = Store(a=(sources @ rng.normal(size=(8, width)))[:, None, :])
    signal, noise = sources @ rng.normal(size=(8, 20)), rng.normal(size=(images, 20))
    alpha = fit(features, np.arange(images), np.concatenate([signal, noise], axis=1)).alpha
    assert alpha[:20].max() <= 0.1
    assert np.median(alpha[20:]) >= 10


@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_penalties_do_not_depend_on_the_units_of_the_responses(factor: float) -> None:
    """The solver's guards are absolute numbers; large betas must not fall into them."""
    features, train = store(30), np.arange(30)
    y = linear(features, 6, 1.0)
    plain, scaled = fit(features, train, y), fit(features, train, factor * y)
    np.testing.assert_array_equal(plain.alpha, scaled.alpha)
    np.testing.assert_allclose(
        scaled.predict(features, train), factor * plain.predict(features, train), rtol=1e-4
    )


@pytest.mark.parametrize("images", [60, 15])
def test_shifted_responses_shift_predictions_only(images: int) -> None:
    features, train = store(images), np.arange(images)
    y = linear(features, 4, 0.5)
    plain, shifted = fit(features, train, y), fit(features, train, y + 512)
    np.testing.assert_array_equal(plain.alpha, shifted.alpha)
    difference = shifted.predict(features, train) - plain.predict(features, train)
    np.testing.assert_allclose(difference, 512, atol=2e-3)


@pytest.mark.parametrize("images", [60, 15])
@pytest.mark.parametrize("standardise", [True, False])
def test_shifted_features_change_nothing(images: int, standardise: bool) -> None:
    values = np.random.default_rng(0).integers(-8, 8, size=(images, 4, 5))  # exact in fp16
    near, far, train = Store(a=values), Store(a=values + 1024), np.arange(images)
    y = np.random.default_rng(1).normal(size=(images, 3))
    keys = {"standardise": standardise}
    found = fit(far, train, y, **keys).predict(far, train)
    np.testing.assert_allclose(found, fit(near, train, y, **keys).predict(near, train), atol=1e-5)


@pytest.mark.parametrize("images", [60, 15])
def test_permuting_targets_permutes_results(images: int) -> None:
    features, train = store(images), np.arange(images)
    y = linear(features, 9, 1.0)
    order = np.random.default_rng(2).permutation(9)
    plain, permuted = fit(features, train, y), fit(features, train, y[:, order])
    np.testing.assert_array_equal(permuted.alpha, plain.alpha[order])
    np.testing.assert_allclose(
        permuted.predict(features, train), plain.predict(features, train)[:, order], rtol=1e-5
    )


@pytest.mark.parametrize("batch", [1, 4])
def test_batches_of_targets_change_nothing(batch: int) -> None:
    features, train = store(15), np.arange(15)
    y = linear(features, 9, 1.0)
    whole, parts = fit(features, train, y), fit(features, train, y, n_targets_batch=batch)
    np.testing.assert_array_equal(parts.alpha, whole.alpha)
    np.testing.assert_allclose(
        parts.predict(features, train), whole.predict(features, train), rtol=1e-5
    )


def test_the_streamed_gram_equals_the_plain_one() -> None:
    rng = np.random.default_rng(0)
    features = Store(wide=rng.normal(size=(40, 60, 100)), narrow=rng.normal(size=(40, 1, 7)))
    images, counts = np.arange(5, 40), np.ones(35, dtype=np.int64)
    reader = Reader(features, tile_mib=1)
    scalers = {layer: fit_scaler(reader, layer, images, counts, True) for layer in features.layers}
    z = StandardScaler().fit(features.flat()[images]).transform(features.flat())
    assert len(reader.rows("wide", images)) > 2
    assert len(reader.columns("wide")) > 1
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 2e-3)):
        design = Design(reader, scalers, dtype, torch.device("cpu"))
        gram, cross = design.gram(images), design.cross(np.arange(5), images)
        np.testing.assert_allclose(gram, z[images] @ z[images].T, atol=tolerance)
        np.testing.assert_allclose(cross, z[:5] @ z[images].T, atol=tolerance)
        assert torch.equal(gram, gram.T)


@pytest.mark.parametrize("precision", list(Arithmetic))
def test_tiles_change_no_prediction(precision: Arithmetic) -> None:
    rng = np.random.default_rng(0)
    features, train = Store(wide=rng.normal(size=(30, 60, 100))), np.arange(24)
    y = rng.normal(size=(24, 3))
    keys = {"precision": precision, "n_alphas": 1, "alpha_min": 1.0, "alpha_max": 1.0}
    whole = fit(features, train, y, **keys).predict(features, np.arange(30))
    tiled = fit(features, train, y, tile_mib=1, **keys).predict(features, np.arange(30))
    np.testing.assert_allclose(tiled, whole, atol=1e-5)


def test_single_precision_agrees_with_double() -> None:
    rng = np.random.default_rng(0)
    features, train = Store(wide=rng.normal(size=(300, 20, 50))), np.arange(240)
    y = linear(features, 10, 1.0)
    single, double = (
        fit(features, train, y[train], precision=kind).predict(features, np.arange(240, 300))
        for kind in (Arithmetic.float32, Arithmetic.float64)
    )
    np.testing.assert_allclose(single, double, atol=1e-3)


def test_the_dual_form_predicts_as_the_primal_one() -> None:
    features, train, test = store(30), np.arange(15), np.arange(15, 30)
    y = linear(features, 4, 0.5)
    primal, dual = fit(features, train, y[train]), fit(features, train, y[train], primal_gb=0.0)
    assert primal.dual is None
    assert dual.coefficients is None
    np.testing.assert_allclose(
        dual.predict(features, test), primal.predict(features, test), rtol=1e-5
    )


def test_the_scaler_knows_training_images_alone() -> None:
    features, train = store(40), np.arange(20)
    y = linear(features, 3, 0.5)
    loud = Store(**{name: features.read(name) for name in features.layers})
    for values in loud._layers.values():
        values[20:] = values[20:] * 100 + 7
    plain, other = fit(features, train, y[train]).state()[0], fit(loud, train, y[train]).state()[0]
    assert plain.keys() == other.keys()
    assert all(np.array_equal(plain[name], other[name]) for name in plain)


def test_a_feature_that_is_constant_in_training_is_dropped() -> None:
    features, train = store(40), np.arange(30)
    y = linear(features, 3, 0.5)
    values = features.read("early")
    values[:30, 0, 0] = 0.1
    values[30:, 0, 0] = 60000.0
    model = fit(Store(early=values), train, y[train])
    assert model.scalers["early"].sd[0] == 0
    assert not model.coefficients["early"][0].any()
    values[30:, 0, 0] = 0.1
    expected = model.predict(Store(early=values), np.arange(30, 40))
    values[30:, 0, 0] = 60000.0
    np.testing.assert_array_equal(model.predict(Store(early=values), np.arange(30, 40)), expected)


@pytest.mark.parametrize("images", [60, 15])
def test_single_trials_and_weighted_means_give_one_solution(images: int) -> None:
    """Sum over trials of (y - f)^2 = sum of counts x (mean - f)^2 + a constant."""
    features, rng = store(images), np.random.default_rng(4)
    counts = rng.integers(1, 4, size=images)
    owner = np.repeat(np.arange(images), counts)
    trials = linear(features, 5, 0.5)[owner] + 0.5 * rng.normal(size=(len(owner), 5))
    trials = trials.astype(np.float32)
    means = np.stack([trials[owner == image].mean(0, dtype=np.float64) for image in range(images)])
    single, weighted = fit(features, owner, trials), fit(features, owner, means[owner])
    everyone = np.arange(images)
    np.testing.assert_array_equal(single.alpha, weighted.alpha)
    np.testing.assert_allclose(
        single.predict(features, everyone), weighted.predict(features, everyone), atol=1e-4
    )
    shuffled = rng.permutation(len(owner))
    again = fit(features, owner[shuffled], trials[shuffled])
    np.testing.assert_allclose(
        again.predict(features, everyone), single.predict(features, everyone), atol=1e-4
    )


def test_shuffled_images_are_not_predicted() -> None:
    features = store(400)
    y = linear(features, 40, 0.5)
    shuffled = y[np.random.default_rng(5).permutation(400)]
    train, test = np.arange(300), np.arange(300, 400)

    def mean_r(responses: Array) -> float:
        predicted = fit(features, train, responses[train]).predict(features, test)
        return float(np.nanmean(pearson(predicted, responses[test])))

    assert mean_r(y) > 0.8
    assert abs(mean_r(shuffled)) < 0.05
