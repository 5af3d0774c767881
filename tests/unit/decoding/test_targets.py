"""The target space: pooled, scaled and weighed embeddings, fitted on training images alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.decoding.decoder_schemas import LossConfig, LossKind, Negatives, Pool, Scale
from neuroattn.decoding.decoder_schemas import TargetConfig as Target
from neuroattn.decoding.embeddings import check_space
from neuroattn.decoding.targets import TargetSpace, fit_space, pooled


@dataclass
class Store:
    """Two layers of tokens of ten images."""

    seed: int = 0
    levels: tuple[float, ...] = (0.0,)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.layers = ["early", "late"]
        self.tables = {
            "early": rng.standard_normal((10, 4, 3)).astype(np.float32) + 5,
            "late": rng.standard_normal((10, 2, 5)).astype(np.float32),
        }
        self.artefact = SimpleNamespace(
            label=f"features-{self.seed}", folder=Path("features"), fingerprint=str(self.seed)
        )

    def shape(self, layer: str) -> tuple[int, ...]:
        return self.tables[layer].shape

    def read(self, layer: str, images: Any, strength: float = 0.0) -> NDArray[np.float32]:
        return self.tables[layer][np.asarray(images)] + np.float32(strength)


TRAIN = np.arange(6)


def space(config: Target | None = None, *stores: Any) -> TargetSpace:
    return fit_space(config or Target(), list(stores or (Store(),)), TRAIN)


def test_the_last_layer_is_the_target_unless_told() -> None:
    assert [block.name for block in space().blocks] == ["late"]
    both = Target(layers=["early", "late"], weights=[3, 1])
    assert [block.share for block in space(both).blocks] == [0.75, 0.25]


def test_a_cosine_is_the_weighted_mean_of_the_blocks_cosines() -> None:
    found = space(Target(layers=["early", "late"], weights=[3, 1]))
    table = found.read(np.arange(10))
    np.testing.assert_allclose(np.linalg.norm(table, axis=1), 1, rtol=1e-5)
    parts = [space(Target(layers=[layer])).read(np.arange(10)) for layer in ("early", "late")]
    expected = 0.75 * parts[0] @ parts[0].T + 0.25 * parts[1] @ parts[1].T
    np.testing.assert_allclose(table @ table.T, expected, atol=1e-5)
    np.testing.assert_allclose(found.normalised(7 * table), table, atol=1e-6)


@pytest.mark.parametrize("scale", list(Scale))
def test_statistics_are_of_training_images_alone(scale: Scale) -> None:
    store, other = Store(), Store()
    other.tables["late"][6:] = 1e6
    found, same = space(Target(scale=scale), store), space(Target(scale=scale), other)
    for name, value in found.arrays().items():
        np.testing.assert_array_equal(same.arrays()[name], value)
    if scale is not Scale.none:
        mean = store.tables["late"][:6].mean((0, 1))
        np.testing.assert_allclose(found.arrays()["mean/0"], mean, atol=1e-5)


def test_captions_stand_beside_pictures() -> None:
    found = space(Target(also=["backbone=captions"], also_weights=[1]), Store(), Store(1))
    assert [block.name for block in found.blocks] == ["late", "features-1/late"]
    assert found.dim == 10
    assert found.shares == [0.5, 0.5]


def test_pooling() -> None:
    tokens = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    assert pooled(tokens, Pool.mean).tolist() == [[2, 3], [8, 9]]
    assert pooled(tokens, Pool.max).tolist() == [[4, 5], [10, 11]]
    assert pooled(tokens, Pool.tokens).shape == (2, 6)


def test_a_blur_that_was_not_stored_is_refused() -> None:
    blurred = space(None, Store(levels=(0.0, 4.0)))
    assert blurred.strengths == [0.0, 4.0]
    assert not np.allclose(blurred.read([0], 4.0), blurred.read([0]))
    with pytest.raises(ConfigError, match="no pictures of this blur"):
        blurred.read([0], 3.0)


def test_what_cannot_be_a_target_is_refused() -> None:
    with pytest.raises(ConfigError, match="stored no layer middle"):
        space(Target(layers=["middle"]))
    with pytest.raises(ConfigError, match="one weight for each"):
        Target(layers=["late"], weights=[1, 2])
    with pytest.raises(ConfigError, match="weighs nothing"):
        Target(layers=["late"], weights=[0])
    broken = Store()
    broken.tables["late"][2] = np.nan
    with pytest.raises(DataError, match="not all finite"):
        space(None, broken)


def test_losses_that_cannot_be_are_refused() -> None:
    with pytest.raises(ConfigError, match="nothing to minimise"):
        LossConfig(kind=LossKind.none)
    with pytest.raises(ConfigError, match="begins above its limit"):
        LossConfig(scale=200)
    with pytest.raises(ConfigError, match="no negatives beside those of the batch"):
        LossConfig(kind=LossKind.siglip, negatives=Negatives.bank)


def test_embeddings_of_another_space_are_refused() -> None:
    here, there = space(), space(Target(layers=["early"]))
    check_space(here.identity(), space().identity(), "embeddings.h5")
    with pytest.raises(DataError, match="another space"):
        check_space(there.identity(), here.identity(), "embeddings.h5")
