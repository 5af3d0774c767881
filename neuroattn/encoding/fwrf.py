"""Feature-weighted receptive fields: the best of a grid of Gaussians, then ridge on its features.

St-Yves & Naselaris 2018 (NeuroImage 180:188-202): features are pooled under a Gaussian g_k of some
place and size, one weight for each channel reads them,

    y_v = sum_c w_vc  sum_t g_kt x_tc + b_v,

and each target takes, at every candidate k, the penalty with the least squared error over inner
folds of the training images, and then the candidate with the best mean correlation there. Layers
keep grids of their own: a candidate is a place in the picture.

Cost for n images, C channels of all layers, K candidates and T tokens: 2 n K T C FLOPs to pool,
in ``ceil(n K C 4 bytes / tile)`` passes over the features; then K ridge problems of (n, C).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.encoding.fields import EVEN, FIELD, Grid, gaussian_masks
from neuroattn.encoding.narrow import solve_narrow
from neuroattn.encoding.penalties import penalties
from neuroattn.encoding.readout import Features, TrainingSet, chosen_layers
from neuroattn.encoding.ridge import response_scale
from neuroattn.encoding.ridge_schemas import FwrfConfig
from neuroattn.encoding.solvers import InnerFolds, Solution, inner_folds, solve_primal
from neuroattn.encoding.tokens import Images, Tokens, blocks, layer_shape, read

Floats = NDArray[np.float64]
COLUMNS = (*FIELD, "alpha", "r_selection")
_EVEN = 4.0  # size from which a Gaussian in the middle weighs no place less than .94 of another


def candidates(centres: int, sizes: list[float]) -> Float[Tensor, "candidates 3"]:
    """Every (x, y, size): centres on a square grid over the picture, each with each size.

    A field that is nearly even over the picture has one place, the middle: elsewhere it is nearly
    the same again, and noise would choose among them.
    """
    line = (torch.arange(centres) + 0.5) / centres * 2 - 1
    places = torch.cartesian_prod(line, line).reshape(-1, 2).flip(1)
    middle = torch.zeros(1, 2)
    tried = [(middle if size >= _EVEN else places, size) for size in sizes]
    return torch.cat(
        [torch.cat([where, torch.full((len(where), 1), size)], dim=1) for where, size in tried]
    )


def pooled(
    tokens: Tokens, grids: Mapping[str, Grid], fields: Float[Tensor, "candidates 3"]
) -> Float[Tensor, "candidates images channels"]:
    """Features of every layer under every Gaussian, layers side by side."""
    parts = []
    for layer, grid in grids.items():
        masks = gaussian_masks(fields[:, :2], fields[:, 2], grid)
        parts.append(torch.einsum("kt,btc->kbc", masks, tokens[layer]))
    return torch.cat(parts, dim=2)


@dataclass(frozen=True, eq=False)
class FwrfModel:
    """A fitted set of receptive fields.

    Parameters
    ----------
    grids : layer -> grid.
    table : (targets, 5) as in `COLUMNS`.
    mean, scale : (candidates in use, channels) training statistics of pooled features.
    fields : (candidates in use, 3).
    owner : (targets,) row of ``fields``.
    weights, intercept : (targets, channels), (targets,) on standardised features.
    """

    grids: Mapping[str, Grid]
    table: Floats
    fields: NDArray[np.float32]
    mean: NDArray[np.float32]
    scale: NDArray[np.float32]
    owner: NDArray[np.int64]
    weights: NDArray[np.float32]
    intercept: NDArray[np.float32]

    def predict(self, features: Features, images: Images) -> NDArray[np.float32]:
        """Predicted responses (images, targets) of these image ids."""
        module = self.module()
        out = np.empty((len(images), len(self.owner)), dtype=np.float32)
        for rows in blocks(len(images)):
            with torch.no_grad():
                out[rows] = module(read(features, list(self.grids), images[rows])).numpy()
        return out

    def module(self) -> FwrfModule:
        """Tokens by layer to responses (images, targets), differentiable."""
        return FwrfModule(self)

    def columns(self) -> dict[str, Floats]:
        """Place and size of each target's field, penalty, and the score that chose them."""
        return dict(zip(COLUMNS, self.table.T, strict=True))

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and description, for `Fwrf.restore`."""
        arrays = {
            name: getattr(self, name)
            for name in ("table", "fields", "mean", "scale", "owner", "weights", "intercept")
        }
        return arrays, {
            "readout": "fwrf",
            "grids": {layer: list(grid) for layer, grid in self.grids.items()},
        }


class FwrfModule(nn.Module):
    """A fitted set of receptive fields as a module: one product for each field in use."""

    def __init__(self, model: FwrfModel) -> None:
        super().__init__()
        self.grids = dict(model.grids)
        order = np.argsort(model.owner, kind="stable")
        self.sizes = np.bincount(model.owner, minlength=len(model.fields)).tolist()
        arrays = {
            "fields": model.fields, "mean": model.mean, "scale": model.scale,
            "weights": model.weights[order], "intercept": model.intercept,
            "place": np.argsort(order, kind="stable"),
        }  # fmt: skip
        for name, values in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(values)))
        self.fields: Tensor
        self.mean: Tensor
        self.scale: Tensor
        self.weights: Tensor
        self.intercept: Tensor
        self.place: Tensor

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Predicted responses, in measured units."""
        values = pooled(tokens, self.grids, self.fields)
        values = (values - self.mean[:, None]) * self.scale[:, None]
        parts = torch.split(self.weights, self.sizes)
        products = [value @ part.T for value, part in zip(values, parts, strict=True)]
        return torch.cat(products, dim=1)[:, self.place] + self.intercept


@dataclass
class _Best:
    """What is known of each target's best candidate so far."""

    score: Floats
    candidate: NDArray[np.int64]
    alpha: Floats
    weights: NDArray[np.float32]
    intercept: Floats

    @classmethod
    def of(cls, targets: int, channels: int) -> _Best:
        return cls(
            np.full(targets, -np.inf), np.zeros(targets, np.int64), np.zeros(targets),
            np.zeros((targets, channels), np.float32), np.zeros(targets),
        )  # fmt: skip

    def take(self, candidate: int, found: Solution) -> None:
        """Let targets that this candidate serves better have it."""
        score = found.r_selection
        if score is None:
            raise TypeError("a search needs the score of every candidate")
        better = score > self.score
        self.score[better], self.candidate[better] = score[better], candidate
        self.alpha[better] = found.alpha[better]
        self.weights[better] = found.weights.T.numpy()[better]
        self.intercept[better] = found.intercept[better]


@dataclass(frozen=True)
class _Search:
    alphas: Floats
    folds: InnerFolds
    batch: int

    def solve(self, matrix: Tensor, responses: Tensor) -> Solution:
        narrow = matrix.shape[1] <= len(self.folds[0][0])
        solve = solve_narrow if narrow else solve_primal
        return solve(matrix, responses, self.alphas, self.folds, self.batch)


def moments(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and inverse deviation (channels,); a channel that hardly varies is silenced."""
    sd = rows.std(0)
    inverse = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 1e-6 * sd.max())
    return rows.mean(0), inverse


class Fwrf:
    """Feature-weighted receptive fields as a readout.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    def __init__(self, config: FwrfConfig) -> None:
        self.config = config

    def fit(self, train: TrainingSet) -> FwrfModel:
        """Search on training images alone; deterministic for one seed and thread count.

        Raises
        ------
        DataError : responses are not finite, or there are too few images.
        """
        layers = chosen_layers(train.features, self.config.layers)
        shapes = {layer: layer_shape(train.features, layer) for layer in layers}
        grids = {layer: shape.grid for layer, shape in shapes.items()}
        fields = candidates(self.config.centres, self.config.sizes)
        channels = sum(shape.channels for shape in shapes.values())
        images, row_image = np.unique(train.images, return_inverse=True)
        spread = response_scale(train.responses)
        responses = torch.from_numpy((train.responses / spread).astype(np.float32))
        folds = inner_folds(row_image, self.config.inner_folds, train.seed)
        search = _Search(penalties(self.config), folds, self.config.n_targets_batch)
        best = _Best.of(responses.shape[1], channels)
        mean = np.zeros((len(fields), channels), np.float32)
        scale = np.zeros_like(mean)
        for index, values in self._pooled(train.features, images, grids, fields, channels):
            rows = values[row_image]
            mean[index], scale[index] = moments(rows)
            matrix = torch.from_numpy((rows - mean[index]) * scale[index])
            best.take(index, search.solve(matrix, responses))
        return _model(grids, fields.numpy(), (mean, scale), best, spread)

    def restore(self, arrays: dict[str, NDArray[Any]], description: Any) -> FwrfModel:
        """The fitted readout whose `FwrfModel.state` this is."""
        grids = {
            layer: (int(grid[0]), int(grid[1])) for layer, grid in description["grids"].items()
        }
        return FwrfModel(grids=grids, **arrays)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        count = len(candidates(config.centres, config.sizes))
        return (
            "Responses were predicted by feature-weighted receptive fields (St-Yves & Naselaris,"
            f" 2018): of {count} Gaussians each target took the one with the best mean correlation"
            f" over {config.inner_folds} inner folds of the training images, at the penalty with"
            " the least squared error there"
        )

    def _pooled(
        self,
        features: Features,
        images: Images,
        grids: Mapping[str, Grid],
        fields: Tensor,
        channels: int,
    ) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Features (images, channels) of each candidate, as many at a time as a tile holds."""
        at_once = max(1, self.config.tile_mib * 2**20 // (len(images) * channels * 4))
        for start in range(0, len(fields), at_once):
            some = fields[start : start + at_once]
            table = np.empty((len(some), len(images), channels), np.float32)
            for rows in blocks(len(images)):
                tokens = read(features, list(grids), images[rows])
                table[:, rows] = pooled(tokens, grids, some).numpy()
            for offset, values in enumerate(table):
                yield start + offset, values


def _model(
    grids: Mapping[str, Grid],
    fields: NDArray[np.float32],
    statistics: tuple[NDArray[np.float32], NDArray[np.float32]],
    best: _Best,
    spread: Floats,
) -> FwrfModel:
    used, owner = np.unique(best.candidate, return_inverse=True)
    chosen = fields[best.candidate].astype(np.float64)
    chosen[chosen[:, 2] >= _EVEN, 2] = EVEN
    mean, scale = statistics
    return FwrfModel(
        grids=grids,
        table=np.column_stack([chosen, best.alpha, best.score]),
        fields=fields[used],
        mean=mean[used],
        scale=scale[used],
        owner=owner.astype(np.int64),
        weights=(best.weights * spread[:, None]).astype(np.float32),
        intercept=(best.intercept * spread).astype(np.float32),
    )
