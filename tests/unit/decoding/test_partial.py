"""Partial products: equal to masked passes, for any decoder that begins with a linear layer."""

from __future__ import annotations

import numpy as np
import torch

from neuroattn.decoding.partial import MaskedPasses, PartialProducts, Split, matched_controls

BRAINS, TARGETS, HIDDEN, DIM = 20, 50, 16, 8


def network() -> tuple[Split, MaskedPasses, np.ndarray]:
    rng = np.random.default_rng(0)
    torch.manual_seed(0)
    inputs = rng.normal(size=(BRAINS, TARGETS)).astype(np.float32)
    weight = rng.normal(size=(HIDDEN, TARGETS)).astype(np.float32) / 7
    bias = rng.normal(size=HIDDEN).astype(np.float32)
    rest = torch.nn.Sequential(
        torch.nn.LayerNorm(HIDDEN), torch.nn.GELU(), torch.nn.Linear(HIDDEN, DIM)
    )

    def embed(x: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return rest(torch.from_numpy(x @ weight.T + bias)).numpy()

    return Split(weight, bias, rest), MaskedPasses(embed, inputs), inputs


def test_products_equal_masked_passes() -> None:
    split, masked, inputs = network()
    partial = PartialProducts(split, inputs)
    np.testing.assert_allclose(partial.whole(), masked.whole(), atol=1e-5)
    for columns in (np.arange(7), np.array([3, 11, 49]), np.arange(TARGETS)):
        np.testing.assert_allclose(partial.without(columns), masked.without(columns), atol=1e-5)
        np.testing.assert_allclose(partial.only(columns), masked.only(columns), atol=1e-5)
        for one, other in zip(partial.both(columns), masked.both(columns), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-5)


def test_nothing_kept_is_what_the_mean_brain_gives() -> None:
    split, masked, inputs = network()
    nothing = PartialProducts(split, inputs).only(np.array([], dtype=np.int64))
    np.testing.assert_allclose(nothing, np.tile(nothing[:1], (BRAINS, 1)))
    np.testing.assert_allclose(nothing, masked.embed(np.zeros_like(inputs)), atol=1e-5)


def test_a_linear_decoder_needs_no_rest() -> None:
    split, _, inputs = network()
    linear = PartialProducts(Split(split.weight, split.bias), inputs)
    np.testing.assert_allclose(linear.whole(), inputs @ split.weight.T + split.bias, atol=1e-5)


def test_controls_are_outside_and_of_the_same_size() -> None:
    parcels = [np.arange(start, start + 5) for start in range(0, 60, 5)]
    network_columns = np.arange(8, 21)
    rng = np.random.default_rng(0)
    for control in matched_controls(parcels, network_columns, 30, rng):
        assert len(control) == len(np.unique(control)) == 13
        assert not np.intersect1d(control, network_columns).size
        whole = sum(np.isin(parcel, control).all() for parcel in parcels)
        assert whole >= 1
    assert matched_controls(parcels, np.arange(40), 1, rng) == []
