"""The mask oracle: pools inside the true mask, and refuses what is not simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.mask_oracle import MaskOracle, MaskOracleModel, kinds_of, pooling
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import MaskOracleConfig
from neuroattn.stats.correlation import pearson
from neuroattn.stats.planted import Truth
from tests.unit.stats.test_recovery import GRID, IMAGES, planted

DIM = 5


class Scenes:
    """Tokens of noise, in which a thing's cell holds its attributes."""

    layers = ["blocks"]  # noqa: RUF012

    def __init__(self, truth: Truth) -> None:
        rng = np.random.default_rng(1)
        self.images = truth.images
        self.values = rng.normal(size=(IMAGES, 16, DIM)).astype(np.float32)
        things = truth.things(truth.images, "face")
        row, column = (truth.box[things][:, :2] // 4).T
        cell, there = 4 * row + column, things >= 0
        attributes = truth.content["face"].attributes
        self.values[there, cell[there], :2] = attributes[there]

    def shape(self, layer: str) -> tuple[int, int, int]:
        return self.values.shape

    def read(self, layer: str, images: Any = None) -> np.ndarray:
        rows = slice(None) if images is None else np.searchsorted(self.images, images)
        return self.values[rows].astype(np.float16)


@pytest.fixture(scope="module")
def truth() -> Truth:
    return planted()


@pytest.fixture(scope="module")
def fitted(truth: Truth, tmp_path_factory: pytest.TempPathFactory) -> tuple[MaskOracleModel, Any]:
    store = Scenes(truth)
    train = truth.images[:160]
    rng = np.random.default_rng(2)
    responses = np.column_stack([truth.noiseless, rng.normal(size=IMAGES)])[:160]
    training = TrainingSet(
        features=store, images=train, responses=responses.astype(np.float32),
        targets=pd.DataFrame({"target": [5, 7, 9, 11]}), seed=0,
        work=Path(tmp_path_factory.mktemp("work")), device="cpu", planted=lambda: truth,
    )  # fmt: skip
    return MaskOracle(MaskOracleConfig(n_alphas=5)).fit(training), store


@pytest.mark.filterwarnings("ignore")
def test_it_reads_the_attributes_that_a_mean_over_the_picture_hides(
    truth: Truth, fitted: tuple[MaskOracleModel, Any]
) -> None:
    model, store = fitted
    test = np.arange(160, IMAGES)
    predicted = model.predict(store, truth.images[test])
    r = pearson(predicted[:, :2], truth.noiseless[test, :2].astype(np.float32))
    assert (r > 0.98).all()
    assert predicted.shape == (80, 4)


def test_what_was_written_predicts_the_same(
    truth: Truth, fitted: tuple[MaskOracleModel, Any]
) -> None:
    model, store = fitted
    arrays, about = model.state()
    again = MaskOracle(MaskOracleConfig()).restore(arrays, about)
    images = truth.images[[7, 3, 200]]
    np.testing.assert_allclose(
        again.predict(store, images), model.predict(store, images), atol=2e-3
    )
    assert set(again.columns()) == set(model.columns())


def test_it_predicts_for_no_other_picture(fitted: tuple[MaskOracleModel, Any]) -> None:
    model, store = fitted
    with pytest.raises(ConfigError, match="without planted truth"):
        model.predict(store, np.array([3]))
    with pytest.raises(ConfigError, match="no function of a picture"):
        model.module()


def test_recordings_are_refused(truth: Truth, tmp_path: Path) -> None:
    training = TrainingSet(
        features=Scenes(truth), images=truth.images, responses=np.zeros((IMAGES, 1), np.float32),
        targets=pd.DataFrame({"target": [5]}), seed=0, work=tmp_path,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="needs the planted truth"):
        MaskOracle(MaskOracleConfig()).fit(training)


def test_targets_are_told_apart_by_what_they_read(truth: Truth) -> None:
    assert kinds_of(truth, np.array([9, 5, 11])).tolist() == ["whole", "face", "whole"]


def test_weights_sum_to_one_or_to_nothing(truth: Truth) -> None:
    present = truth.content["face"].presence
    np.testing.assert_allclose(pooling(truth, "face", GRID).sum(1), present, atol=1e-6)
    np.testing.assert_allclose(pooling(truth, "whole", GRID).sum(1), 1, atol=1e-6)
    background = pooling(truth, "place", GRID)
    np.testing.assert_allclose(background.sum(1), 1, atol=1e-5)
    assert (background[present > 0].min(1) < 1e-3).all()
