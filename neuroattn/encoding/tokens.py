"""Tokens from the feature store to a network: their shapes, their statistics, their standardising.

Every channel is standardised with its mean and deviation over training images and tokens, after
a projection on principal components where one is asked for. A `Front` holds these statistics as
buffers and stands before whatever network is trained, so a fitted readout takes the tokens of a
backbone as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import DataError
from neuroattn.encoding.joint import SubjectResponses, batch_of
from neuroattn.encoding.projection import Projection, ProjectionModule, fit_projection
from neuroattn.encoding.readout import Features
from neuroattn.training.batches import Batch
from neuroattn.training.sampler import Indices

Images = NDArray[np.int64]
Tokens = Mapping[str, Float[Tensor, "images tokens _"]]
BLOCK = 64  # pictures whose tokens are held at a time outside training
PREFIX = "tokens/"  # of the keys of a batch
_FLOOR = 1e-6  # of the largest deviation: channels below it are constant


@dataclass(frozen=True)
class Shape:
    """Tokens of one layer: rows and columns of their grid, and channels."""

    grid: tuple[int, int]
    channels: int


def layer_shape(features: Features, layer: str) -> Shape:
    """Grid and channels of a layer; tokens without a known grid are a square, or one row."""
    _, count, channels = features.shape(layer)
    grid = getattr(features, "grid", None)
    if grid is not None:
        rows, columns = grid(layer)
        return Shape((int(rows), int(columns)), channels)
    side = isqrt(count)
    return Shape((side, side) if side * side == count else (1, count), channels)


def projected(shapes: Mapping[str, Shape], components: int | None) -> dict[str, Shape]:
    """Shapes after a projection of each layer on so many components; None leaves them alone."""
    if components is None:
        return dict(shapes)
    return {layer: Shape(shape.grid, components) for layer, shape in shapes.items()}


def joined(shapes: Mapping[str, Shape]) -> Shape:
    """The shape of layers that are joined channel by channel.

    Raises
    ------
    DataError : the layers have different grids.
    """
    grids = {shape.grid for shape in shapes.values()}
    if len(grids) > 1:
        raise DataError(
            "layers with different grids cannot be joined cell by cell",
            expected="one grid",
            found=", ".join(f"{layer}: {s.grid[0]} x {s.grid[1]}" for layer, s in shapes.items()),
            fix="choose one layer with encoder.layers=[…], or one grid with backbone.pool",
        )
    return Shape(grids.pop(), sum(shape.channels for shape in shapes.values()))


def read(features: Features, layers: list[str], images: Images) -> dict[str, Tensor]:
    """Tokens (images, tokens, dim) float32 of each layer."""
    return {
        layer: torch.from_numpy(features.read(layer, images).astype(np.float32)) for layer in layers
    }


def blocks(total: int) -> list[slice]:
    """Rows in spans of `BLOCK`."""
    return [slice(start, start + BLOCK) for start in range(0, total, BLOCK)]


@dataclass(frozen=True, eq=False)
class TokenSource:
    """Tokens and standardised responses by training row, read batch by batch.

    Parameters
    ----------
    images : (rows,) image id of each row.
    responses : (rows, targets) as measured; may lie in a file.
    mean, sd : (targets,) with which they are standardised.
    chosen : (samples,) the rows that are samples of this source.
    """

    features: Features
    layers: list[str]
    images: Images
    responses: NDArray[np.float32] | SubjectResponses
    mean: NDArray[np.float32]
    sd: NDArray[np.float32]
    chosen: Images

    def __len__(self) -> int:
        return len(self.chosen)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """``tokens/<layer>`` (images, tokens, dim) and ``responses`` (images, targets).

        With several subjects ``seen`` (images, targets) says what was measured.
        """
        rows = self.chosen[np.asarray(indices)]
        tokens = read(self.features, self.layers, self.images[rows])
        named = {PREFIX + layer: values for layer, values in tokens.items()}
        return named | batch_of(self.responses[rows], self.mean, self.sd)


def tokens_of(batch: Batch) -> dict[str, Tensor]:
    """The tokens of a batch, by layer."""
    return {
        key.removeprefix(PREFIX): values for key, values in batch.items() if key.startswith(PREFIX)
    }


def channel_statistics(
    features: Features, layer: str, images: Images
) -> tuple[Float[Tensor, " channels"], Float[Tensor, " channels"]]:
    """Mean, and inverse standard deviation, of each channel over training pictures and tokens.

    A channel that hardly varies is silenced: its inverse is 0.
    """
    total, squares, count = 0.0, 0.0, 0
    shift = features.read(layer, images[:1]).astype(np.float64).mean((0, 1))
    for rows in blocks(len(images)):
        tokens = features.read(layer, images[rows]).astype(np.float64) - shift
        total = total + tokens.sum((0, 1))
        squares = squares + (tokens**2).sum((0, 1))
        count += tokens.shape[0] * tokens.shape[1]
    mean = np.asarray(total / count)
    sd = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    inverse = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > _FLOOR * sd.max())
    return torch.from_numpy((mean + shift).astype(np.float32)), torch.from_numpy(
        inverse.astype(np.float32)
    )


class Front(nn.Module):
    """Projects where that was asked for, and standardises the tokens of each layer.

    Parameters
    ----------
    shapes : layer -> shape after a projection, in the order in which layers are joined.
    """

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        super().__init__()
        self.layers = list(shapes)
        self.projections = nn.ModuleDict()
        for index, shape in enumerate(shapes.values()):
            self.register_buffer(f"mean{index}", torch.zeros(shape.channels))
            self.register_buffer(f"scale{index}", torch.ones(shape.channels))

    def learn(self, features: Features, images: Images, components: int | None = None) -> None:
        """Take the statistics of these training images, on so many components of each layer."""
        for index, layer in enumerate(self.layers):
            if components is None:
                mean, scale = channel_statistics(features, layer, images)
                self.get_buffer(f"mean{index}").copy_(mean)
            else:
                projection = fit_projection(features, layer, images, components)
                self.projections[str(index)] = projection.module()
                scale = component_scale(projection)  # their mean is 0
            self.get_buffer(f"scale{index}").copy_(scale)

    def expect(self, arrays: Mapping[str, NDArray[Any]], prefix: str) -> None:
        """Make room for the projections among stored arrays, whose names begin with ``prefix``."""
        for index in range(len(self.layers)):
            basis = arrays.get(f"{prefix}projections.{index}.basis")
            if basis is not None:
                self.projections[str(index)] = ProjectionModule.empty(*basis.shape)

    def forward(self, tokens: Tokens) -> dict[str, Tensor]:
        """Standardised tokens by layer."""
        return {
            layer: (self._project(index, tokens[layer]) - self.get_buffer(f"mean{index}"))
            * self.get_buffer(f"scale{index}")
            for index, layer in enumerate(self.layers)
        }

    def _project(self, index: int, tokens: Tensor) -> Tensor:
        name = str(index)
        if name not in self.projections:
            return tokens
        fewer: Tensor = self.projections[name](tokens)
        return fewer


def component_scale(projection: Projection) -> Float[Tensor, " components"]:
    """Inverse standard deviation of each component; 0 for one that hardly varies."""
    sd = np.sqrt(projection.variance.astype(np.float64))
    inverse = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > _FLOOR * sd.max())
    return torch.from_numpy(inverse.astype(np.float32))


def join(tokens: Tokens) -> Float[Tensor, "images tokens channels"]:
    """Layers of one grid side by side, channel by channel."""
    parts = list(tokens.values())
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)
