"""Exact ridge regression on all tokens and channels, with one penalty per target.

For centred, standardised features X (images x features) and a centred response y

    w = argmin |y - X w|^2 + alpha * scale * |w|^2,     scale = trace(X X^T) / images,

so that ``alpha`` means the same for ten features and for a million: at alpha = 1 the penalty
equals the mean squared length of an image's feature vector. The intercept is not penalised.

The solvers are himalaya's (Dupre la Tour et al. 2022, NeuroImage 264:119728): on the Gram
matrix by eigendecomposition where features outnumber rows, on the features by singular values
elsewhere; both exact. Each target takes the penalty with the smallest squared error over inner
folds of the training images. In every inner fold features and responses are centred anew on
that fold's training part, so the intercept is exact there too. What is *not* refitted there is
each feature's standard deviation: it comes from all training images of the outer fold, the
inner validation part included. It sees no response and no test image, and an inner fold can
only re-weigh features by the ratio of two estimates of one standard deviation (about
1 / sqrt(2 n) relative, 1.2 % for n = 3,600), the same for every penalty that is compared.

``encoder.inputs`` says what of a layer is read: all tokens, their mean (``linear_pool``), or the
network's one vector (``linear_cls``). With ``encoder.select=best_layer`` each target reads the
one layer with the least inner error (`neuroattn.encoding.banded`).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.encoding.design import Design, Images, Reader, Scaler, fit_scaler
from neuroattn.encoding.penalties import penalties
from neuroattn.encoding.pooling import flat, single_layers, view
from neuroattn.encoding.readout import Features, TrainingSet, chosen_layers
from neuroattn.encoding.registry import Arithmetic, Inputs, RidgeConfig, Select
from neuroattn.encoding.solvers import (
    InnerFolds,
    Solution,
    inner_folds,
    solve_dual,
    solve_primal,
    solver_device,
)

log = logging.getLogger("neuroattn.encoding")

END_SHARE = 0.1
_BLOCK = 4096
_INPUTS = {
    Inputs.all: "",
    Inputs.mean: "the mean over tokens of ",
    Inputs.cls: "the pooled vector of the network in ",
}
_DTYPES = {Arithmetic.float32: torch.float32, Arithmetic.float64: torch.float64}


@dataclass(frozen=True)
class RidgeModel:
    """A fitted ridge.

    Parameters
    ----------
    config : the keys that it was fitted with.
    scalers : layer -> training statistics of its features.
    intercept, alpha : (targets,).
    coefficients : layer -> (features, targets) of standardised features; the primal form.
    images, dual : (images,) training images and (images, targets) their coefficients; the
        dual form, which reads the training images' features again to predict.
    r_selection : (targets,) correlation over the inner folds' validation images.
    bands : layer -> (targets,) weight of its Gram matrix, where targets weigh layers; the primal
        form has taken them in.
    extra : further columns (targets,) of ``scores.tsv``.
    """

    config: RidgeConfig
    scalers: Mapping[str, Scaler]
    intercept: NDArray[np.float64]
    alpha: NDArray[np.float64]
    coefficients: Mapping[str, NDArray[np.float32]] | None = None
    images: Images | None = None
    dual: NDArray[np.float64] | None = None
    device: str = "auto"
    r_selection: NDArray[np.float64] | None = None
    bands: Mapping[str, NDArray[np.float64]] | None = None
    extra: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def predict(self, features: Features, images: NDArray[np.int64]) -> NDArray[np.float32]:
        """Predicted responses (images, targets) of these image ids."""
        design = _bound(self.config, features, self.scalers, self.device)
        if self.coefficients is not None:
            product = design.times(images, self.coefficients)
        else:
            product = self._across(design, images)
        return (product.cpu().numpy() + self.intercept).astype(np.float32)

    def _across(self, design: Design, images: Images) -> Tensor:
        """The dual form's prediction, from inner products with the training images."""
        others, dual = _given(self.images), torch.tensor(_given(self.dual), device=design.device)
        if self.bands is None:
            return design.cross(images, others) @ dual
        parts = [
            design.only(layer).cross(images, others) @ (dual * torch.from_numpy(weight).to(dual))
            for layer, weight in self.bands.items()
            if weight.any()
        ]
        return torch.stack(parts).sum(0)

    def module(self) -> nn.Module:
        """Tokens by layer to responses (images, targets), differentiable.

        Raises
        ------
        ConfigError : only the dual form was stored, which needs the training images' features.
        """
        if self.coefficients is None:
            raise ConfigError(
                "this ridge was stored without coefficients",
                expected="its primal form",
                found="one coefficient per training image and target",
                fix="fit it again with a larger encoder.primal_gb, or read fewer layers",
            )
        return RidgeModule(self.scalers, self.coefficients, self.intercept, self.config.inputs)

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """The penalty of each target, and its correlation where the penalty was chosen."""
        known = {"alpha": self.alpha, "r_selection": self.r_selection}
        return {**self.extra, **{k: values for k, values in known.items() if values is not None}}

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and description, for `Ridge.restore`."""
        arrays: dict[str, NDArray[Any]] = {"intercept": self.intercept, "alpha": self.alpha}
        if self.r_selection is not None:
            arrays["r_selection"] = self.r_selection
        arrays |= {f"column/{name}": values for name, values in self.extra.items()}
        for layer, scaler in self.scalers.items():
            arrays |= {f"mean/{layer}": scaler.mean, f"sd/{layer}": scaler.sd}
        for layer, table in (self.coefficients or {}).items():
            arrays[f"coefficients/{layer}"] = table
        if self.coefficients is None:
            arrays |= {"images": _given(self.images), "dual": _given(self.dual)}
            arrays |= {f"band/{layer}": weight for layer, weight in (self.bands or {}).items()}
        return arrays, {
            "readout": self.config.name,
            "form": "dual" if self.coefficients is None else "primal",
            "layers": list(self.scalers),
            "targets": len(self.intercept),
            "standardise": self.config.standardise,
            "precision": self.config.precision.value,
        }


class RidgeModule(nn.Module):
    """A fitted ridge in its primal form, in float32: ``sum_l ((x_l - mean) / sd) w_l + b``.

    Parameters
    ----------
    scalers, coefficients : by layer, as in `RidgeModel`.
    inputs : what of a layer is read.
    """

    def __init__(
        self,
        scalers: Mapping[str, Scaler],
        coefficients: Mapping[str, NDArray[np.float32]],
        intercept: NDArray[np.float64],
        inputs: Inputs = Inputs.all,
    ) -> None:
        super().__init__()
        self.layers, self.inputs = list(scalers), inputs
        offset = np.array(intercept)
        for index, layer in enumerate(self.layers):
            scaler = scalers[layer]
            inverse = np.divide(1.0, scaler.sd, out=np.zeros_like(scaler.sd), where=scaler.sd > 0)
            # Folded into the weights, so that a forward pass is one product for each layer.
            weight = coefficients[layer] * inverse[:, None]
            offset -= scaler.mean @ weight
            self.register_buffer(f"weight{index}", torch.tensor(weight, dtype=torch.float32))
        self.register_buffer("offset", torch.tensor(offset, dtype=torch.float32))
        self.offset: Tensor

    def forward(
        self, tokens: dict[str, Float[Tensor, "images tokens _"]]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses."""
        total = self.offset
        for index, layer in enumerate(self.layers):
            total = total + flat(tokens[layer], self.inputs) @ self.get_buffer(f"weight{index}")
        return total


def _given(value: NDArray[Any] | None) -> NDArray[Any]:
    if value is None:
        raise DataError(
            "the fitted ridge holds no coefficients",
            expected="its primal or its dual form",
            found="neither",
            fix="fit it again",
        )
    return value


@dataclass(frozen=True)
class Problem:
    """One fold's regression, as every closed form is given it.

    Parameters
    ----------
    design : standardised features, fitted on ``images``.
    images, counts : (images,) distinct training images and the number of rows of each.
    rows : (rows,) place of each row's image in ``images``.
    responses : (rows, targets) in units of ``scale`` (targets,), not centred.
    grid, folds : the penalties and inner folds to choose by.
    train : where it is from.
    """

    design: Design
    images: Images
    counts: NDArray[np.int64]
    rows: Tensor
    responses: Tensor
    scale: NDArray[np.float64]
    grid: NDArray[np.float64]
    folds: InnerFolds
    train: TrainingSet

    def gram(self, design: Design) -> Tensor:
        """Inner products (rows, rows) of a design's features."""
        gram = design.gram(self.images).to(design.dtype)
        return _per_row(_per_row(gram, self.rows).T, self.rows)

    def per_image(self, weights: Tensor) -> Tensor:
        """Dual coefficients (rows, targets) summed over the rows of each image, in float64."""
        dual = torch.zeros(len(self.images), weights.shape[1], dtype=torch.float64)
        return dual.index_add_(0, self.rows.cpu(), weights.to("cpu", torch.float64))


class Ridge:
    """Ridge regression as a readout.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    def __init__(self, config: RidgeConfig) -> None:
        self.config = config

    def fit(self, train: TrainingSet) -> RidgeModel:
        """Fit on training images alone; deterministic for one seed, device and thread count.

        Raises
        ------
        DataError : responses or features are not finite, or there are too few images.
        """
        images, row_image, counts = np.unique(train.images, return_inverse=True, return_counts=True)
        scale = response_scale(train.responses)
        design = self._design(train, images, counts)
        responses = torch.tensor(train.responses, dtype=design.dtype)
        responses /= torch.tensor(scale, dtype=design.dtype)
        problem = Problem(
            design=design,
            images=images,
            counts=counts,
            rows=torch.tensor(row_image, device=design.device),
            responses=responses,
            scale=scale,
            grid=penalties(self.config),
            folds=inner_folds(row_image, self.config.inner_folds, train.seed),
            train=train,
        )
        model = self._solve(problem)
        warn_at_ends(model.alpha, problem.grid)
        return model

    def _solve(self, problem: Problem) -> RidgeModel:
        """The fitted model; relatives of ridge replace this."""
        if self.config.select is Select.best_layer:
            from neuroattn.encoding.banded import best_layer

            return best_layer(self.config, problem)
        design, grid, folds = problem.design, problem.grid, problem.folds
        batch = self.config.n_targets_batch
        if design.width <= len(problem.rows):
            matrix = _per_row(design.matrix(problem.images), problem.rows)
            solution = solve_primal(matrix, problem.responses, grid, folds, batch)
        else:
            gram = problem.gram(design)
            solution = solve_dual(gram, problem.responses, grid, folds, batch)
        return self._model(problem, solution.scaled(problem.scale))

    def restore(self, arrays: dict[str, NDArray[Any]], description: Any) -> RidgeModel:
        """The fitted ridge whose `RidgeModel.state` this is."""
        layers = list(description["layers"])
        column, band = "column/", "band/"
        primal = description["form"] == "primal"
        return RidgeModel(
            config=self.config,
            scalers={name: Scaler(arrays[f"mean/{name}"], arrays[f"sd/{name}"]) for name in layers},
            intercept=arrays["intercept"],
            alpha=arrays["alpha"],
            coefficients={n: arrays[f"coefficients/{n}"] for n in layers} if primal else None,
            images=arrays.get("images"),
            dual=arrays.get("dual"),
            r_selection=arrays.get("r_selection"),
            bands={n: arrays[band + n] for n in layers if band + n in arrays} or None,
            extra={n.removeprefix(column): arrays[n] for n in arrays if n.startswith(column)},
        )

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            f"Responses were predicted by ridge regression on {self._features()};"
            f" each target's {self._chosen()} by {self.config.inner_folds}-fold"
            f" cross-validation over training images"
            f" (himalaya {version('himalaya')}; Dupré la Tour et al., 2022, NeuroImage 264:119728)"
        )

    def _features(self) -> str:
        config = self.config
        scaling = "standardised" if config.standardise else "centred"
        return f"{_INPUTS[config.inputs]}{_layers(config.layers)}, {scaling} on the training images"

    def _chosen(self) -> str:
        penalties = f"chosen among {self.config.n_alphas}"
        if self.config.select is Select.best_layer:
            return f"layer and penalty were {penalties} penalties a layer"
        return f"penalty was {penalties}"

    def _design(self, train: TrainingSet, images: Images, counts: NDArray[np.int64]) -> Design:
        config = self.config
        features = view(train.features, config.inputs)
        layers = chosen_layers(features, config.layers)
        if config.inputs is Inputs.cls:
            layers = single_layers(features, config.layers)
        reader = Reader(features, config.tile_mib)
        scalers = {
            layer: fit_scaler(reader, layer, images, counts, config.standardise) for layer in layers
        }
        return _bound(self.config, train.features, scalers, train.device)

    def _model(self, problem: Problem, solution: Solution) -> RidgeModel:
        design, weights = problem.design, solution.weights
        fitted = self.unfinished(problem, solution)
        if design.width <= len(problem.rows):
            return replace(fitted, coefficients=_by_layer(design, weights))
        dual = problem.per_image(weights)
        if self.fits(design, weights.shape[1]):
            return replace(fitted, coefficients=design.transposed_times(problem.images, dual))
        return replace(fitted, images=problem.images, dual=dual.numpy())

    def unfinished(self, problem: Problem, solution: Solution) -> RidgeModel:
        """The model without its coefficients."""
        return RidgeModel(
            config=self.config,
            scalers=problem.design.scalers,
            intercept=solution.intercept,
            alpha=solution.alpha,
            device=problem.train.device,
            r_selection=solution.r_selection,
        )

    def fits(self, design: Design, targets: int) -> bool:
        """Whether the primal form may be stored."""
        return design.width * targets * 4 <= self.config.primal_gb * 1e9


def _per_row(table: Float[Tensor, "images columns"], rows: Tensor) -> Float[Tensor, "rows columns"]:
    """Repeat the rows of distinct images as the training rows want them."""
    as_they_are = len(rows) == len(table) and bool((rows.diff() == 1).all())
    return table if as_they_are else table[rows]


def response_scale(responses: NDArray[np.float32]) -> NDArray[np.float64]:
    """Standard deviation of each target (targets,), 1 for a constant one.

    The solution does not depend on it; the solver's guards against tiny penalties and equal
    scores do, because they are absolute numbers.

    Raises
    ------
    DataError : a response is NaN or infinite.
    """
    blocks = range(0, responses.shape[1], _BLOCK)
    parts = [responses[:, start : start + _BLOCK].std(0, dtype=np.float64) for start in blocks]
    scale = np.concatenate(parts)
    if not np.isfinite(scale).all():
        raise DataError(
            "the training responses are not all finite",
            expected="a number for every trial and target",
            found=f"{int((~np.isfinite(scale)).sum())} targets with NaN or infinity",
            fix="leave these targets out when the dataset is prepared",
        )
    return np.where(scale > 0, scale, 1.0)


def warn_at_ends(alpha: NDArray[np.float64], grid: NDArray[np.float64]) -> None:
    """Log a warning where more than a tenth of the targets chose an end of the grid."""
    advice = {
        "smallest": (grid[0], "lower encoder.alpha_min"),
        "largest": (grid[-1], "raise encoder.alpha_max, unless these targets carry no signal"),
    }
    for end, (value, remedy) in advice.items():
        share = float((alpha == value).mean())
        if len(grid) > 1 and share > END_SHARE:
            log.warning(
                "%.0f %% of the targets chose the %s penalty of the grid (%.3g): %s",
                100 * share, end, value, remedy,
            )  # fmt: skip


def _bound(
    config: RidgeConfig, features: Features, scalers: Mapping[str, Scaler], device: str
) -> Design:
    reader = Reader(view(features, config.inputs), config.tile_mib)
    return Design(reader, scalers, _DTYPES[config.precision], solver_device(device))


def _by_layer(
    design: Design, weights: Float[Tensor, "features targets"]
) -> dict[str, NDArray[np.float32]]:
    widths = [design.reader.width(layer) for layer in design.scalers]
    parts = torch.split(weights.to(torch.float32), widths)
    return {layer: part.numpy() for layer, part in zip(design.scalers, parts, strict=True)}


def _layers(names: list[str] | None) -> str:
    return "all stored layers" if names is None else f"the layers {', '.join(names)}"
