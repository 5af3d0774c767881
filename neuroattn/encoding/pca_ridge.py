"""Ridge on principal components of the training images' features.

The components come from the Gram matrix: with centred features X (rows x features) and
X X^T = U S^2 U^T, the scores of the training rows on the first k components are U_k S_k and the
components X^T U_k S_k^-1, exactly, for any number of features. Weights b of the scores are
therefore dual coefficients U_k S_k^-1 b of the rows, and the fitted model is a ridge like any
other. No test image is seen. With a penalty near 0 this is the baseline of the Algonauts
development kit (100 components) and of BERG (250), which have no penalty at all.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.registry import PcaRidgeConfig
from neuroattn.encoding.ridge import Problem, Ridge, RidgeModel
from neuroattn.encoding.solvers import Solution, solve_primal

_RANK = 1e-9  # of the largest eigenvalue: components below it are rounding


class PcaRidge(Ridge):
    """Ridge on principal components as a readout.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    config: PcaRidgeConfig

    def _solve(self, problem: Problem) -> RidgeModel:
        scores, back = components(problem.gram(problem.design), self.config.components)
        batch = self.config.n_targets_batch
        found = solve_primal(scores, problem.responses, problem.grid, problem.folds, batch)
        dual = back @ found.weights.to(back)
        solution = replace(found, weights=dual).scaled(problem.scale)
        return self._from_dual(problem, solution)

    def _from_dual(self, problem: Problem, solution: Solution) -> RidgeModel:
        design, fitted = problem.design, self.unfinished(problem, solution)
        dual = problem.per_image(solution.weights)
        if self.fits(design, dual.shape[1]):
            return replace(fitted, coefficients=design.transposed_times(problem.images, dual))
        return replace(fitted, images=problem.images, dual=dual.numpy())

    def _features(self) -> str:
        return f"the first {self.config.components} principal components of {super()._features()}"


def components(gram: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Scores of the rows (rows, count), and the map (rows, count) from weights to coefficients.

    Parameters
    ----------
    gram : (rows, rows) inner products of centred features.

    Raises
    ------
    ConfigError : the rows have fewer components.
    """
    values, vectors = torch.linalg.eigh(gram.to(torch.float64))
    rank = int((values > _RANK * values[-1].clamp_min(torch.finfo(torch.float64).tiny)).sum())
    if count > rank:
        raise ConfigError(
            "there are fewer principal components than were asked for",
            expected=f"encoder.components of at most {rank}, the rank of the training features",
            found=count,
            fix=f"set encoder.components={max(rank, 1)} or less",
        )
    values, vectors = values[-count:].flip(0), vectors[:, -count:].flip(1)
    return (vectors * values.sqrt()).to(gram.dtype), vectors / values.sqrt()
