"""Tokens on their way to a network."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroattn.core.errors import DataError
from neuroattn.encoding.tokens import (
    Front,
    Shape,
    TokenSource,
    channel_statistics,
    join,
    joined,
    layer_shape,
    tokens_of,
)
from tests.unit.encoding.conftest import DIM, Store


def test_channels_are_standardised_and_constant_ones_silenced(store: Store) -> None:
    store.values["early"][..., 1] = 7
    mean, inverse = channel_statistics(store, "early", store.images)
    tokens = torch.from_numpy(store.values["early"].astype(np.float32))
    scaled = (tokens - mean) * inverse
    assert inverse[1] == 0
    for channel in (0, 2):
        assert float(scaled[..., channel].mean()) == pytest.approx(0, abs=1e-4)
        assert float(scaled[..., channel].std(unbiased=False)) == pytest.approx(1, abs=1e-3)


def test_layers_join_only_on_one_grid(store: Store) -> None:
    shapes = {layer: layer_shape(store, layer) for layer in store.layers}
    assert shapes["early"] == Shape((2, 2), DIM)
    assert joined({"a": Shape((2, 3), 4), "b": Shape((2, 3), 5)}) == Shape((2, 3), 9)
    with pytest.raises(DataError, match="different grids"):
        joined(shapes)


def test_tokens_without_a_square_count_lie_in_one_row(store: Store) -> None:
    store.values["early"] = store.values["early"][:, :3]
    assert layer_shape(store, "early").grid == (1, 3)


def test_the_front_standardises_each_layer_by_its_own_statistics(store: Store) -> None:
    shapes = {layer: layer_shape(store, layer) for layer in store.layers}
    front = Front(shapes)
    front.learn(store, store.images)
    tokens = {
        layer: torch.from_numpy(store.read(layer).astype(np.float32)) for layer in store.layers
    }
    for layer, values in front(tokens).items():
        assert values.shape == tokens[layer].shape
        np.testing.assert_allclose(values.mean((0, 1)), 0, atol=1e-4)


def test_a_batch_holds_every_layer_and_the_responses_of_its_rows(store: Store) -> None:
    rows = store.images[[5, 5, 2]]
    responses = np.arange(6, dtype=np.float32).reshape(3, 2)
    mean, sd = np.array([1, 2], np.float32), np.array([2, 4], np.float32)
    chosen = np.array([0, 2])
    source = TokenSource(store, ["early"], rows, responses, mean, sd, chosen)
    assert len(source) == 2
    batch = source.batch(np.array([1, 0]), np.random.default_rng(0))
    np.testing.assert_array_equal(batch["responses"], (responses[[2, 0]] - mean) / sd)
    np.testing.assert_array_equal(tokens_of(batch)["early"], store.read("early", rows[[2, 0]]))


def test_joined_channels_keep_the_order_of_the_layers() -> None:
    first, second = torch.zeros(1, 2, 3), torch.ones(1, 2, 1)
    both = join({"a": first, "b": second})
    assert both[0, 0].tolist() == [0, 0, 0, 1]
