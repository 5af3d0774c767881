"""What the transformer readout fits on, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.attention_readout import AttentionReadout
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import AttentionConfig
from neuroattn.encoding.trained import held_out
from neuroattn.stats.correlation import pearson
from neuroattn.training.registry import TrainingConfig
from tests.unit.encoding.conftest import Store


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


def test_heads_that_do_not_divide_are_refused(store: Store, tmp_path: Path) -> None:
    readout, train = small(store, tmp_path, heads=3)
    with pytest.raises(ConfigError, match="divide"):
        readout.fit(train)


def test_each_target_keeps_its_score_on_the_images_that_chose_the_epoch(
    store: Store, tmp_path: Path
) -> None:
    readout, train = small(store, tmp_path)
    model = readout.fit(train)
    held = held_out(train.images, readout.config.selection, train.seed)
    expected = pearson(model.predict(store, held), train.responses[np.isin(train.images, held)])
    np.testing.assert_array_equal(model.columns()["r_selection"], expected)
    again = AttentionReadout(readout.config).restore(*model.state())
    np.testing.assert_array_equal(again.columns()["r_selection"], expected)
