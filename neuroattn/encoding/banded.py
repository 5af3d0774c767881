"""Banded ridge: each layer is a band of features, and each target weighs the bands.

One Gram matrix for each layer is streamed from the store and brought to one trace; candidates
are equal weights, each layer alone, and weights drawn from Dirichlet distributions (half of
them sparse), as in himalaya's random search (Dupre la Tour et al. 2022, NeuroImage 264:119728,
section 2.6). Given weights and penalty the solution is exact. `scores.tsv` gains, for each
layer, its share in what is predicted (product measure, `neuroattn.encoding.bands.shares`).

``best_layer`` is the same with each layer alone as the only candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.encoding.bands import Chosen, Grams, choose, collect, shares
from neuroattn.encoding.registry import BandedRidgeConfig, RidgeConfig
from neuroattn.encoding.ridge import Problem, Ridge, RidgeModel

Floats = NDArray[np.float64]
CONCENTRATIONS = (0.1, 1.0)  # sparse and even draws in turn, himalaya's
_IN_MEMORY = 8.0  # GB of Gram matrices for ``best_layer``


class BandedRidge(Ridge):
    """Banded ridge regression as a readout.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    config: BandedRidgeConfig

    def _solve(self, problem: Problem) -> RidgeModel:
        config, layers = self.config, list(problem.design.scalers)
        grams = layer_grams(problem, config.grams_gb)
        candidates = weightings(len(layers), config.candidates, problem.train.seed)
        chosen = choose(
            grams, candidates, problem.responses, problem.grid, problem.folds,
            batch=config.n_targets_batch,
        )  # fmt: skip
        dual = problem.per_image(chosen.solution.weights)
        share = shares(grams, chosen.weights, dual)
        extra = {f"share_{layer}": share[band] for band, layer in enumerate(layers)}
        return finish(self, problem, grams, chosen, extra)

    def _chosen(self) -> str:
        config = self.config
        return (
            f"weights of the layers (bands) and penalty were chosen among {config.candidates}"
            f" weightings with {config.n_alphas} penalties each"
        )


def best_layer(config: RidgeConfig, problem: Problem) -> RidgeModel:
    """Ridge on the one layer that predicts a target best over inner folds; column ``layer``.

    The column counts from 0 in the order of the layers and is averaged over folds.
    """
    grams = layer_grams(problem, _IN_MEMORY)
    chosen = choose(
        grams, np.eye(len(grams.values)), problem.responses, problem.grid, problem.folds,
        batch=config.n_targets_batch,
    )  # fmt: skip
    extra = {"layer": chosen.candidate.astype(np.float64)}
    return finish(Ridge(config), problem, grams, chosen, extra)


def weightings(bands: int, count: int, seed: int) -> Floats:
    """Candidates (candidates, bands) that each sum to 1: equal, single bands, random draws.

    Equal weights and single bands are always among them.
    """
    fixed = [np.full((1, bands), 1 / bands), np.eye(bands)] if bands > 1 else [np.ones((1, 1))]
    rng = generator(seed, "banded ridge", "weights")
    more = max(0, count - sum(map(len, fixed))) if bands > 1 else 0
    drawn = [rng.dirichlet(np.full(bands, CONCENTRATIONS[turn % 2])) for turn in range(more)]
    return np.concatenate([*fixed, np.reshape(drawn, (more, bands))])


def layer_grams(problem: Problem, limit_gb: float) -> Grams:
    """One Gram matrix for each layer."""
    design = problem.design
    bands = (design.only(layer).gram(problem.images).to(design.dtype) for layer in design.scalers)
    rows = problem.rows.cpu().numpy()
    work = problem.train.work
    return collect(bands, len(design.scalers), rows, work=work, limit_gb=limit_gb)


def finish(
    readout: Ridge, problem: Problem, grams: Grams, chosen: Chosen, extra: Mapping[str, Floats]
) -> RidgeModel:
    """The fitted model; its primal form has the weights of the layers in its coefficients."""
    design = problem.design
    solution = chosen.solution.scaled(problem.scale)
    fitted = replace(readout.unfinished(problem, solution), extra=dict(extra))
    dual = problem.per_image(solution.weights)
    weights = dict(zip(design.scalers, grams.raw(chosen.weights), strict=True))
    if not readout.fits(design, dual.shape[1]):
        return replace(fitted, images=problem.images, dual=dual.numpy(), bands=weights)
    coefficients = {
        layer: (design.only(layer).transposed_times(problem.images, dual)[layer] * weight).astype(
            np.float32
        )
        for layer, weight in weights.items()
    }
    return replace(fitted, coefficients=coefficients)
