"""Every trained rival keeps the contract of readouts: stored, restored, differentiable, sized."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.registry import load
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import ENCODERS
from neuroattn.encoding.retina_map import vertex_places
from neuroattn.encoding.spatial_feature import SpatialFeature
from neuroattn.encoding.tokens import Shape
from neuroattn.encoding.trained import TrainedReadout
from neuroattn.encoding.trained_schemas import (
    EfficientProbeConfig,
    Mask,
    MaskOf,
    RetinaMapConfig,
    SpatialFeatureConfig,
    coordinate_leaves,
)
from tests.unit.encoding.conftest import DIM, Store

RIVALS = ("efficient_probe", "spatial_feature", "gaussian_rf", "semantic_spatial", "retina_map")
TARGETS = pd.DataFrame(
    {
        "hemisphere": ["lh", "lh", "rh", "rh", "rh"],
        "rois": ["A", "B", "A", "", ""],
        "vertex": [5, 600, 3, 9000, 40],
    }
)


def fitted(name: str, store: Store, folder: Path, **keys: Any) -> tuple[TrainedReadout, Any]:
    entry = ENCODERS[name]
    config = entry.schema(layers=["early"], **({"queries": 1} if "probe" in name else {}), **keys)
    config.training.epochs = 1
    readout = load(entry.target)(config)
    rng = np.random.default_rng(0)
    train = TrainingSet(
        features=store, images=store.images[:40], targets=TARGETS, seed=1, work=folder,
        responses=rng.normal(3, 2, (40, 5)).astype(np.float32), device="cpu",
    )  # fmt: skip
    return readout, readout.fit(train)


@pytest.mark.parametrize("name", RIVALS)
def test_stored_and_restored_it_predicts_the_same(name: str, store: Store, tmp_path: Path) -> None:
    readout, model = fitted(name, store, tmp_path)
    arrays, description = model.state()
    again = readout.restore(dict(arrays), description)
    np.testing.assert_array_equal(
        again.predict(store, store.images), model.predict(store, store.images)
    )
    assert name in description["readout"]
    assert set(model.columns()) == set(again.columns())


@pytest.mark.parametrize("name", RIVALS)
def test_every_token_has_a_gradient(name: str, store: Store, tmp_path: Path) -> None:
    _, model = fitted(name, store, tmp_path)
    tokens = torch.from_numpy(store.read("early", store.images[:2]).astype(np.float32))
    module = model.module()
    responses = module({"early": tokens.requires_grad_()})
    np.testing.assert_allclose(
        responses.detach(), model.predict(store, store.images[:2]), rtol=1e-4, atol=1e-4
    )
    responses.sum().backward()
    assert tokens.grad is not None
    assert float(tokens.grad.abs().sum()) > 0


@pytest.mark.parametrize("name", RIVALS)
def test_it_says_what_it_did(name: str, store: Store, tmp_path: Path) -> None:
    readout, _ = fitted(name, store, tmp_path)
    sentence = readout.methods()
    assert sentence.startswith("Responses were predicted")
    assert not sentence.endswith(".")


def test_the_factorised_readout_has_the_published_number_of_parameters() -> None:
    with torch.device("meta"):
        core = SpatialFeature(list(range(39_548)), Shape((31, 31), 768), Mask.softmax, 0.0)
    assert sum(weight.numel() for weight in core.parameters()) == 68_418_040


def test_the_probe_has_the_published_number_of_parameters() -> None:
    readout = load(ENCODERS["efficient_probe"].target)(EfficientProbeConfig(queries=32))
    shapes = {"x": Shape((16, 16), 768)}
    with torch.device("meta"):
        core = readout.network(readout.plan(TARGETS, shapes), shapes)
    before = [weight for name, weight in core.named_parameters() if "readout" not in name]
    assert sum(weight.numel() for weight in before) == 768**2 + 32 * 768 + 768


def test_targets_of_a_region_share_a_mask(store: Store, tmp_path: Path) -> None:
    _, model = fitted("spatial_feature", store, tmp_path, mask_of=MaskOf.rois)
    masks = model.masks()
    torch.testing.assert_close(masks[3], masks[4])
    assert len(model.network.core.free) == 4, "lh.A, lh.B, rh.A and the rest of rh"


def test_a_penalty_shrinks_the_weights(store: Store, tmp_path: Path) -> None:
    _, free = fitted("spatial_feature", store, tmp_path / "a")
    _, held = fitted("spatial_feature", store, tmp_path / "b", l1=10.0)
    size = {m: float(m.network.core.weight.detach().abs().sum()) for m in (free, held)}
    assert size[held] < size[free]


def test_queries_that_do_not_divide_are_refused() -> None:
    readout = load(ENCODERS["efficient_probe"].target)(EfficientProbeConfig(queries=2))
    with pytest.raises(ConfigError, match="divide"):
        readout.plan(TARGETS, {"x": Shape((2, 2), DIM + (DIM + 1) % 2)})


def test_places_come_from_the_sphere_and_hemispheres_lie_apart() -> None:
    places = np.array(vertex_places(TARGETS))
    assert places.shape == (5, 4)
    np.testing.assert_allclose(np.linalg.norm(places[:, :3], axis=1), 100, rtol=1e-3)
    assert places[:, 3].tolist() == [0, 0, 100, 100, 100]


@pytest.mark.parametrize("vertex", [None, 10_242, -1])
def test_a_target_without_a_place_is_refused(vertex: int | None) -> None:
    targets = TARGETS.assign(vertex=pd.array([vertex] * 5, dtype="Int64"))
    with pytest.raises(DataError, match="no place"):
        vertex_places(targets)


def test_coordinates_of_other_targets_are_refused(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "places.npy"
    np.save(path, np.zeros((4, 3)))
    with pytest.raises(DataError, match="do not belong"):
        fitted("retina_map", store, tmp_path / "w", coordinates=str(path))
    assert coordinate_leaves(RetinaMapConfig(coordinates=str(path))) == {"coordinates.npy": path}
    assert coordinate_leaves(RetinaMapConfig()) == {}
    with pytest.raises(MissingDataError, match="not there"):
        coordinate_leaves(RetinaMapConfig(coordinates=str(tmp_path / "none.npy")))


def test_l1_is_a_key_of_the_config() -> None:
    with pytest.raises(ConfigError, match="l1"):
        SpatialFeatureConfig(l1=-1.0)
