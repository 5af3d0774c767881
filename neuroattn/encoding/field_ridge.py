"""Ridge whose prior is a receptive field: where a target reads is chosen, what it reads is fitted.

Plain ridge expects weights of every place alike. Here the weights of channel c at places p, q of
the picture have the prior covariance

    cov(w_pc, w_qc) = sum_k s_pk g_k s_kq,    g_k = exp(-|k - centre|^2 / (2 size^2)),

a Gaussian field g between two smoothing steps s (s s^T = exp(-|p - q|^2 / (2 smoothness^2))): a
target reads inside its field, and neighbouring weights resemble each other. Centre, size and
penalty are chosen for each target by its squared error over inner folds, the whole picture
always among the candidates; given them the ridge solution is exact. The Gram matrix of a
candidate is ``sum_k g_k K_k`` with one matrix for each smoothed place k, so a hundred fields
cost no further pass over the features.

A relative of fwRF (St-Yves & Naselaris 2018, NeuroImage 180:188-202), which pools channels
inside a Gaussian field and has one weight for each channel; here every place inside the field
keeps weights of its own. The covariance of smooth, localised weights follows Park & Pillow 2011
(PLoS Computational Biology 7:e1002219), with the hyperparameters on a grid.

Cost for n images, D features and m cells: n^2 D operations for the matrices and m n^2 floats to
hold them; then a decomposition of (n, n) for each candidate and inner fold.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.bands import Grams, allocate, check_varies, choose
from neuroattn.encoding.design import Design, Images
from neuroattn.encoding.fields import EVEN, FIELD
from neuroattn.encoding.registry import FieldRidgeConfig
from neuroattn.encoding.ridge import Problem, Ridge, RidgeModel
from neuroattn.encoding.tokens import layer_shape

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fields:
    """Candidates: weights (candidates, cells), and their centres and sizes (candidates, 3).

    Centres and sizes are as in `FIELD`. The first candidate is the whole picture.
    """

    weights: Floats
    places: Floats


class FieldRidge(Ridge):
    """Ridge with a receptive field for each target, as a readout.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    config: FieldRidgeConfig

    def _solve(self, problem: Problem) -> RidgeModel:
        config, design = self.config, problem.design
        self._check_size(design, problem.responses.shape[1])
        fields = candidates(config.cells, config.places, config.sizes)
        mixers = {layer: self._mixer(design, layer) for layer in design.scalers}
        grams, norms = cell_grams(problem, mixers, config)
        chosen = choose(
            grams, fields.weights, problem.responses, problem.grid, problem.folds,
            batch=config.n_targets_batch,
        )  # fmt: skip
        solution = chosen.solution.scaled(problem.scale)
        tables = design.transposed_times(problem.images, problem.per_image(solution.weights))
        coefficients = {
            layer: weigh(tables.pop(layer), mixers[layer], chosen.weights, norms[layer])
            for layer in design.scalers
        }
        extra = dict(zip(FIELD, fields.places[chosen.candidate].T, strict=True))
        fitted = self.unfinished(problem, solution)
        return replace(fitted, coefficients=coefficients, extra=extra)

    def _mixer(self, design: Design, layer: str) -> Floats:
        shape = layer_shape(design.reader.features, layer)
        return mixer(shape.grid, self.config.cells, self.config.smoothness)

    def _check_size(self, design: Design, targets: int) -> None:
        if not self.fits(design, targets):
            size = design.width * targets * 4e-9
            raise ConfigError(
                "the coefficients of field_ridge take more than encoder.primal_gb",
                expected=f"encoder.primal_gb of {size:.1f} or more",
                found=self.config.primal_gb,
                fix=f"set encoder.primal_gb={size + 0.1:.1f}, read fewer layers, or set"
                " backbone.pool",
            )

    def _features(self) -> str:
        fields = len(candidates(self.config.cells, self.config.places, self.config.sizes).weights)
        return (
            f"{super()._features()}, with a prior of weights that are smooth in space and lie in"
            f" a Gaussian receptive field, chosen for each target among {fields}"
        )


def candidates(cells: int, places: int, sizes: list[float]) -> Fields:
    """The whole picture, then every size at every centre."""
    middles = (np.arange(cells) + 0.5) / cells
    y, x = (axis.ravel() for axis in np.meshgrid(middles, middles, indexing="ij"))
    centres = (np.arange(places) + 0.5) / places
    table = [(0.0, 0.0, EVEN)]
    weights = [np.ones(cells * cells)]
    for size in sizes:
        for row in centres:
            for column in centres:
                distance = np.square(x - column) + np.square(y - row)
                weights.append(np.exp(-distance / (2 * size**2)))
                table.append((2 * column - 1, 2 * row - 1, 2 * size))
    return Fields(np.stack(weights), np.array(table))


def mixer(grid: tuple[int, int], cells: int, smoothness: float) -> Floats:
    """(cells^2, tokens): average tokens to a square of cells, then smooth over cells.

    A layer with fewer tokens than cells is repeated: one token stands everywhere.
    """
    tokens = grid[0] * grid[1]
    maps = torch.eye(tokens, dtype=torch.float64).reshape(tokens, 1, *grid)
    average = functional.adaptive_avg_pool2d(maps, cells).flatten(1).T.numpy()
    if smoothness == 0:
        return np.asarray(average)
    rows, columns = np.divmod(np.arange(cells * cells), cells)
    distance = np.square(rows[:, None] - rows) + np.square(columns[:, None] - columns)
    values, vectors = np.linalg.eigh(np.exp(-distance / (2 * smoothness**2)))
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    return np.asarray(root @ average)


def cell_grams(
    problem: Problem, mixers: dict[str, Floats], config: FieldRidgeConfig
) -> tuple[Grams, dict[str, float]]:
    """One Gram matrix for each cell, every layer with the same share, and the layers' norms."""
    images, rows = problem.images, problem.rows.cpu().numpy()
    shape = (config.cells**2, len(images), len(images))
    values = allocate(shape, problem.design.dtype, problem.train.work, config.grams_gb)
    norms: dict[str, float] = {}
    for layer, mix in mixers.items():
        spans = _spans(problem.design, layer, len(images))
        lengths = [
            _cells(problem.design, layer, images[span], mix).square().sum((0, 2)).numpy()
            for span in spans
        ]
        norms[layer] = float(problem.counts @ np.concatenate(lengths)) / len(rows)
        if norms[layer] > 0:
            _add(values, problem, layer, mix / np.sqrt(norms[layer]))
    check_varies(np.array(list(norms.values())))
    return Grams(values, rows, np.ones(len(values))), norms


def _add(values: NDArray[np.floating], problem: Problem, layer: str, mix: Floats) -> None:
    """Add a layer's inner products at every cell, tile by tile."""
    images, spans = problem.images, _spans(problem.design, layer, len(problem.images))
    for index, above in enumerate(spans):
        left = _cells(problem.design, layer, images[above], mix)
        for below in spans[: index + 1]:
            same = below == above
            right = left if same else _cells(problem.design, layer, images[below], mix)
            product = torch.bmm(left, right.transpose(1, 2)).cpu().numpy()
            values[:, above, below] += product
            if not same:
                values[:, below, above] += product.transpose(0, 2, 1)


def _cells(design: Design, layer: str, images: Images, mix: Floats) -> Tensor:
    """Smoothed cells (cells, images, channels) of standardised tokens."""
    tokens = mix.shape[1]
    raw = design.reader.tile(layer, images)
    values = design.scalers[layer].apply(raw, slice(0, raw.shape[1]), design.dtype)
    cells = torch.tensor(mix, dtype=design.dtype) @ values.reshape(len(images), tokens, -1)
    return cells.transpose(0, 1).contiguous()


def _spans(design: Design, layer: str, images: int) -> list[slice]:
    """Tiles whose tokens and cells, two at a time, stay within ``tile_mib``."""
    size = max(1, (design.reader.tile_mib << 20) // (2 * 3 * 8 * design.reader.width(layer)))
    return [slice(start, min(start + size, images)) for start in range(0, images, size)]


def weigh(
    table: NDArray[np.float32], mix: Floats, weights: Floats, norm: float
) -> NDArray[np.float32]:
    """Coefficients (features, targets) from features times dual coefficients.

    Parameters
    ----------
    table : (features, targets) of one layer.
    mix : (cells, tokens) of that layer.
    weights : (cells, targets) field of each target.
    norm : what the layer's Gram matrix was divided by.
    """
    if norm == 0:
        return np.zeros_like(table)
    place, targets = mix.astype(np.float32), table.shape[1]
    cells = place @ table.reshape(mix.shape[1], -1)
    cells = cells.reshape(len(mix), -1, targets) * (weights / norm).astype(np.float32)[:, None]
    return np.asarray(place.T @ cells.reshape(len(mix), -1)).reshape(table.shape)
