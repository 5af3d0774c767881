"""What the transformer readout fits on, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.attention_readout import AttentionReadout
from neuroattn.encoding.projection import fit_projection
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import AttentionConfig, Place
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
    with pytest.raises(ConfigError, match="divide") as caught:
        readout.fit(train)
    assert "multiple of 6" in caught.value.fix, "and even, for the code of place"


def test_an_odd_number_of_channels_has_no_code_of_place(store: Store, tmp_path: Path) -> None:
    readout, train = small(store, tmp_path, heads=3, dim=9)
    with pytest.raises(ConfigError, match="even number") as caught:
        readout.fit(train)
    assert "encoder.dim=12" in caught.value.fix
    readout, train = small(store, tmp_path, heads=3, dim=9, place=Place.none)
    assert readout.fit(train)


def test_each_target_keeps_its_score_on_the_images_that_chose_the_epoch(
    store: Store, tmp_path: Path
) -> None:
    readout, train = small(store, tmp_path)
    model = readout.fit(train)
    held = held_out(train.images, readout.config.selection, train.seed)
    expected = pearson(model.predict(store, held), train.responses[np.isin(train.images, held)])
    np.testing.assert_allclose(model.columns()["r_selection"], expected, atol=1e-5)
    again = AttentionReadout(readout.config).restore(*model.state())
    np.testing.assert_array_equal(again.columns()["r_selection"], model.columns()["r_selection"])


def test_components_are_fitted_on_training_images_stored_and_differentiable(
    store: Store, tmp_path: Path
) -> None:
    readout, train = small(store, tmp_path / "a", components=2, layers=None)
    store.values["late"] = store.values["early"][..., ::-1].copy()  # one grid, for joining
    model = readout.fit(train)
    assert readout.methods().count("2 principal components") == 1
    front = model.network.front
    for index, layer in enumerate(["early", "late"]):
        expected = fit_projection(store, layer, train.images, 2)
        basis = front.get_buffer(f"projections.{index}.basis").numpy()
        np.testing.assert_array_equal(basis, expected.basis)
    images = store.images[40:44]
    tokens = {
        layer: torch.from_numpy(store.read(layer, images).astype(np.float32)).requires_grad_()
        for layer in ("early", "late")
    }
    standardised = front({name: values.detach() for name, values in tokens.items()})["early"]
    assert standardised.shape == (4, 4, 2)
    out = model.module()(tokens)
    predicted = model.predict(store, images)
    np.testing.assert_allclose(out.detach().numpy(), predicted, rtol=1e-4)
    out.sum().backward()
    assert all(bool((values.grad != 0).any()) for values in tokens.values())
    again = AttentionReadout(readout.config).restore(*model.state())
    np.testing.assert_array_equal(again.predict(store, images), predicted)
    assert again.network.front.get_buffer("projections.0.variance").any()


def test_components_do_not_see_other_images_and_are_standardised(
    store: Store, tmp_path: Path
) -> None:
    readout, train = small(store, tmp_path / "a", components=2)
    model = readout.fit(train)
    tokens = torch.from_numpy(store.read("early", train.images).astype(np.float32))
    standardised = model.network.front({"early": tokens})["early"].flatten(0, 1).numpy()
    np.testing.assert_allclose(standardised.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(standardised.std(0), 1, rtol=1e-3)
    before, _ = model.state()
    store.values["early"][40:] = 60000.0
    again, same = small(store, tmp_path / "b", components=2)
    after, _ = again.fit(same).state()
    for name, value in before.items():
        np.testing.assert_array_equal(value, after[name], err_msg=name)


def test_more_components_than_channels_are_refused(store: Store, tmp_path: Path) -> None:
    readout, train = small(store, tmp_path, components=4)
    with pytest.raises(ConfigError, match="so many components"):
        readout.fit(train)
