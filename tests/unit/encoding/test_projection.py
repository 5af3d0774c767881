"""Principal components of channels: known answers, what may be read, forms that must agree."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.encoding import projection as module
from neuroattn.encoding.projection import (
    ProjectedFeatures,
    Projection,
    fit_projection,
    fit_projections,
    oriented,
)

from .conftest import Store

IMAGES, TOKENS, DIM = 60, 6, 8


class Planted(Store):
    """Tokens that vary in three known directions, about an offset; remembers what was read."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        self.directions = np.linalg.qr(rng.standard_normal((DIM, 3)))[0]
        weights = rng.standard_normal((IMAGES, TOKENS, 3)) * [4.0, 2.0, 1.0]
        values = weights @ self.directions.T + 10
        self.layers, self.values = ["late"], {"late": values.astype(np.float16)}
        self.seen: set[int] = set()

    def read(self, layer: str, images: object = None) -> np.ndarray:
        self.seen |= set(np.atleast_1d(self.images if images is None else images).tolist())
        return super().read(layer, images)

    def flat(self, rows: slice = slice(None)) -> np.ndarray:
        return self.values["late"][rows].reshape(-1, DIM).astype(np.float64)


@pytest.fixture
def planted() -> Planted:
    return Planted()


def test_planted_directions_come_back_in_order_with_their_variance(planted: Planted) -> None:
    found = fit_projection(planted, "late", planted.images, 3)
    np.testing.assert_allclose(np.abs(planted.directions.T @ found.basis), np.eye(3), atol=0.1)
    np.testing.assert_allclose(found.variance, [16, 4, 1], rtol=0.2)
    np.testing.assert_allclose(found.basis.T @ found.basis, np.eye(3), atol=1e-5)


def test_it_is_the_pca_of_scikit_learn(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK_BYTES", 7 * TOKENS * DIM * 8)  # blocks of 7 images
    found = fit_projection(planted, "late", planted.images, 3)
    peer = PCA(3, svd_solver="full").fit(planted.flat())
    size = len(planted.flat())
    np.testing.assert_allclose(found.mean, peer.mean_, rtol=1e-6)
    expected = peer.explained_variance_ * (size - 1) / size
    np.testing.assert_allclose(found.variance, expected, rtol=1e-5)
    np.testing.assert_allclose(found.basis, oriented(peer.components_.T), atol=1e-5)


def test_only_the_training_images_are_read(planted: Planted) -> None:
    train = planted.images[::2]
    before = fit_projection(planted, "late", train, 3)
    assert planted.seen == set(train.tolist())
    planted.values["late"][1::2] = 1000
    after = fit_projection(planted, "late", train, 3)
    np.testing.assert_array_equal(before.basis, after.basis)
    np.testing.assert_array_equal(before.mean, after.mean)


def test_neither_order_nor_repeats_of_images_change_a_bit(planted: Planted) -> None:
    shuffled = np.random.default_rng(1).permutation(np.repeat(planted.images, 2))
    one, other = (fit_projection(planted, "late", ids, 3) for ids in (planted.images, shuffled))
    np.testing.assert_array_equal(one.basis, other.basis)


def test_signs_do_not_depend_on_the_decomposition(planted: Planted) -> None:
    basis = fit_projection(planted, "late", planted.images, 3).basis.astype(np.float64)
    np.testing.assert_array_equal(oriented(-basis), oriented(basis))
    assert (basis[np.abs(basis).argmax(0), range(3)] > 0).all()


def test_directions_without_variance_are_silent(planted: Planted) -> None:
    planted.values["late"][..., 3:] = 1  # three channels that vary, five that do not
    found = fit_projection(planted, "late", planted.images, 5)
    assert not found.variance[3:].any()
    surprise = np.full((1, TOKENS, DIM), 100, dtype=np.float16)
    assert not found.apply(surprise)[..., 3:].any()


def test_array_module_and_stored_forms_agree_and_have_a_gradient(planted: Planted) -> None:
    found = fit_projection(planted, "late", planted.images, 3)
    tokens = planted.values["late"][:4]
    expected = (tokens.astype(np.float64) - found.mean) @ found.basis
    np.testing.assert_allclose(found.apply(tokens), expected, atol=1e-4)
    again = Projection.from_arrays({**found.arrays("a/b"), "other": np.ones(1)}, "a/b")
    np.testing.assert_array_equal(again.apply(tokens), found.apply(tokens))
    inputs = torch.from_numpy(tokens.astype(np.float32)).requires_grad_()
    out = found.module()(inputs)
    np.testing.assert_allclose(out.detach().numpy(), found.apply(tokens), atol=1e-5)
    out[..., 0].sum().backward()
    assert inputs.grad is not None
    np.testing.assert_allclose(inputs.grad[0, 0].numpy(), found.basis[:, 0], rtol=1e-6)


def test_projected_features_read_like_the_store(planted: Planted) -> None:
    found = fit_projections(planted, ["late"], planted.images, 2)
    seen = ProjectedFeatures(planted, found)
    assert seen.layers == ["late"]
    assert seen.shape("late") == (IMAGES, TOKENS, 2)
    wanted = planted.images[[5, 2]]
    expected = found["late"].apply(planted.read("late", wanted))
    np.testing.assert_array_equal(seen.read("late", wanted), expected)
    assert seen.grid is None


@pytest.mark.parametrize("components", [0, DIM + 1])
def test_too_many_components_are_refused(planted: Planted, components: int) -> None:
    with pytest.raises(ConfigError, match="so many components"):
        fit_projection(planted, "late", planted.images, components)


def test_features_that_are_not_finite_are_refused(planted: Planted) -> None:
    values: Any = planted.values["late"]
    values[3, 0, 0] = np.nan
    with pytest.raises(DataError, match="layer late"):
        fit_projection(planted, "late", planted.images, 2)
