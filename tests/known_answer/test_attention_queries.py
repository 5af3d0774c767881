"""Layers, parcels and free queries recover what was planted for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.encoding.attention_readout import AttentionModel, AttentionReadout
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import AttentionConfig, Mix, Norm, Place, QueryKind
from neuroattn.stats.correlation import pearson
from neuroattn.training.registry import Mode, OptimiserConfig, StoppingConfig, TrainingConfig

TRAIN, TEST, SIDE, DIM, EACH = 400, 150, 3, 4, 4
TESTED = np.arange(TRAIN, TRAIN + TEST)


@dataclass(frozen=True, eq=False)
class Brain:
    """Two layers that know nothing of each other, and groups of targets that read one place each.

    Parameters
    ----------
    reads : for each group the layer and the token that its targets read.
    """

    values: dict[str, np.ndarray]
    responses: np.ndarray
    targets: pd.DataFrame
    reads: list[tuple[str, int]]

    @property
    def layers(self) -> list[str]:
        return list(self.values)

    def shape(self, layer: str) -> tuple[int, int, int]:
        return self.values[layer].shape  # type: ignore[return-value]

    def grid(self, layer: str) -> tuple[int, int]:
        return SIDE, SIDE

    def read(self, layer: str, images: Any = None) -> Any:
        return self.values[layer][slice(None) if images is None else np.asarray(images)]


def brain(reads: list[tuple[str, int]], rois: list[str]) -> Brain:
    rng = np.random.default_rng(7)
    shape = (TRAIN + TEST, SIDE * SIDE, DIM)
    values = {name: rng.normal(size=shape).astype(np.float16) for name in ("early", "late")}
    parts = [
        values[layer][:, token].astype(np.float64) @ rng.normal(size=(DIM, EACH))
        for layer, token in reads
    ]
    signal = np.concatenate(parts, axis=1)
    responses = signal + rng.normal(size=signal.shape) * signal.std(0) * 0.3
    targets = pd.DataFrame({"hemisphere": "lh", "rois": np.repeat(rois, EACH)})
    return Brain(values, responses.astype(np.float32), targets, reads)


def fitted(data: Brain, folder: Path, **keys: Any) -> AttentionModel:
    training = TrainingConfig(
        epochs=15, batch_size=40, optimiser=OptimiserConfig(lr=5e-2),
        stopping=StoppingConfig(monitor="r", mode=Mode.max),
    )  # fmt: skip
    settings = {"heads": 1, "hidden": 0, "dropout": 0.0, "norm": Norm.none, "place": Place.free}
    config = AttentionConfig(training=training, **(settings | keys))
    train = TrainingSet(
        features=data, images=np.arange(TRAIN), responses=data.responses[:TRAIN],
        targets=data.targets, seed=0, work=folder, device="cpu",
    )  # fmt: skip
    model = AttentionReadout(config).fit(train)
    assert isinstance(model, AttentionModel)
    return model


def r_of(model: AttentionModel, data: Brain) -> np.ndarray:
    return pearson(model.predict(data, TESTED), data.responses[TESTED])


@pytest.mark.parametrize(
    "queries", [QueryKind.rois, pytest.param(QueryKind.targets, marks=pytest.mark.slow)]
)
def test_early_regions_choose_the_early_layer_and_late_ones_the_late(
    queries: QueryKind, tmp_path: Path
) -> None:
    data = brain([("early", 0), ("late", 4), ("early", 8)], ["V1", "FFA", "V2"])
    model = fitted(data, tmp_path, queries=queries, mix=Mix.per_target)
    columns = model.columns()
    late = np.repeat([0, 1, 0], EACH)
    np.testing.assert_array_equal(columns["mix_late"] > columns["mix_early"], late == 1)
    np.testing.assert_allclose(columns["mix_late"] + columns["mix_early"], 1, rtol=1e-6)
    assert columns["mix_late"][late == 1].mean() > 0.8
    assert columns["mix_early"][late == 0].mean() > 0.8
    assert r_of(model, data).mean() > 0.85
    looks = model.attention(data, TESTED[:20]).mean(0)
    found = {name: int(row.argmax()) for name, row in zip(model.queries, looks, strict=True)}
    assert found == {"lh.V1": 0, "lh.FFA": 4, "lh.V2": 8}
    again = AttentionReadout(AttentionConfig(**_keys(queries))).restore(*model.state())
    np.testing.assert_array_equal(again.predict(data, TESTED), model.predict(data, TESTED))


def _keys(queries: QueryKind) -> dict[str, Any]:
    return {
        "queries": queries, "mix": Mix.per_target, "heads": 1, "hidden": 0, "dropout": 0.0,
        "norm": Norm.none, "place": Place.free,
    }  # fmt: skip


def test_one_mixture_for_all_finds_the_layer_that_all_read(tmp_path: Path) -> None:
    data = brain([("late", 2), ("late", 5)], ["A", "B"])
    model = fitted(data, tmp_path, mix=Mix.learned)
    assert (model.columns()["mix_late"] > 0.9).all()
    assert r_of(model, data).mean() > 0.85


def test_parcels_of_responses_stand_in_for_regions_that_nobody_named(tmp_path: Path) -> None:
    data = brain([("early", 1), ("early", 7)], ["", ""])
    model = fitted(
        data, tmp_path, queries=QueryKind.parcels, parcels=12, parcel_size=1, layers=["early"]
    )
    table = model.asked
    groups = np.array_split(table.group, 2)  # type: ignore[union-attr]
    assert not set(groups[0]) & set(groups[1]), "no parcel holds targets of both places"
    assert r_of(model, data).mean() > 0.85


def test_free_queries_are_shared_out_among_targets(tmp_path: Path) -> None:
    data = brain([("early", 1), ("early", 7)], ["A", "B"])
    model = fitted(data, tmp_path, queries=QueryKind.free, n_queries=4, layers=["early"])
    assert r_of(model, data).mean() > 0.85
    assert model.queries == ("free-0", "free-1", "free-2", "free-3")
