"""What the transformer readout fits on, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.encoding.attention_readout import (
    AttentionReadout,
    HemisphereLoss,
    channel_statistics,
    held_out,
    joined_shape,
    response_statistics,
)
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import AttentionConfig
from neuroattn.training.registry import TrainingConfig
from tests.unit.encoding.conftest import DIM, Store


def small(store: Store, folder: Path, **keys: object) -> tuple[AttentionReadout, TrainingSet]:
    settings = {"layers": ["early"], "heads": 1, "hidden": 4, "dim": 4, **keys}
    config = AttentionConfig(training=TrainingConfig(epochs=2), **settings)  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    train = TrainingSet(
        features=store,
        images=store.images[:40],
        responses=rng.normal(3, 2, (40, 5)).astype(np.float32),
        targets=pd.DataFrame(
            {"hemisphere": ["lh"] * 3 + ["rh"] * 2, "rois": ["A", "B", "", "A", ""]}
        ),
        seed=1,
        work=folder,
        device="cpu",
    )
    return AttentionReadout(config), train


def test_training_twice_gives_equal_bits_and_units_of_the_data(
    store: Store, tmp_path: Path
) -> None:
    readout, train = small(store, tmp_path / "a")
    again, same = small(store, tmp_path / "b")
    first, second = readout.fit(train), again.fit(same)
    images = store.images[40:]
    predicted = first.predict(store, images)
    np.testing.assert_array_equal(predicted, second.predict(store, images))
    assert predicted.mean() == pytest.approx(3, abs=1.5), "predictions are in measured units"


def test_nothing_of_other_images_enters_the_fit(store: Store, tmp_path: Path) -> None:
    readout, train = small(store, tmp_path / "a")
    before, _ = readout.fit(train).state()
    store.values["early"][40:] = 60000.0
    again, same = small(store, tmp_path / "b")
    after, _ = again.fit(same).state()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


def test_held_out_images_are_whole_images_and_repeatable() -> None:
    images = np.arange(100, 140)
    held = held_out(images, 0.1, seed=3)
    assert len(held) == 4
    assert np.isin(held, images).all()
    np.testing.assert_array_equal(held, held_out(images, 0.1, seed=3))
    assert held.tolist() != held_out(images, 0.1, seed=4).tolist()
    with pytest.raises(DataError, match="too few"):
        held_out(images[:3], 0.1, seed=0)


def test_channels_are_standardised_and_constant_ones_silenced(store: Store) -> None:
    store.values["early"][..., 1] = 7
    mean, inverse = channel_statistics(store, ["early"], store.images)
    tokens = torch.from_numpy(store.values["early"].astype(np.float32))
    scaled = (tokens - mean) * inverse
    assert inverse[1] == 0
    for channel in (0, 2):
        assert float(scaled[..., channel].mean()) == pytest.approx(0, abs=1e-4)
        assert float(scaled[..., channel].std(unbiased=False)) == pytest.approx(1, abs=1e-3)


def test_layers_join_only_on_one_grid(store: Store) -> None:
    assert joined_shape(store, ["early"]) == ((2, 2), DIM)
    with pytest.raises(DataError, match="different grids"):
        joined_shape(store, ["early", "late"])


def test_heads_that_do_not_divide_are_refused(store: Store, tmp_path: Path) -> None:
    readout, train = small(store, tmp_path, heads=3)
    with pytest.raises(ConfigError, match="divide"):
        readout.fit(train)


def test_a_nan_response_is_refused() -> None:
    with pytest.raises(DataError, match="not all finite"):
        response_statistics(np.array([[1.0, np.nan]], dtype=np.float32))
    mean, sd = response_statistics(np.array([[1.0, 2.0], [1.0, 4.0]], dtype=np.float32))
    assert mean.tolist() == [1, 3]
    assert sd.tolist() == [1, 1], "a constant target keeps its units"


def test_the_loss_adds_the_means_of_hemispheres() -> None:
    columns = (torch.tensor([0, 1, 2]), torch.tensor([3]))
    batch = {"tokens": torch.zeros(2, 4), "responses": torch.tensor([[1.0, 1, 1, 2]] * 2)}
    loss = HemisphereLoss(columns).loss(torch.nn.Identity(), batch)
    assert float(loss) == pytest.approx(1 + 4)
