"""Every rival readout finds what its own kind of truth plants, where another kind cannot.

Tokens on a 6 x 6 grid are Gaussian noise in 12 channels; a target reads one feature direction
through a mask of places. Responses carry noise, and the oracle is the noiseless response.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from neuroattn.encoding.efficient_probe import EfficientProbeReadout
from neuroattn.encoding.fields import EVEN, gaussian_masks, point_masks
from neuroattn.encoding.fwrf import Fwrf, candidates
from neuroattn.encoding.gaussian_rf import GaussianRf, GaussianRfReadout
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import FwrfConfig, RidgeConfig
from neuroattn.encoding.retina_map import RetinaMap, RetinaMapReadout
from neuroattn.encoding.ridge import Ridge
from neuroattn.encoding.semantic_spatial import SemanticSpatialReadout
from neuroattn.encoding.spatial_feature import SpatialFeatureReadout
from neuroattn.encoding.tokens import Shape
from neuroattn.encoding.trained import TrainedReadout
from neuroattn.encoding.trained_schemas import (
    EfficientProbeConfig,
    GaussianRfConfig,
    Mask,
    Reading,
    RetinaMapConfig,
    SemanticSpatialConfig,
    SpatialFeatureConfig,
    training,
)
from neuroattn.stats.correlation import pearson

GRID, CHANNELS, TARGETS, TRAIN, TEST = (6, 6), 12, 6, 500, 150
CELLS = GRID[0] * GRID[1]
OTHER = (3, 3)


@dataclass
class World:
    """Tokens of two layers by image id, and responses with their noiseless part."""

    tokens: dict[str, Any]
    truth: Any
    responses: Any
    places: Any

    @property
    def layers(self) -> list[str]:
        return list(self.tokens)

    def shape(self, layer: str) -> tuple[int, int, int]:
        images, tokens, dim = self.tokens[layer].shape
        return images, tokens, dim

    def read(self, layer: str, images: Any = None) -> Any:
        return self.tokens[layer][slice(None) if images is None else np.asarray(images)]


def world(layers: dict[str, int], truth: Any, places: Any, seed: int = 0) -> World:
    """``truth(tokens, rng)`` gives (images, targets) from float32 tokens by layer."""
    rng = np.random.default_rng(seed)
    tokens = {
        name: rng.normal(size=(TRAIN + TEST, cells, CHANNELS)).astype(np.float16)
        for name, cells in layers.items()
    }
    clean = truth({name: torch.from_numpy(v.astype(np.float32)) for name, v in tokens.items()}, rng)
    clean = np.asarray(clean, dtype=np.float64)
    clean = (clean - clean.mean(0)) / clean.std(0)
    return World(
        tokens, clean, (clean + rng.normal(size=clean.shape) * 0.8).astype(np.float32), places
    )


def directions(rng: np.random.Generator) -> Any:
    raw = rng.normal(size=(TARGETS, CHANNELS))
    return torch.from_numpy((raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32))


def at_places(seed: int = 0) -> World:
    """Each target reads its direction in a small Gaussian at its own place."""
    places = np.random.default_rng(seed + 1).uniform(-0.7, 0.7, (TARGETS, 2))

    def truth(tokens: dict[str, Any], rng: np.random.Generator) -> Any:
        masks = gaussian_masks(
            torch.from_numpy(places.astype(np.float32)), torch.full((TARGETS,), 0.25), GRID
        )
        return torch.einsum("vt,btc,vc->bv", masks, tokens["only"], directions(rng))

    return world({"only": CELLS}, truth, places, seed)


def train_set(data: World, folder: Path, vertices: Any = None) -> TrainingSet:
    count = data.responses.shape[1]
    targets = pd.DataFrame(
        {
            "hemisphere": ["lh"] * count,
            "rois": [""] * count,
            "vertex": np.arange(count) if vertices is None else vertices,
        }
    )
    return TrainingSet(
        features=data, images=np.arange(TRAIN), responses=data.responses[:TRAIN],
        targets=targets, seed=0, work=folder, device="cpu",
    )  # fmt: skip


def share_of_oracle(model: Any, data: World) -> float:
    test = np.arange(TRAIN, TRAIN + TEST)
    best = pearson(data.truth[test], data.responses[test]).mean()
    return float(pearson(model.predict(data, test), data.responses[test]).mean() / best)


def mean_pool(data: World, folder: Path) -> float:
    """What ridge on the mean over tokens reaches."""
    layer = data.layers[0]
    pooled = World({layer: data.tokens[layer].mean(1, keepdims=True)}, *_rest(data))
    return share_of_oracle(
        Ridge(RidgeConfig(n_alphas=5)).fit(train_set(data=pooled, folder=folder)), pooled
    )


def _rest(data: World) -> tuple[Any, Any, Any]:
    return data.truth, data.responses, data.places


SPATIAL: dict[str, TrainedReadout] = {
    "pooled": GaussianRfReadout(GaussianRfConfig(training=training(2e-2, epochs=20))),
    "sampled": GaussianRfReadout(
        GaussianRfConfig(reading=Reading.sampled, size=0.6, training=training(2e-2, epochs=20))
    ),
    "softmax": SpatialFeatureReadout(SpatialFeatureConfig(training=training(3e-2, epochs=20))),
    "unit": SpatialFeatureReadout(
        SpatialFeatureConfig(mask=Mask.unit, l1=0.003, training=training(1e-2, epochs=20))
    ),
}


@pytest.mark.parametrize("name", SPATIAL)
def test_a_fixed_place_is_found(name: str, tmp_path: Path) -> None:
    data = at_places()
    model = SPATIAL[name].fit(train_set(data, tmp_path))
    least = {"pooled": 0.93, "sampled": 0.8, "softmax": 0.9, "unit": 0.85}[name]
    assert share_of_oracle(model, data) >= least
    columns = model.columns()
    found = np.stack([columns["rf_x"], columns["rf_y"]], axis=1)
    away = np.linalg.norm(found - data.places, axis=1)
    assert np.median(away) <= (0.35 if name == "unit" else 0.2), away


def test_whole_picture_targets_have_no_corner_for_a_place(tmp_path: Path) -> None:
    def truth(tokens: dict[str, Any], rng: np.random.Generator) -> Any:
        return tokens["only"].mean(1) @ directions(rng).T

    data = world({"only": CELLS}, truth, np.zeros((TARGETS, 2)))
    config = FwrfConfig(centres=7, sizes=[0.15, 0.3, 10.0], n_alphas=5)
    model = Fwrf(config).fit(train_set(data, tmp_path))
    columns = model.columns()
    even = columns["rf_size"] == EVEN
    assert even.mean() > 0.8
    assert not columns["rf_x"][even].any()
    assert not columns["rf_y"][even].any()
    assert len(candidates(7, [0.15, 0.3, 10.0])) == 2 * 49 + 1


def test_a_point_that_was_drawn_has_the_size_of_the_draws() -> None:
    core = GaussianRf(3, Shape((4, 4), 5), 0.5, Reading.sampled)
    with torch.no_grad():
        core.place.copy_(torch.tensor([[0.0, 0.0], [0.3, -0.2], [2.0, 0.1]]))
        core.log_size.copy_(torch.tensor([0.1, 0.7, 0.2]).log())
    fields = core.fields((4, 4)).detach().numpy()
    np.testing.assert_allclose(fields[:, :2], [[0, 0], [0.3, -0.2], [1, 0.1]], atol=1e-6)
    np.testing.assert_allclose(fields[:, 2], [0.1, 0.7, 0.2], atol=0.02)


def test_the_best_of_a_grid_of_fields_is_near_the_planted_place(tmp_path: Path) -> None:
    data = at_places()
    config = FwrfConfig(centres=7, sizes=[0.15, 0.3, 10.0], n_alphas=5)
    model = Fwrf(config).fit(train_set(data, tmp_path))
    assert share_of_oracle(model, data) >= 0.88
    assert mean_pool(data, tmp_path) <= 0.5
    columns = model.columns()
    away = np.hypot(columns["rf_x"] - data.places[:, 0], columns["rf_y"] - data.places[:, 1])
    assert away.max() <= 0.3
    assert set(columns["rf_size"].round(3)) <= {0.15, 0.3}, "no target takes the whole picture"
    again = Fwrf(config).restore(*model.state())
    images = np.arange(9)
    np.testing.assert_array_equal(again.predict(data, images), model.predict(data, images))


def test_queries_on_raw_tokens_find_content_that_moves(tmp_path: Path) -> None:
    data = with_markers(np.random.default_rng(0))
    config = EfficientProbeConfig(queries=2, training=training(1e-2, epochs=25))
    model = EfficientProbeReadout(config).fit(train_set(data, tmp_path))
    assert share_of_oracle(model, data) >= 0.8
    assert mean_pool(data, tmp_path) <= 0.4


def with_markers(rng: np.random.Generator) -> World:
    """Two channels say where to look, and the truth is what others hold there."""
    tokens = rng.normal(size=(TRAIN + TEST, CELLS, CHANNELS)).astype(np.float16)
    clean = []
    images = np.arange(len(tokens))
    for kind in range(2):
        where = rng.integers(kind * CELLS // 2, (kind + 1) * CELLS // 2, len(tokens))
        tokens[images, where, kind] = 8.0
        clean += [
            tokens[images, where, 4 + step].astype(np.float64) for step in range(TARGETS // 2)
        ]
    truth = np.stack(clean, axis=1)
    noisy = truth + rng.normal(size=truth.shape) * 0.8
    return World({"only": tokens}, truth, noisy.astype(np.float32), None)


def moving() -> World:
    """The place that a target reads moves right or left with what the whole picture shows."""
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(TRAIN + TEST, CELLS, CHANNELS))
    side = rng.choice([-1.0, 1.0], TRAIN + TEST)
    tokens[:, :, 0] += 4 * side[:, None]  # the gist
    tokens = tokens.astype(np.float16)
    start = np.stack([np.zeros(TARGETS), rng.uniform(-0.5, 0.5, TARGETS)], axis=1)
    vectors = directions(rng).numpy()
    vectors[:, 0] = 0
    clean = np.empty((TRAIN + TEST, TARGETS))
    for sign in (-1.0, 1.0):
        place = torch.from_numpy((start + np.array([0.3 * sign, 0])).astype(np.float32))
        masks = gaussian_masks(place, torch.full((TARGETS,), 0.2), GRID).numpy()
        rows = side == sign
        clean[rows] = np.einsum("vt,btc,vc->bv", masks, tokens[rows].astype(np.float64), vectors)
    noisy = clean + rng.normal(size=clean.shape) * 0.3 * clean.std()
    return World({"only": tokens}, clean, noisy.astype(np.float32), start)


@pytest.mark.parametrize(("moves", "least", "most"), [(True, 0.9, 1.01), (False, 0.0, 0.8)])
def test_a_mask_that_moves_with_content_is_needed_where_content_moves_it(
    moves: bool, least: float, most: float, tmp_path: Path
) -> None:
    data = moving()
    config = SemanticSpatialConfig(
        translation=moves, rotation=False, scale=False, shear=False,
        training=training(3e-2, epochs=35 if moves else 10),
    )  # fmt: skip
    model = SemanticSpatialReadout(config).fit(train_set(data, tmp_path))
    assert least <= share_of_oracle(model, data) <= most


def test_cortical_neighbours_see_neighbouring_points_of_their_own_layer(tmp_path: Path) -> None:
    count = 40
    cortex = np.stack([np.linspace(-1, 1, count), np.repeat([-1.0, 1.0], count // 2)], axis=1)
    point = np.stack([cortex[:, 0] * 0.7, np.sin(2 * cortex[:, 0]) * 0.5], axis=1)

    def truth(tokens: dict[str, Any], rng: np.random.Generator) -> Any:
        vectors = torch.from_numpy(rng.normal(size=(count, CHANNELS)).astype(np.float32))
        where = torch.from_numpy(point.astype(np.float32))
        parts = []
        for half, (name, grid) in enumerate((("fine", GRID), ("coarse", OTHER))):
            rows = slice(half * count // 2, (half + 1) * count // 2)
            masks = point_masks(where[rows], grid)
            parts.append(torch.einsum("vt,btc,vc->bv", masks, tokens[name], vectors[rows]))
        return torch.cat(parts, dim=1)

    data = world({"fine": CELLS, "coarse": OTHER[0] * OTHER[1]}, truth, point)
    np.save(tmp_path / "cortex.npy", cortex)
    config = RetinaMapConfig(
        coordinates=str(tmp_path / "cortex.npy"), dim=CHANNELS, jitter=0.05,
        training=training(1.5e-2, epochs=25),
    )  # fmt: skip
    model = RetinaMapReadout(config).fit(train_set(data, tmp_path / "work"))
    assert share_of_oracle(model, data) >= 0.8
    core = model.network.core
    assert isinstance(core, RetinaMap)
    layer = core.mixture().argmax(1).numpy()
    assert (layer == np.repeat([0, 1], count // 2)).mean() >= 0.9
    away = np.linalg.norm(core.points().detach().numpy() - point, axis=1)
    assert np.median(away) <= 0.25
