"""The standardised feature matrix of a store, seen in tiles and never whole.

A tile is some images' fp16 tokens of one layer; a block is some of its columns, standardised,
in the arithmetic of the solution. All sums over features run in float64 between blocks, so
float32 costs accuracy only inside a block of `COLUMNS` features.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.errors import DataError
from neuroattn.encoding.readout import Features

COLUMNS = 4096
_MIB = 1 << 20
_TILE, _BLOCK = 2, 8  # bytes of a number in a tile (fp16), and in a block at most (float64)

Images = NDArray[np.int64]


@dataclass(frozen=True)
class Scaler:
    """Training statistics of one layer.

    Parameters
    ----------
    mean, sd : (features,) over the training rows. ``sd`` is 0 for a feature that is constant
        there; such a feature is dropped, whatever it does elsewhere. Without standardisation
        all others have ``sd`` 1.
    """

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    def apply(self, values: NDArray[np.floating], columns: slice, dtype: torch.dtype) -> Tensor:
        """Standardise raw columns (rows, columns)."""
        sd = self.sd[columns]
        inverse = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0)
        # In place in torch: its fp16 conversion is vectorised, numpy's is not.
        whole = torch.from_numpy(np.require(values, requirements="W")).to(dtype, copy=True)
        return whole.sub_(torch.from_numpy(self.mean[columns]).to(dtype)).mul_(
            torch.from_numpy(inverse).to(dtype)
        )


@dataclass(frozen=True)
class Reader:
    """Reads flattened tokens of a store in tiles of at most ``tile_mib``."""

    features: Features
    tile_mib: int

    def width(self, layer: str) -> int:
        """Number of features (tokens x dim) of a layer."""
        _, tokens, dim = self.features.shape(layer)
        return tokens * dim

    def rows(self, layer: str, images: Images) -> list[slice]:
        """Tiles that cover ``images``; two, with a block of each, stay within the limit."""
        width = self.width(layer)
        image = 2 * (_TILE * width + _BLOCK * min(width, COLUMNS))
        size = max(1, self.tile_mib * _MIB // image)
        return [slice(start, start + size) for start in range(0, len(images), size)]

    def columns(self, layer: str) -> list[slice]:
        """Blocks that cover the features of a layer."""
        width = self.width(layer)
        return [slice(start, min(start + COLUMNS, width)) for start in range(0, width, COLUMNS)]

    def tile(self, layer: str, images: Images) -> NDArray[np.floating]:
        """Raw features (images, features) of one tile."""
        return self.features.read(layer, images).reshape(len(images), -1)


def fit_scaler(
    reader: Reader, layer: str, images: Images, counts: NDArray[np.int64], standardise: bool
) -> Scaler:
    """Mean and standard deviation of each feature over training rows, in one pass.

    Parameters
    ----------
    images, counts : (images,) distinct training images and the number of rows of each.
    standardise : False leaves the scale alone; constant features are dropped all the same.

    Raises
    ------
    DataError : a feature is not finite.
    """
    total = float(counts.sum())
    first = reader.tile(layer, images[:1])[0].astype(np.float64)
    sums, squares = np.zeros_like(first), np.zeros_like(first)
    for rows in reader.rows(layer, images):
        tile, weights = reader.tile(layer, images[rows]), counts[rows].astype(np.float64)
        for columns in reader.columns(layer):
            # Deviations from the first image keep a constant feature exactly at 0.
            shifted = tile[:, columns].astype(np.float64) - first[columns]
            sums[columns] += weights @ shifted
            squares[columns] += weights @ np.square(shifted)
    offset = sums / total
    sd = np.sqrt(np.maximum(squares / total - np.square(offset), 0.0))
    if not (np.isfinite(offset).all() and np.isfinite(sd).all()):
        raise DataError(
            f"the features of layer {layer} are not all finite",
            found=f"{int((~np.isfinite(sd)).sum())} features with NaN or infinity",
            fix="delete the features artefact and run features again",
        )
    return Scaler(mean=first + offset, sd=sd if standardise else (sd > 0).astype(np.float64))


@dataclass(frozen=True)
class Design:
    """Standardised features of any images of the store.

    Parameters
    ----------
    reader : source of raw tiles.
    scalers : layer -> training statistics; their order is the order of the columns.
    dtype, device : arithmetic and place of the blocks.
    """

    reader: Reader
    scalers: Mapping[str, Scaler]
    dtype: torch.dtype
    device: torch.device

    @property
    def width(self) -> int:
        """Number of features over all layers."""
        return sum(map(self.reader.width, self.scalers))

    def only(self, layer: str) -> Design:
        """The same design with one layer."""
        return replace(self, scalers={layer: self.scalers[layer]})

    def blocks(
        self, layer: str, tile: NDArray[np.floating]
    ) -> Iterator[tuple[slice, Float[Tensor, "rows columns"]]]:
        """Standardised column blocks of one tile."""
        for columns in self.reader.columns(layer):
            block = self.scalers[layer].apply(tile[:, columns], columns, self.dtype)
            yield columns, block.to(self.device)

    def matrix(self, images: Images) -> Float[Tensor, "images features"]:
        """The whole matrix; only for as many features as images."""
        tiles = [(layer, self.reader.tile(layer, images)) for layer in self.scalers]
        return torch.cat([block for pair in tiles for _, block in self.blocks(*pair)], dim=1)

    def gram(self, images: Images) -> Float64[Tensor, "images images"]:
        """Inner products of all pairs of images, over all layers.

        Cost, n images and D features: n^2 D operations, and with t tiles (t+1)/2 passes over
        the stored features. Memory: the result, and ``tile_mib`` with two column blocks.
        """
        result = self._zeros(len(images), len(images))
        for layer in self.scalers:
            tiles = self.reader.rows(layer, images)
            for index, above in enumerate(tiles):
                left = self.reader.tile(layer, images[above])
                result[above, above] += self._product(layer, left, left)
                for below in tiles[:index]:
                    right = self.reader.tile(layer, images[below])
                    result[above, below] += self._product(layer, left, right)
        return _mirrored(result)

    def cross(self, images: Images, others: Images) -> Float64[Tensor, "images others"]:
        """Inner products of ``images`` with ``others``, over all layers."""
        result = self._zeros(len(images), len(others))
        for layer in self.scalers:
            for rows in self.reader.rows(layer, images):
                left = self.reader.tile(layer, images[rows])
                for columns in self.reader.rows(layer, others):
                    right = self.reader.tile(layer, others[columns])
                    result[rows, columns] += self._product(layer, left, right)
        return result

    def transposed_times(
        self, images: Images, weights: Float[Tensor, "images targets"]
    ) -> dict[str, NDArray[np.float32]]:
        """Features times images: ``X.T @ weights`` as layer -> (features, targets)."""
        weights = weights.to(self.device, self.dtype)
        result: dict[str, NDArray[np.float32]] = {}
        for layer in self.scalers:
            table = np.zeros((self.reader.width(layer), weights.shape[1]), dtype=np.float32)
            for rows in self.reader.rows(layer, images):
                tile = self.reader.tile(layer, images[rows])
                for columns, block in self.blocks(layer, tile):
                    table[columns] += (block.T @ weights[rows]).cpu().numpy().astype(np.float32)
            result[layer] = table
        return result

    def times(
        self, images: Images, coefficients: Mapping[str, NDArray[np.float32]]
    ) -> Float64[Tensor, "images targets"]:
        """Images times features: ``X @ coefficients`` over all layers."""
        targets = next(iter(coefficients.values())).shape[1]
        result = self._zeros(len(images), targets)
        for layer in self.scalers:
            for rows in self.reader.rows(layer, images):
                tile = self.reader.tile(layer, images[rows])
                for columns, block in self.blocks(layer, tile):
                    part = coefficients[layer][columns]
                    result[rows] += block @ torch.tensor(part, dtype=self.dtype, device=self.device)
        return result

    def _product(
        self, layer: str, left: NDArray[np.floating], right: NDArray[np.floating]
    ) -> Float64[Tensor, "left right"]:
        result = self._zeros(len(left), len(right))
        if left is right:
            for _, block in self.blocks(layer, left):
                result += block @ block.T
            return result
        pairs = zip(self.blocks(layer, left), self.blocks(layer, right), strict=True)
        for (_, block), (_, other) in pairs:
            result += block @ other.T
        return result

    def _zeros(self, rows: int, columns: int) -> Float64[Tensor, "rows columns"]:
        return torch.zeros(rows, columns, dtype=torch.float64, device=self.device)


def _mirrored(lower: Float64[Tensor, "n n"]) -> Float64[Tensor, "n n"]:
    """Copy the lower triangle over the upper one, in place of rounding differences."""
    return torch.tril(lower) + torch.tril(lower, -1).T
