"""Exact ridge solvers with a penalty per target: himalaya's, on what we stream to them.

Both take centred features and centre features and responses anew in every inner fold, so the
intercept is exact there as well. himalaya's choice of backend is global; it is set for the
length of a call and put back.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.errors import DataError
from neuroattn.core.seeding import generator

InnerFolds = list[tuple[NDArray[np.int64], NDArray[np.int64]]]
ROUNDING: Final = 1e-12  # share of a sum of squares below which a difference of two is rounding


@dataclass(frozen=True)
class Solution:
    """What a solver returns.

    Parameters
    ----------
    weights : (features, targets) in the primal, (rows, targets) in the dual form.
    intercept : (targets,) for centred features.
    alpha : (targets,) chosen penalties, in units of ``scale``.
    r_selection : (targets,) correlation over validation images at that penalty, averaged over
        inner folds; a prediction that does not vary counts as 0.
    """

    weights: Float[Tensor, "coefficients targets"]
    intercept: NDArray[np.float64]
    alpha: NDArray[np.float64]
    r_selection: NDArray[np.float64] | None = None

    def scaled(self, scale: NDArray[np.float64]) -> Solution:
        """The solution for responses that are ``scale`` (targets,) times as large."""
        weights = self.weights.to(torch.float64) * torch.from_numpy(scale)
        return Solution(weights, self.intercept * scale, self.alpha, self.r_selection)


def inner_folds(row_image: NDArray[np.int64], folds: int, seed: int) -> InnerFolds:
    """Folds over images that choose the penalty; all rows of an image stay together.

    Parameters
    ----------
    row_image : (rows,) running number of each row's image, 0 … images - 1.

    Returns
    -------
    (training rows, validation rows) of each fold, ascending.

    Raises
    ------
    DataError : there are fewer images than folds.
    """
    images = int(row_image.max()) + 1
    if images < folds:
        raise DataError(
            "there are too few training images to choose a penalty",
            expected=f"at least {folds}, one per inner fold",
            found=images,
            fix="lower encoder.inner_folds, or use more images",
        )
    order = generator(seed, "ridge", "inner folds").permutation(images)
    fold_of = np.empty(images, dtype=np.int64)
    fold_of[order] = np.arange(images) % folds
    side = fold_of[row_image]
    return [(np.flatnonzero(side != fold), np.flatnonzero(side == fold)) for fold in range(folds)]


def solve_dual(
    gram: Float[Tensor, "rows rows"],
    responses: Float[Tensor, "rows targets"],
    alphas: NDArray[np.float64],
    folds: InnerFolds,
    batch: int,
) -> Solution:
    """Ridge from inner products (rows, rows), by eigendecomposition, each target its penalty.

    Cost for n rows: (folds + 1) eigendecompositions, then per penalty 2 n^3 and 2 n^2 targets
    operations. Memory: about six (rows, rows) matrices beside the responses.
    """
    from himalaya.kernel_ridge import solve_kernel_ridge_cv_eigenvalues

    scale, watch = float(gram.trace()) / len(gram), _Watch(len(folds), len(alphas))
    with himalaya_backend(gram.device):
        chosen, weights, _, intercept = solve_kernel_ridge_cv_eigenvalues(
            gram, responses, score_func=watch,
            **_search(gram, alphas * usable(scale), folds, batch),
        )  # fmt: skip
    alpha = _snapped(_numpy(chosen) / scale, alphas)
    return Solution(weights, _numpy(intercept), alpha, watch.correlation(alpha, alphas))


def solve_primal(
    matrix: Float[Tensor, "rows features"],
    responses: Float[Tensor, "rows targets"],
    alphas: NDArray[np.float64],
    folds: InnerFolds,
    batch: int,
) -> Solution:
    """Ridge from features (rows, features), by singular values, each target its penalty.

    ``matrix`` must be centred, as in `solve_dual`; both give the same predictions.
    """
    from himalaya.ridge import solve_ridge_cv_svd

    scale = float(matrix.square().sum()) / len(matrix)
    watch = _Watch(len(folds), len(alphas))
    with himalaya_backend(matrix.device):
        chosen, weights, _, intercept = solve_ridge_cv_svd(
            matrix, responses, warn=False, score_func=watch,
            **_search(matrix, alphas * usable(scale), folds, batch),
        )  # fmt: skip
    alpha = _snapped(_numpy(chosen) / scale, alphas)
    return Solution(weights, _numpy(intercept), alpha, watch.correlation(alpha, alphas))


def _search(
    like: Tensor, penalties: NDArray[np.float64], folds: InnerFolds, batch: int
) -> dict[str, Any]:
    return {
        "alphas": torch.tensor(penalties, dtype=like.dtype, device=like.device),
        "cv": folds,
        "fit_intercept": True,
        "n_targets_batch": batch,
        "n_alphas_batch": 1,  # each holds a (rows, rows) matrix
        "Y_in_cpu": like.device.type == "cuda",  # its CPU backend trips over the option
    }


class _Watch:
    """The squared loss that chooses a penalty, and on the way the correlation at each of them.

    The solvers ask for every inner fold, in it for every penalty, in it for every batch of
    targets.
    """

    def __init__(self, folds: int, alphas: int) -> None:
        self._shape, self._seen = (folds, alphas), list[NDArray[np.float32]]()

    def __call__(self, measured: Tensor, predicted: Tensor) -> Tensor:
        from himalaya.scoring import l2_neg_loss

        centred = predicted - predicted.mean(1, keepdim=True)
        truth = measured - measured.mean(0)
        # What is left of a target that does not vary here is the rounding of its values.
        known = truth.square().sum(0) > ROUNDING * measured.square().sum(0)
        spread = torch.where(known, centred.square().sum(1) * truth.square().sum(0), 0.0)
        r = (centred * truth).sum(1) / spread.clamp_min(torch.finfo(spread.dtype).tiny).sqrt()
        r = torch.where(known, r, 0.0)
        self._seen.append(r[0].float().cpu().numpy())  # one penalty at a time, see `_search`
        loss: Tensor = l2_neg_loss(measured, predicted)
        return loss

    def correlation(
        self, chosen: NDArray[np.float64], alphas: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Correlation (targets,) at the chosen penalties, averaged over inner folds."""
        seen = np.concatenate(self._seen).reshape(*self._shape, len(chosen))
        mean = np.nan_to_num(seen, copy=False).mean(0, dtype=np.float64)
        return np.asarray(mean[np.searchsorted(alphas, chosen), np.arange(len(chosen))])


def usable(scale: float) -> float:
    """A scale above 0.

    Raises
    ------
    DataError : no feature varies.
    """
    if scale > 0:
        return scale
    raise DataError(
        "no feature varies over the training images",
        expected="features that differ between images",
        found="constant features in every layer",
        fix="check the images and the backbone",
    )


def _numpy(values: Tensor) -> NDArray[np.float64]:
    return values.cpu().numpy().astype(np.float64)


def _snapped(values: NDArray[np.float64], grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Exact grid values; the solver hands them back through a logarithm."""
    with np.errstate(divide="ignore"):
        distance = np.abs(np.log(values)[:, None] - np.log(grid)[None])
    return np.asarray(grid[distance.argmin(1)])


@contextmanager
def himalaya_backend(device: torch.device) -> Iterator[None]:
    """Let himalaya compute with torch on ``device``; its choice is global, so it is put back."""
    from himalaya.backend import get_backend, set_backend

    before = get_backend().name
    set_backend("torch_cuda" if device.type == "cuda" else "torch")
    try:
        yield
    finally:
        set_backend(before)


def solver_device(name: str) -> torch.device:
    """The device for ``runtime.device``: CUDA where asked for or found, else the CPU.

    Apple's GPU has no float64, and no eigendecomposition.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name if name.startswith("cuda") else "cpu")
