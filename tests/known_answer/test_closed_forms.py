"""Relatives of ridge on data whose best answer is known, and against other ways to compute them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge as ReferenceRidge
from sklearn.preprocessing import StandardScaler

from neuroattn.encoding.banded import BandedRidge, weightings
from neuroattn.encoding.bands import Grams, choose, shares
from neuroattn.encoding.field_ridge import FieldRidge, mixer
from neuroattn.encoding.fields import EVEN
from neuroattn.encoding.pca_ridge import PcaRidge
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import (
    BandedRidgeConfig,
    FieldRidgeConfig,
    Inputs,
    LinearClsConfig,
    LinearPoolConfig,
    PcaRidgeConfig,
    RidgeConfig,
    Select,
)
from neuroattn.encoding.ridge import Ridge, RidgeModel
from neuroattn.encoding.solvers import inner_folds, solve_dual
from neuroattn.stats.correlation import pearson

Array = np.ndarray[Any, Any]
ONE = {"alpha_min": 1.0, "alpha_max": 1.0, "n_alphas": 1}


class Store:
    """Features in memory, image id = row."""

    def __init__(self, **layers: Array) -> None:
        self.values = {name: values.astype(np.float16) for name, values in layers.items()}

    @property
    def layers(self) -> list[str]:
        return list(self.values)

    def shape(self, layer: str) -> tuple[int, int, int]:
        return self.values[layer].shape

    def read(self, layer: str, images: Any = None) -> Array:
        return self.values[layer][slice(None) if images is None else images]


def fit(readout: Any, store: Store, images: Array, y: Array, work: Path | None = None) -> Any:
    train = TrainingSet(
        features=store,
        images=images,
        responses=y.astype(np.float32),
        targets=pd.DataFrame({"target": range(y.shape[1])}),
        seed=0,
        work=work or Path("unused"),
        device="cpu",
    )
    return readout.fit(train)


def accuracy(model: RidgeModel, store: Store, test: Array, y: Array) -> Array:
    return pearson(model.predict(store, test), y[test].astype(np.float32))


# One band of two


@pytest.fixture(scope="module")
def two_bands() -> tuple[Store, Array]:
    """A small band that half the targets read, a large one for the others; 20 targets."""
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(200, 1, 10)), rng.normal(size=(200, 5, 100))
    signal = np.concatenate(
        [
            small.reshape(200, -1) @ rng.normal(size=(10, 10)) / np.sqrt(10),
            large.reshape(200, -1)[:, :60] @ rng.normal(size=(60, 10)) / np.sqrt(60),
        ],
        axis=1,
    )
    return Store(small=small, large=large), signal + 0.7 * rng.normal(size=signal.shape) + 5


def test_the_planted_band_wins_and_plain_ridge_loses(two_bands: tuple[Store, Array]) -> None:
    store, y = two_bands
    train, test = np.arange(150), np.arange(150, 200)
    config = BandedRidgeConfig(candidates=15, n_alphas=7, alpha_max=1e3)
    banded = fit(BandedRidge(config), store, train, y[train])
    plain = fit(Ridge(RidgeConfig()), store, train, y[train])
    gain = accuracy(banded, store, test, y) - accuracy(plain, store, test, y)
    assert gain[:10].mean() > 0.15
    columns = banded.columns()
    assert columns["share_small"][:10].min() > 0.85
    assert columns["share_large"][10:].mean() > 0.8
    np.testing.assert_allclose(columns["share_small"] + columns["share_large"], 1, atol=1e-9)


def test_each_target_reads_its_best_layer(two_bands: tuple[Store, Array]) -> None:
    store, y = two_bands
    train, test = np.arange(150), np.arange(150, 200)
    model = fit(Ridge(RidgeConfig(select=Select.best_layer)), store, train, y[train])
    layer = model.columns()["layer"]
    assert (layer[:10] == 0).all()
    assert layer[10:].mean() > 0.7
    alone = fit(Ridge(RidgeConfig(layers=["small"])), store, train, y[train])
    mine = layer == 0
    np.testing.assert_array_equal(model.alpha[mine], alone.alpha[mine])
    np.testing.assert_allclose(
        model.predict(store, test)[:, mine], alone.predict(store, test)[:, mine], atol=1e-4
    )


def test_equal_bands_are_plain_ridge_on_one() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2, 40))
    y = x.reshape(60, -1) @ rng.normal(size=(80, 6)) + rng.normal(size=(60, 6))
    twice, once, train = Store(a=x, b=x), Store(a=x), np.arange(40)
    config = {"n_alphas": 5, "alpha_max": 1e3}
    banded = fit(BandedRidge(BandedRidgeConfig(candidates=6, **config)), twice, train, y[train])
    plain = fit(Ridge(RidgeConfig(**config)), once, train, y[train])
    np.testing.assert_array_equal(banded.alpha, plain.alpha)
    np.testing.assert_allclose(banded.columns()["share_a"], 0.5, atol=1e-9)
    everyone = np.arange(60)
    np.testing.assert_allclose(
        banded.predict(twice, everyone), plain.predict(once, everyone), atol=1e-4
    )


def test_bands_with_weights_are_ridge_with_a_penalty_for_each() -> None:
    """Brute force: features times sqrt(weight), scikit-learn's ridge at the same penalty."""
    rng = np.random.default_rng(2)
    parts = [rng.normal(size=(30, width)) for width in (5, 50)]
    parts = [part - part.mean(0) for part in parts]
    y = rng.normal(size=(30, 4)) + 3
    norms = np.array([np.square(part).sum() / 30 for part in parts])
    values = np.stack([part @ part.T / norm for part, norm in zip(parts, norms, strict=True)])
    grams = Grams(values, np.arange(30), norms)
    weights = np.array([[0.2, 0.8]])
    found = choose(
        grams, weights, torch.from_numpy(y), np.array([0.5]), inner_folds(np.arange(30), 3, 0),
        batch=3,
    )  # fmt: skip
    raw = grams.raw(found.weights)
    x = np.concatenate([p * np.sqrt(w) for p, w in zip(parts, raw[:, 0], strict=True)], axis=1)
    reference = ReferenceRidge(alpha=0.5 * np.square(x).sum() / 30).fit(x, y)
    coefficients = np.concatenate(
        [w * (p.T @ found.solution.weights.numpy()) for p, w in zip(parts, raw[:, 0], strict=True)]
    )
    scaled = reference.coef_.T * np.sqrt(np.repeat(raw[:, 0], [5, 50]))[:, None]
    np.testing.assert_allclose(coefficients, scaled, atol=1e-6)
    np.testing.assert_allclose(found.solution.intercept, reference.intercept_, atol=1e-9)


def test_the_search_is_himalayas() -> None:
    """The same kernels, weightings, penalties and folds: the same choices and coefficients."""
    from himalaya.kernel_ridge import solve_multiple_kernel_ridge_random_search as himalayas

    from neuroattn.encoding.solvers import himalaya_backend

    rng = np.random.default_rng(3)
    parts = [rng.normal(size=(40, width)) for width in (4, 30, 60)]
    parts = [part - part.mean(0) for part in parts]
    y = parts[0] @ rng.normal(size=(4, 8)) + parts[1] @ rng.normal(size=(30, 8)) * np.arange(8) / 8
    y += rng.normal(size=y.shape)
    kernels = np.stack([part @ part.T / np.square(part).sum() * 40 for part in parts])
    candidates, alphas = weightings(3, 9, 0), np.logspace(-2, 2, 5)
    folds = inner_folds(np.arange(40), 4, 0)
    grams = Grams(kernels, np.arange(40), np.ones(3))
    ours = choose(grams, candidates, torch.from_numpy(y), alphas, folds, batch=8)
    with himalaya_backend(torch.device("cpu")):
        deltas, dual, _, chosen, intercept = himalayas(
            torch.from_numpy(kernels), torch.from_numpy(y), n_iter=candidates,
            alphas=torch.from_numpy(alphas), cv=folds, fit_intercept=True, return_weights="dual",
            return_alphas=True, progress_bar=False,
        )  # fmt: skip
    # himalaya multiplies the penalty into the weights: exp(deltas) = weights / alpha.
    np.testing.assert_allclose(ours.solution.alpha, chosen, rtol=1e-6)
    theirs = np.exp(deltas.numpy()) * chosen.numpy()
    np.testing.assert_allclose(ours.weights, theirs, atol=1e-6)
    np.testing.assert_allclose(
        ours.solution.weights * torch.from_numpy(ours.solution.alpha), dual, atol=1e-5
    )
    np.testing.assert_allclose(ours.solution.intercept, intercept, atol=1e-9)


def test_one_candidate_chooses_the_penalties_of_ridge() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(40, 90))
    x -= x.mean(0)
    gram = x @ x.T / np.square(x).sum() * 40
    y = torch.from_numpy(x[:, :9] @ rng.normal(size=(9, 12)) + 2 * rng.normal(size=(40, 12)))
    alphas, folds = np.logspace(-3, 3, 7), inner_folds(np.arange(40), 5, 0)
    grams = Grams(gram[None], np.arange(40), np.ones(1))
    ours = choose(grams, np.ones((1, 1)), y, alphas, folds, batch=5).solution
    theirs = solve_dual(torch.from_numpy(gram), y, alphas, folds, 12)
    np.testing.assert_array_equal(ours.alpha, theirs.alpha)
    np.testing.assert_allclose(ours.weights, theirs.weights, atol=1e-5)
    np.testing.assert_allclose(ours.r_selection, theirs.r_selection, atol=1e-5)


def test_shares_of_independent_bands_are_their_shares_of_the_variance() -> None:
    rng = np.random.default_rng(5)
    basis = np.linalg.qr(rng.normal(size=(50, 50)))[0]
    values = np.stack([basis[:, :1] @ basis[:, :1].T, basis[:, 1:2] @ basis[:, 1:2].T])
    dual = torch.from_numpy(basis[:, :2] @ np.array([[3.0], [1.0]]))
    grams = Grams(values, np.arange(50), np.ones(2))
    found = shares(grams, np.ones((2, 1)), dual)
    np.testing.assert_allclose(found[:, 0], [0.9, 0.1], atol=1e-6)


# Principal components


@pytest.mark.parametrize(("images", "standardise"), [(80, True), (20, False)])
def test_ridge_on_components_is_scikit_learns(images: int, standardise: bool) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=(100, 3, 10)) * np.linspace(0.3, 3, 10)
    y, train = rng.normal(size=(100, 5)) + 4, np.arange(images)
    store = Store(a=x)
    config = PcaRidgeConfig(components=6, standardise=standardise, **ONE)
    model = fit(PcaRidge(config), store, train, y[train])
    flat = store.read("a").reshape(100, -1).astype(np.float64)
    z = StandardScaler(with_std=standardise).fit(flat[train]).transform(flat)
    pca = PCA(6, svd_solver="full").fit(z[train])
    scores = pca.transform(z)
    penalty = np.square(scores[train]).sum() / images
    reference = ReferenceRidge(alpha=penalty).fit(scores[train], y[train])
    found = model.predict(store, np.arange(100))
    np.testing.assert_allclose(found, reference.predict(scores), atol=1e-4)
    whole = fit(Ridge(RidgeConfig(standardise=standardise, **ONE)), store, train, y[train])
    assert np.abs(found - whole.predict(store, np.arange(100))).max() > 0.05


def test_components_know_training_images_alone() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(60, 1, 80)), rng.normal(size=(30, 2))
    loud = x.copy()
    loud[30:] *= 50
    config, train = PcaRidgeConfig(components=5, **ONE), np.arange(30)
    one, other = (fit(PcaRidge(config), Store(a=v), train, y).coefficients["a"] for v in (x, loud))
    np.testing.assert_array_equal(one, other)


# What of a layer is read


def test_the_mean_over_tokens_is_ridge_on_means_and_blind_to_places() -> None:
    rng = np.random.default_rng(8)
    x = rng.normal(size=(120, 4, 5)).astype(np.float16).astype(np.float64)
    whole = x.mean(1) @ rng.normal(size=(5, 3))
    corner = x[:, 0] @ rng.normal(size=(5, 3)) - x[:, 3] @ rng.normal(size=(5, 3))
    y = np.concatenate([whole, corner], axis=1)
    store, train, test = Store(a=x), np.arange(90), np.arange(90, 120)
    pooled = fit(Ridge(LinearPoolConfig()), store, train, y[train])
    means = Store(a=x.mean(1, keepdims=True))
    same = fit(Ridge(RidgeConfig()), means, train, y[train])
    np.testing.assert_allclose(pooled.predict(store, test), same.predict(means, test), atol=0.01)
    every = fit(Ridge(RidgeConfig()), store, train, y[train])
    r = accuracy(pooled, store, test, y)
    assert r[:3].min() > 0.99
    assert r[3:].max() < 0.6
    assert accuracy(every, store, test, y).min() > 0.99


def test_the_one_vector_is_read_and_no_corner_of_a_grid_taken_for_it() -> None:
    rng = np.random.default_rng(9)
    store = Store(grid=rng.normal(size=(50, 4, 5)), pooled=rng.normal(size=(50, 1, 6)))
    y, train = rng.normal(size=(40, 2)), np.arange(40)
    model = fit(Ridge(LinearClsConfig()), store, train, y)
    assert list(model.scalers) == ["pooled"]
    with pytest.raises(Exception, match="one vector for a picture"):
        fit(Ridge(LinearClsConfig(layers=["grid"])), store, train, y)
    with pytest.raises(Exception, match="one vector for a picture"):
        fit(Ridge(LinearClsConfig()), Store(grid=store.values["grid"]), train, y)


# Receptive fields


@pytest.fixture(scope="module")
def fields() -> tuple[Store, Array, Array]:
    """Each of 12 targets reads all channels of three neighbouring cells of a 6 x 6 grid."""
    rng = np.random.default_rng(10)
    x = rng.normal(size=(260, 36, 12))
    corners = np.array([7, 10, 25, 28])  # cell of each field, row by row
    y = []
    for target in range(12):
        cell = corners[target % 4]
        shared = rng.normal(size=12)
        y.append(sum(x[:, c] @ (shared + 0.3 * rng.normal(size=12)) for c in (cell, cell + 1)))
    y = np.stack(y, axis=1)
    return Store(a=x), y / y.std(0) + 0.8 * rng.normal(size=y.shape), corners


def test_planted_fields_are_found_and_plain_ridge_loses(fields: Any) -> None:
    store, y, corners = fields
    train, test = np.arange(200), np.arange(200, 260)
    config = FieldRidgeConfig(cells=6, places=3, sizes=[0.12, 0.25], n_alphas=5, inner_folds=3)
    field = fit(FieldRidge(config), store, train, y[train])
    plain = fit(Ridge(RidgeConfig(n_alphas=5)), store, train, y[train])
    gain = accuracy(field, store, test, y) - accuracy(plain, store, test, y)
    assert gain.mean() > 0.1
    columns = field.columns()
    rows, places = np.divmod(corners[np.arange(12) % 4], 6)
    np.testing.assert_allclose(columns["rf_y"], 2 * (rows + 0.5) / 6 - 1, atol=0.4)
    np.testing.assert_allclose(columns["rf_x"], 2 * (places + 1.0) / 6 - 1, atol=0.4)
    assert set(columns["rf_size"].round(3)) <= {0.24, 0.5}, "no target takes the whole picture"


def test_without_field_or_smoothness_it_is_plain_ridge() -> None:
    rng = np.random.default_rng(11)
    x, y, train = rng.normal(size=(60, 16, 8)), rng.normal(size=(60, 5)) + 9, np.arange(45)
    config = FieldRidgeConfig(cells=4, sizes=[], smoothness=0.0, inner_folds=5, n_alphas=4)
    field = fit(FieldRidge(config), Store(a=x), train, y[train])
    plain = fit(Ridge(RidgeConfig(standardise=False, n_alphas=4)), Store(a=x), train, y[train])
    np.testing.assert_array_equal(field.alpha, plain.alpha)
    everyone = np.arange(60)
    np.testing.assert_allclose(
        field.predict(Store(a=x), everyone), plain.predict(Store(a=x), everyone), atol=1e-3
    )


def test_it_is_ridge_on_smoothed_weighted_cells() -> None:
    """The field as an explicit transformation of the features, and scikit-learn's ridge."""
    from neuroattn.encoding.field_ridge import candidates

    rng = np.random.default_rng(12)
    x, y, train = rng.normal(size=(50, 16, 5)), rng.normal(size=(50, 3)), np.arange(40)
    config = FieldRidgeConfig(cells=4, places=1, sizes=[0.2], smoothness=0.7, inner_folds=3, **ONE)
    model = fit(FieldRidge(config), Store(a=x), train, y[train])
    weights = candidates(4, 1, [0.2]).weights
    flat = Store(a=x).read("a").astype(np.float64)
    flat -= flat[train].mean(0)
    for target in range(3):
        mine = weights[0 if model.columns()["rf_size"][target] == EVEN else 1]
        cells = np.einsum("kt,itc->ikc", mixer((4, 4), 4, 0.7), flat)
        z = (np.sqrt(mine)[:, None] * cells).reshape(50, -1)
        reference = ReferenceRidge(alpha=np.square(z[train]).sum() / 40)
        reference.fit(z[train], y[train, target])
        found = model.predict(Store(a=x), np.arange(50))[:, target]
        np.testing.assert_allclose(found, reference.predict(z), atol=1e-3)


# All of them


READOUTS: dict[str, Callable[[], Any]] = {
    "mean": lambda: Ridge(LinearPoolConfig(**ONE)),
    "best layer": lambda: Ridge(RidgeConfig(select=Select.best_layer, **ONE)),
    "pca": lambda: PcaRidge(PcaRidgeConfig(components=4, **ONE)),
    "banded": lambda: BandedRidge(BandedRidgeConfig(candidates=4, **ONE)),
    "field": lambda: FieldRidge(FieldRidgeConfig(cells=3, places=2, sizes=[0.3], **ONE)),
}


@pytest.mark.parametrize("name", READOUTS)
def test_module_and_restored_model_predict_the_same_and_repeats_weigh(name: str) -> None:
    rng = np.random.default_rng(13)
    store = Store(early=rng.normal(size=(40, 9, 4)) + 1, late=rng.normal(size=(40, 4, 6)))
    images = np.repeat(np.arange(30), rng.integers(1, 3, 30))
    y = rng.normal(size=(30, 3))[images] + 2
    readout = READOUTS[name]()
    model = fit(readout, store, images, y)
    arrays, description = model.state()
    again = readout.restore(arrays, description)
    everyone = np.arange(40)
    expected = model.predict(store, everyone)
    np.testing.assert_array_equal(again.predict(store, everyone), expected)
    assert again.columns().keys() == model.columns().keys()
    tokens = {k: torch.from_numpy(v.astype(np.float32)) for k, v in store.values.items()}
    tokens = {k: v.requires_grad_() for k, v in tokens.items()}
    out = model.module()(tokens)
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=1e-4)
    out.sum().backward()
    assert any(float(tokens[layer].grad.abs().sum()) > 0 for layer in model.scalers)
    # An image that stands twice counts twice: its trials enter one by one.
    noisy = y + rng.normal(size=y.shape)
    means = np.stack([noisy[images == image].mean(0) for image in range(30)])[images]
    one, other = (fit(readout, store, images, v).predict(store, everyone) for v in (noisy, means))
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("name", ["best layer", "pca", "banded"])
def test_the_dual_form_predicts_as_the_primal_one_and_has_no_module(name: str) -> None:
    rng = np.random.default_rng(14)
    store = Store(early=rng.normal(size=(40, 9, 4)) + 1, late=rng.normal(size=(40, 4, 6)))
    y, train = rng.normal(size=(25, 3)), np.arange(25)
    readout = READOUTS[name]()
    primal = fit(readout, store, train, y).predict(store, np.arange(40))
    readout.config.primal_gb = 0.0
    dual = fit(readout, store, train, y)
    assert dual.coefficients is None
    again = readout.restore(*dual.state())
    np.testing.assert_allclose(again.predict(store, np.arange(40)), primal, atol=1e-5)
    with pytest.raises(Exception, match="stored without coefficients"):
        dual.module()


def test_a_field_that_does_not_fit_says_what_would() -> None:
    store = Store(a=np.random.default_rng(0).normal(size=(20, 9, 4)))
    config = FieldRidgeConfig(cells=3, primal_gb=1e-9, **ONE)
    with pytest.raises(Exception, match=r"encoder.primal_gb") as caught:
        fit(FieldRidge(config), store, np.arange(20), np.ones((20, 2)))
    assert "backbone.pool" in str(caught.value)


def test_grams_in_a_file_change_nothing(two_bands: tuple[Store, Array], tmp_path: Path) -> None:
    store, y = two_bands
    train, keys = np.arange(30), {"candidates": 4, **ONE}
    inside, outside = (
        fit(BandedRidge(BandedRidgeConfig(grams_gb=size, **keys)), store, train, y[train], tmp_path)
        for size in (1.0, 0.0)
    )
    assert (tmp_path / "grams.bin").stat().st_size == 2 * 30 * 30 * 8
    np.testing.assert_array_equal(inside.predict(store, train), outside.predict(store, train))


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        (BandedRidgeConfig, {"select": Select.best_layer}),
        (FieldRidgeConfig, {"inputs": Inputs.mean}),
        (PcaRidgeConfig, {"select": Select.best_layer}),
    ],
)
def test_what_a_relative_does_not_do_is_refused(schema: Any, keys: dict[str, Any]) -> None:
    with pytest.raises(Exception, match="encoder="):
        schema(**keys)
