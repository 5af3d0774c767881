"""Exact ridge with a penalty per target where features are few: scores without predictions.

`neuroattn.encoding.solvers.solve_primal` predicts every validation image anew for every penalty.
With few features what the choice needs follows from three products. Let C = V S^2 V' be the
decomposition of the training features' Gram matrix, B = V' X'y, and on the validation images
A = X V, G = A'A and c = A'y. The weights at a penalty a are V W with W = B / (S^2 + a), and

    sum of (y - A W)^2 = y'y - 2 W'c + W'G W,

as are the correlations. So a search over many feature sets, which asks for this hundreds of
times, pays for the images once for each fold and not once more for each penalty.

Cost for n rows, D features, T targets and F folds: 2 n D T (F + 1) for the products, and for each
fold and penalty 2 D^2 T, against 2 n D T for each of them in `solve_primal`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.encoding.solvers import ROUNDING, InnerFolds, Solution, usable

Floats = NDArray[np.float64]


def solve_narrow(
    matrix: Float[Tensor, "rows features"],
    responses: Float[Tensor, "rows targets"],
    alphas: Floats,
    folds: InnerFolds,
    batch: int,
) -> Solution:
    """The solution of `solve_primal`, for features that are fewer than the rows.

    ``matrix`` must be centred. The choice is by the mean over folds of the squared error.

    Raises
    ------
    DataError : no feature varies.
    """
    penalties = alphas * usable(float(matrix.square().sum()) / len(matrix))
    sides = [_Side.of(matrix, *fold) for fold in folds]
    rows = torch.arange(len(matrix))
    whole = _Side.of(matrix, rows, rows[:0])
    parts = [
        _solve(whole, sides, responses[:, part], penalties)
        for part in _batches(responses.shape[1], batch)
    ]
    weights, intercept, chosen, correlation = zip(*parts, strict=True)
    place = np.concatenate(chosen)
    return Solution(
        weights=torch.cat(weights, dim=1),
        intercept=np.concatenate(intercept),
        alpha=alphas[place],
        r_selection=np.concatenate(correlation),
    )


def _batches(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


@dataclass(frozen=True, eq=False)
class _Side:
    """Features of one fold in the directions of its own training rows.

    Parameters
    ----------
    train, test : rows.
    inside : training features, centred by themselves; ``mean`` is what was taken away.
    squares, axes : eigenvalues (features,) and vectors (features, features) of their Gram matrix.
    outside : validation features, centred alike, along the axes; ``gram`` their products.
    """

    train: Tensor
    test: Tensor
    inside: Tensor
    mean: Tensor
    squares: Tensor
    axes: Tensor
    outside: Tensor
    gram: Tensor

    @classmethod
    def of(
        cls, matrix: Tensor, train: Tensor | NDArray[np.int64], test: Tensor | NDArray[np.int64]
    ) -> _Side:
        train, test = torch.as_tensor(train), torch.as_tensor(test)
        inside = matrix[train]
        mean = inside.mean(0)
        inside -= mean
        # A Gram matrix has the square of the condition number, hence double precision.
        double = inside.double()
        squares, axes = torch.linalg.eigh(double.T @ double)
        outside = (matrix[test] - mean) @ axes.to(matrix)
        wide = outside.double()
        return cls(
            train, test, inside, mean, squares.clamp_min(0), axes, outside, wide.T @ wide
        )  # fmt: skip

    def coefficients(self, responses: Tensor) -> tuple[Tensor, Tensor]:
        """B = V'X'y (features, targets) and the mean response of the training rows (targets,)."""
        own = responses[self.train]
        mean = own.mean(0)
        return self.axes.T @ (self.inside.T @ (own - mean)).double(), mean

    def scores(
        self, responses: Tensor, penalties: Floats
    ) -> tuple[Float[Tensor, "penalties targets"], Float[Tensor, "penalties targets"]]:
        """Mean squared error and correlation over the validation rows at each penalty.

        A target that does not vary over them has a correlation of 0: what is left of it is the
        rounding of its values.
        """
        products, mean = self.coefficients(responses)
        truth = responses[self.test] - mean
        count = len(self.test)
        cross = (self.outside.T @ truth).double()
        square = truth.square().sum(0, dtype=torch.float64)
        average = truth.mean(0, dtype=torch.float64)
        spread = (square - count * average.square()).clamp_min(0)
        middle = self.outside.mean(0, dtype=torch.float64)
        errors, correlations = [], []
        for penalty in penalties:
            weights = products / (self.squares[:, None] + penalty)
            shared = (weights * cross).sum(0)
            own = (weights * (self.gram @ weights)).sum(0)
            errors.append((square - 2 * shared + own) / count)
            level = middle @ weights
            varies = (own - count * level.square()).clamp_min(0)
            defined = (varies > ROUNDING * own) & (spread > ROUNDING * square)
            bottom = torch.where(defined, varies * spread, 1.0).sqrt()
            r = ((shared - count * level * average) / bottom).clamp(-1, 1)
            correlations.append(torch.where(defined, r, 0.0))
        return torch.stack(errors), torch.stack(correlations)


def _solve(
    whole: _Side, sides: list[_Side], responses: Tensor, penalties: Floats
) -> tuple[Tensor, Floats, NDArray[np.int64], Floats]:
    """Weights (features, targets), intercepts, places of the penalties, and correlations."""
    found = [side.scores(responses, penalties) for side in sides]
    error = torch.stack([errors for errors, _ in found]).mean(0)
    place = error.argmin(0)
    r = torch.stack([torch.nan_to_num(each) for _, each in found]).mean(0)
    products, mean = whole.coefficients(responses)
    chosen = torch.as_tensor(penalties)[place]
    weights = (whole.axes @ (products / (whole.squares[:, None] + chosen))).to(responses)
    intercept = (mean.double() - whole.mean.double() @ weights.double()).numpy()
    picked = r.gather(0, place[None])[0].numpy()
    return weights, intercept, place.numpy(), picked
