"""The embeddings that a decoder is to predict: of one layer or several, of pictures or captions.

Each layer is one **block**: pooled over tokens, scaled by statistics of the training images, and
brought to length one. Blocks stand side by side, each times the root of its share of the
weights, so the whole has length one and a cosine is the weighted mean of the blocks' cosines.

No network runs here: everything is read from what the stage ``features`` stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.decoding.decoder_schemas import Pool, Scale, TargetConfig
from neuroattn.features.store import FeatureStore

READ = 512  # images whose tokens are held at a time
_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Block:
    """One layer of one feature store.

    Parameters
    ----------
    name : of the layer, with that of its features where there are several.
    share : of the weights; all shares sum to one.
    dim : numbers of an embedding.
    mean, sd : (dim,) over the training images, as far as the scale asks for them.
    """

    name: str
    store: FeatureStore
    layer: str
    share: float
    dim: int
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TargetSpace:
    """Where brains and pictures meet.

    Parameters
    ----------
    blocks : in their order.
    pool, scale : as in ``decoder.target``.
    """

    blocks: Sequence[Block]
    pool: Pool
    scale: Scale
    stores: Sequence[FeatureStore] = field(default=())

    @property
    def dim(self) -> int:
        """Numbers of an embedding."""
        return sum(block.dim for block in self.blocks)

    @property
    def slices(self) -> list[slice]:
        """Where each block stands."""
        ends = np.cumsum([block.dim for block in self.blocks]).tolist()
        return [slice(end - block.dim, end) for end, block in zip(ends, self.blocks, strict=True)]

    @property
    def shares(self) -> list[float]:
        """Share of each block."""
        return [block.share for block in self.blocks]

    @property
    def strengths(self) -> Sequence[float]:
        """Stored blur strengths, ascending; 0 is the original."""
        return sorted(self.stores[0].levels)

    def read(self, images: ArrayLike, strength: float = 0.0) -> NDArray[np.float32]:
        """Embeddings (images, dim) of these image ids, of length one.

        Parameters
        ----------
        strength : of the blur; features without blurred pictures (captions) give their one.
        """
        ids = np.asarray(images, dtype=np.int64).reshape(-1)
        out = np.empty((len(ids), self.dim), dtype=np.float32)
        for block, place in zip(self.blocks, self.slices, strict=True):
            for start in range(0, len(ids), READ):
                part = slice(start, start + READ)
                raw = pooled(_tokens(block, ids[part], strength), self.pool)
                out[part, place] = _unit((raw - block.mean) / block.sd) * block.share**0.5
        return out

    def normalised(self, predicted: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Predictions (rows, dim) block by block as long as the embeddings that they are of."""
        out = np.empty(predicted.shape, dtype=np.float32)
        for block, place in zip(self.blocks, self.slices, strict=True):
            out[:, place] = _unit(predicted[:, place]) * block.share**0.5
        return out

    def identity(self) -> dict[str, Any]:
        """What two spaces must have in common to be one: layers, shares, pooling, scale, source."""
        return {
            "layers": [block.name for block in self.blocks],
            "shares": [round(block.share, 6) for block in self.blocks],
            "dims": [block.dim for block in self.blocks],
            "pool": self.pool.value,
            "norm": f"{self.scale.value}, length 1",
            "features": [store.artefact.fingerprint[:16] for store in self.stores],
        }

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Statistics of the training images by name."""
        return {
            f"{kind}/{index}": getattr(block, kind)
            for index, block in enumerate(self.blocks)
            for kind in ("mean", "sd")
        }


def fit_space(
    config: TargetConfig, stores: Sequence[FeatureStore], images: NDArray[np.int64]
) -> TargetSpace:
    """The space of the training images ``images``; no other image is read.

    Parameters
    ----------
    stores : features of the backbone, then those of ``target.also``.

    Raises
    ------
    ConfigError : a layer was not stored, or there is not one weight for each.
    DataError : an image has no features, or they are not finite.
    """
    wanted = _layers(config, stores)
    total = sum(weight for _, _, weight in wanted)
    blocks = []
    for number, layer, weight in wanted:
        store = stores[number]
        name = layer if number == 0 else f"{store.artefact.label}/{layer}"
        _, tokens, channels = store.shape(layer)
        dim = tokens * channels if config.pool is Pool.tokens else channels
        none, one = np.zeros(dim, np.float32), np.ones(dim, np.float32)
        still = Block(name, store, layer, weight / total, dim, none, one)
        mean, sd = _statistics(still, config, np.unique(images))
        blocks.append(Block(name, store, layer, weight / total, dim, mean, sd))
    return TargetSpace(blocks, config.pool, config.scale, stores)


def pooled(tokens: NDArray[np.floating[Any]], pool: Pool) -> NDArray[np.float32]:
    """Tokens (images, tokens, channels) as one vector an image."""
    values = tokens.astype(np.float32)
    if pool is Pool.tokens:
        return values.reshape(len(values), -1)
    return np.asarray(values.mean(1) if pool is Pool.mean else values.max(1))


def _layers(config: TargetConfig, stores: Sequence[FeatureStore]) -> list[tuple[int, str, float]]:
    """Number of the store, layer and weight of each block."""
    own = config.layers or stores[0].layers[-1:]
    absent = [layer for layer in own if layer not in stores[0].layers]
    if absent:
        raise ConfigError(
            f"the backbone stored no layer {', '.join(absent)}",
            expected=" | ".join(stores[0].layers),
            found=", ".join(absent),
            fix="choose decoder.target.layers among them, or add the layer to backbone.layers",
        )
    weights = config.weights or [1.0] * len(own)
    chosen = [(0, layer, float(weight)) for layer, weight in zip(own, weights, strict=True)]
    also = config.also_weights or [1.0] * len(config.also)
    further = enumerate(zip(stores[1:], also, strict=True), start=1)
    return chosen + [
        (number, store.layers[-1], float(weight)) for number, (store, weight) in further
    ]


def _tokens(block: Block, ids: NDArray[np.int64], strength: float) -> NDArray[np.float16]:
    if strength and strength in block.store.levels:
        return block.store.read(block.layer, ids, strength)
    if strength and len(block.store.levels) > 1:
        raise ConfigError(
            "there are no pictures of this blur",
            expected=", ".join(f"{known:g}" for known in block.store.levels),
            found=f"{strength:g}",
            fix="add it to backbone.blur.levels",
        )
    return block.store.read(block.layer, ids)


def _statistics(
    block: Block, config: TargetConfig, images: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    sums, squares = np.zeros((2, block.dim))
    for start in range(0, len(images), READ):
        raw = pooled(_tokens(block, images[start : start + READ], 0.0), config.pool)
        sums += raw.sum(0, dtype=np.float64)
        squares += np.square(raw, dtype=np.float64).sum(0)
    mean = sums / len(images)
    variance = np.maximum(squares / len(images) - mean**2, 0)
    if not np.isfinite(variance).all():
        raise DataError(
            f"the embeddings of {block.name} are not all finite",
            file=block.store.artefact.folder,
            found="NaN or infinity among the training images",
            fix="delete this features artefact and run features again",
        )
    sd = np.sqrt(variance)
    alive = sd > 1e-6 * max(float(sd.max(initial=0.0)), _TINY)
    none = config.scale is Scale.none
    return (
        (np.zeros_like(mean) if none else mean).astype(np.float32),
        (np.where(alive, sd, 1.0) if config.scale is Scale.zscore else np.ones_like(sd)).astype(
            np.float32
        ),
    )


def _unit(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    length = np.linalg.norm(values.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(values / np.maximum(length, _TINY), dtype=np.float32)
