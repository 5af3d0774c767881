"""Storing a fitted readout, and choosing layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import ArtefactError, ConfigError
from neuroattn.encoding.readout import TrainingSet, chosen_layers, read_model, write_model
from neuroattn.encoding.registry import RidgeConfig
from neuroattn.encoding.ridge import Ridge, RidgeModel

from .conftest import Store, finish


def fitted(store: Store, config: RidgeConfig) -> RidgeModel:
    responses = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    train = TrainingSet(
        features=store,
        images=store.images[:30],
        responses=responses,
        targets=pd.DataFrame({"target": range(responses.shape[1])}),
        seed=0,
        work=Path("unused"),
        device="cpu",
    )
    return Ridge(config).fit(train)


@pytest.mark.parametrize(
    "config",
    [
        RidgeConfig(),
        RidgeConfig(layers=["early"], standardise=False),
        RidgeConfig(primal_gb=0.0),
    ],
)
def test_a_readout_comes_back_as_it_was(tmp_path: Path, store: Store, config: RidgeConfig) -> None:
    model = fitted(store, config)
    out = ArtefactWriter(tmp_path)
    write_model(out, "fold-0", model)
    again = read_model(config, finish(out, "encode"), "fold-0")
    np.testing.assert_array_equal(
        again.predict(store, store.images), model.predict(store, store.images)
    )
    np.testing.assert_array_equal(again.columns()["alpha"], model.alpha)
    before, after = model.state(), again.state()
    assert before[1] == after[1]
    assert before[0].keys() == after[0].keys()


def test_a_damaged_model_is_not_read(tmp_path: Path, store: Store) -> None:
    config = RidgeConfig()
    out = ArtefactWriter(tmp_path)
    write_model(out, "fold-0", fitted(store, config))
    artefact = finish(out, "encode")
    file = tmp_path / "fold-0" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-3] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtefactError):
        read_model(config, artefact, "fold-0")


def test_layers_are_taken_in_the_order_asked_for(store: Store) -> None:
    assert chosen_layers(store, None) == ["early", "late"]
    assert chosen_layers(store, ["late", "early"]) == ["late", "early"]
    with pytest.raises(ConfigError, match="no layer middle"):
        chosen_layers(store, ["early", "middle"])
