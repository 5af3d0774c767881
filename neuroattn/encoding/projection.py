"""Fewer channels for a readout: principal components of tokens, fitted on training images alone.

A feature store knows no split, so nothing fitted may stand in it. The projection is therefore
fitted inside a fold and stored with the fold's model. Every token of every training image is
one observation of its channels (places are not mixed), so a projected map keeps its grid.

    projections = fit_projections(features, layers, training_images, 64)
    fewer = ProjectedFeatures(features, projections)   # reads like the store, with 64 channels
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.encoding.readout import Features

PREFIX = "projection"
_BLOCK_BYTES = 64 << 20  # of float64 tokens; fixed, for the last bit depends on it
_FLOOR = 1e-12  # of the largest variance: below it a direction is rounding


@dataclass(frozen=True, eq=False)
class Projection:
    """Principal components of the channels of one layer.

    Parameters
    ----------
    mean : (dim,) of the training tokens.
    basis : (dim, components), orthonormal columns by falling variance, the largest entry of
        each positive. A column is 0 where the training tokens do not vary in so many directions.
    variance : (components,) of the training tokens along each column.
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]
    variance: NDArray[np.float32]

    @property
    def components(self) -> int:
        """Number of channels that are left."""
        return int(self.basis.shape[1])

    def apply(self, tokens: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
        """Project tokens (images, tokens, dim) to (images, tokens, components) fp32."""
        centred = tokens.astype(np.float32) - self.mean
        return np.asarray(centred @ self.basis, dtype=np.float32)

    def module(self) -> ProjectionModule:
        """The same as a torch module, differentiable."""
        return ProjectionModule(self)

    def arrays(self, prefix: str = PREFIX) -> dict[str, NDArray[np.float32]]:
        """Named arrays from which `from_arrays` makes it again."""
        return {
            f"{prefix}/mean": self.mean,
            f"{prefix}/basis": self.basis,
            f"{prefix}/variance": self.variance,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]], prefix: str = PREFIX) -> Projection:
        """The projection whose `arrays` these are; other names are left alone."""
        return cls(*(arrays[f"{prefix}/{name}"] for name in ("mean", "basis", "variance")))


class ProjectionModule(nn.Module):
    """A projection as part of a network; frozen, with a gradient to its tokens."""

    def __init__(self, projection: Projection) -> None:
        super().__init__()
        for name, values in projection.arrays("").items():
            self.register_buffer(name.removeprefix("/"), torch.from_numpy(values))
        self.mean: Tensor
        self.basis: Tensor
        self.variance: Tensor

    @classmethod
    def empty(cls, dim: int, components: int) -> ProjectionModule:
        """One whose numbers are still to be loaded."""
        shapes: tuple[tuple[int, ...], ...] = ((dim,), (dim, components), (components,))
        return cls(Projection(*(np.zeros(shape, dtype=np.float32) for shape in shapes)))

    def forward(
        self, tokens: Float[Tensor, "images tokens dim"]
    ) -> Float[Tensor, "images tokens components"]:
        """Project each token."""
        projected: Tensor = (tokens - self.mean) @ self.basis
        return projected


class ProjectedFeatures:
    """A feature store seen through projections; it reads like the store itself.

    Parameters
    ----------
    features : the store.
    projections : layer -> its projection; other layers are hidden.
    """

    def __init__(self, features: Features, projections: Mapping[str, Projection]) -> None:
        self.features, self.projections = features, dict(projections)

    @property
    def layers(self) -> list[str]:
        """Names of the projected layers."""
        return list(self.projections)

    @property
    def grid(self) -> Any:
        """The store's own method ``grid``, where it has one: a projection mixes no places."""
        return getattr(self.features, "grid", None)

    def shape(self, layer: str) -> tuple[int, int, int]:
        """(images, tokens, components) of a layer."""
        images, tokens, _ = self.features.shape(layer)
        return images, tokens, self.projections[layer].components

    def read(self, layer: str, images: ArrayLike | None = None) -> NDArray[Any]:
        """(images, tokens, components) fp32 of these image ids, in this order."""
        return self.projections[layer].apply(self.features.read(layer, images))


def fit_projections(
    features: Features, layers: list[str], images: ArrayLike, components: int
) -> dict[str, Projection]:
    """`fit_projection` of each layer."""
    return {layer: fit_projection(features, layer, images, components) for layer in layers}


def fit_projection(
    features: Features, layer: str, images: ArrayLike, components: int
) -> Projection:
    """Principal components of a layer's channels over all tokens of ``images``.

    An image counts once, however often it is named, so that neither order nor repeats matter.
    One pass over the store; 2 x tokens x dim^2 operations an image, and ``dim^2`` float64 of
    memory beside one block of tokens.

    Parameters
    ----------
    images : image ids of the training side; no other is read.
    components : channels to keep.

    Raises
    ------
    ConfigError : the layer has fewer channels than that.
    DataError : a feature is not finite.
    """
    dim = features.shape(layer)[2]
    if not 1 <= components <= dim:
        raise ConfigError(
            f"layer {layer} does not have so many components",
            expected=f"encoder.components from 1 to {dim}, its channels",
            found=components,
            fix=f"set encoder.components={dim} or lower, or null to keep every channel",
        )
    mean, covariance = channel_covariance(features, layer, np.unique(np.asarray(images)))
    variance, directions = np.linalg.eigh(covariance)
    variance = np.maximum(variance[::-1][:components], 0.0)
    basis = oriented(directions[:, ::-1][:, :components])
    alive = variance > _FLOOR * variance[0]
    return Projection(
        mean.astype(np.float32),
        np.ascontiguousarray(basis * alive, dtype=np.float32),
        (variance * alive).astype(np.float32),
    )


def channel_covariance(
    features: Features, layer: str, images: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (dim,) and covariance (dim, dim) of the channels over all tokens, streamed.

    Raises
    ------
    DataError : a feature is not finite.
    """
    _, tokens, dim = features.shape(layer)
    step = max(1, _BLOCK_BYTES // (8 * tokens * dim))
    # Sums of deviations from one image's mean lose no digits to a large common offset.
    shift = features.read(layer, images[:1])[0].astype(np.float64).mean(0)
    sums, products = np.zeros(dim), np.zeros((dim, dim))
    for start in range(0, len(images), step):
        block = features.read(layer, images[start : start + step]).reshape(-1, dim) - shift
        sums += block.sum(0)
        products += block.T @ block
    count = len(images) * tokens
    offset = sums / count
    covariance = products / count - np.outer(offset, offset)
    if not np.isfinite(covariance).all():
        raise DataError(
            f"the features of layer {layer} are not all finite",
            found="NaN or infinity among the training images",
            fix="delete the features artefact and run features again",
        )
    return shift + offset, covariance


def oriented(directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns turned so that the entry of largest size is positive: a decomposition leaves it open.

    Entries of nearly the same size are decided by the first of them, not by rounding.
    """
    size = np.abs(directions)
    largest = (size >= (1 - 1e-6) * size.max(0)).argmax(0)
    signs = np.sign(directions[largest, np.arange(directions.shape[1])])
    return directions * np.where(signs == 0, 1.0, signs)
