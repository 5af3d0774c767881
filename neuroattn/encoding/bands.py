"""Ridge with weights of feature spaces ("bands") that each target chooses among candidates.

With Gram matrices K_b of the bands, a candidate g >= 0 and centred responses y, the model is

    f(x) = sum_b g_b k_b(x, X) a,    a = (sum_b g_b K_b + alpha * scale * I)^-1 y,

which is ridge with penalty alpha * scale / g_b on band b (Dupre la Tour et al. 2022,
NeuroImage 264:119728, equations 7 to 9). Given candidate and penalty it is exact; each target
takes the pair with the least squared error over inner folds of the training images, as
himalaya's random search does (a test compares them). A hundred candidates are chosen for each
target, so the loop keeps one eigendecomposition per candidate and inner fold and projects the
responses on it: n^3 + n^2 targets operations, instead of n^3 for every penalty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float64
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.errors import DataError
from neuroattn.encoding.solvers import InnerFolds, Solution

Floats = NDArray[np.float64]
FILE = "grams.bin"
_GB = 1e9


@dataclass(frozen=True)
class Grams:
    """Gram matrices of bands over training images, of features that are centred over the rows.

    Parameters
    ----------
    values : (bands, images, images), in memory or mapped from a file.
    rows : (rows,) image of each training row.
    norms : (bands,) what each was divided by; 0 for a band that does not vary.
    """

    values: NDArray[np.floating]
    rows: NDArray[np.int64]
    norms: Floats

    def mix(self, weights: Floats) -> Float64[Tensor, "rows rows"]:
        """Weighted sum of the bands over the rows, read one at a time."""
        total = torch.zeros(self.values.shape[1:], dtype=torch.float64)
        for band in np.flatnonzero(weights):
            total += float(weights[band]) * torch.from_numpy(self.values[band].astype(np.float64))
        if len(self.rows) == len(total) and bool((np.diff(self.rows) == 1).all()):
            return total
        return total[self.rows][:, self.rows]

    def raw(self, weights: Floats) -> Floats:
        """Weights (bands, targets) of the bands before they were normalised."""
        inverse = np.divide(1.0, self.norms, out=np.zeros_like(self.norms), where=self.norms > 0)
        return np.asarray(weights * inverse[:, None])


def collect(
    bands: Iterator[Tensor], count: int, rows: NDArray[np.int64], *, work: Path, limit_gb: float
) -> Grams:
    """Grams (images, images) with trace ``rows`` as they come, kept in memory or in a file.

    Raises
    ------
    DataError : no band varies over the training rows.
    """
    counts = np.bincount(rows)
    values: NDArray[np.floating] = np.empty(0)
    norms = np.zeros(count)
    for band, gram in enumerate(bands):
        if band == 0:
            values = allocate((count, *gram.shape), gram.dtype, work, limit_gb)
        whole = gram.to("cpu", torch.float64).numpy()
        norms[band] = float(counts @ np.diagonal(whole)) / len(rows)
        if norms[band] > 0:
            values[band] = whole / norms[band]
    check_varies(norms)
    return Grams(values, rows, norms)


def check_varies(norms: Floats) -> None:
    """Raise DataError where no band varies over the training rows."""
    if not norms.any():
        raise DataError(
            "no feature varies over the training images",
            expected="features that differ between images",
            found="constant features in every layer",
            fix="check the images and the backbone",
        )


def allocate(
    shape: tuple[int, ...], dtype: torch.dtype, work: Path, limit_gb: float
) -> NDArray[np.floating]:
    """Zeros in memory, or in a file in ``work`` where they take more than ``limit_gb``."""
    kind = np.float64 if dtype is torch.float64 else np.float32
    if np.dtype(kind).itemsize * np.prod(shape, dtype=float) <= limit_gb * _GB:
        return np.zeros(shape, dtype=kind)
    work.mkdir(parents=True, exist_ok=True)
    return np.memmap(work / FILE, dtype=kind, mode="w+", shape=shape)


def centre(gram: Float64[Tensor, "n n"]) -> Float64[Tensor, "n n"]:
    """Inner products of features less their mean over the rows."""
    mean = gram.mean(0)
    return gram - mean - mean[:, None] + mean.mean()


@dataclass(frozen=True)
class Chosen:
    """The best candidate and penalty of each target, fitted on all training rows.

    Parameters
    ----------
    candidate : (targets,) index of the candidate.
    weights : (bands, targets) its weights of the normalised bands.
    solution : dual coefficients (rows, targets), intercept, penalties, inner correlation.
    """

    candidate: NDArray[np.int64]
    weights: Floats
    solution: Solution


def choose(
    grams: Grams,
    candidates: Floats,
    responses: Float[Tensor, "rows targets"],
    alphas: Floats,
    folds: InnerFolds,
    *,
    batch: int,
) -> Chosen:
    """The candidate (candidates, bands) and penalty with the least inner error, each target.

    Of equal candidates the first wins. Memory: about six (rows, rows) matrices beside the Grams.
    """
    responses = responses.to("cpu", torch.float64)
    targets = responses.shape[1]
    least = torch.full((targets,), torch.inf, dtype=torch.float64)
    r, place = torch.zeros(targets, dtype=torch.float64), torch.zeros(2, targets, dtype=torch.long)
    for index, weights in enumerate(candidates):
        error, correlation = _inner(grams.mix(weights), responses, alphas, folds, batch)
        best, penalty = error.min(0)
        # Rounding must not decide between candidates that are the same kernel.
        better = best < least * (1 - 1e-9)
        least = torch.where(better, best, least)
        r = torch.where(better, correlation.gather(0, penalty[None])[0], r)
        new = torch.stack([torch.full_like(penalty, index), penalty])
        place = torch.where(better, new, place)
    solution = _fit(grams, candidates, responses, alphas, place)
    candidate = place[0].numpy()
    found = Solution(*solution, alpha=alphas[place[1].numpy()], r_selection=r.numpy())
    return Chosen(candidate, candidates[candidate].T.copy(), found)


def _inner(
    gram: Float64[Tensor, "rows rows"],
    responses: Float64[Tensor, "rows targets"],
    alphas: Floats,
    folds: InnerFolds,
    batch: int,
) -> tuple[Float64[Tensor, "alphas targets"], Float64[Tensor, "alphas targets"]]:
    """Squared error and correlation on validation rows, averaged over inner folds."""
    shape = (len(alphas), responses.shape[1])
    error, r = torch.zeros(shape, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
    scale = float(gram.trace()) / len(gram)
    for train, held_out in folds:
        values, vectors = _decomposed(centre(gram[train][:, train]))
        across = gram[held_out][:, train]
        projected = (across - across.mean(1, keepdim=True) - _offset(gram, train)) @ vectors
        for start in range(0, shape[1], batch):
            part = slice(start, start + batch)
            seen, truth = responses[train, part], responses[held_out, part]
            mean = seen.mean(0)
            spectrum = vectors.T @ (seen - mean)
            for row, alpha in enumerate(alphas):
                predicted = projected @ (spectrum / (values[:, None] + alpha * scale)) + mean
                error[row, part] += (predicted - truth).square().mean(0)
                r[row, part] += _correlation(predicted, truth)
    return error / len(folds), r / len(folds)


def _offset(gram: Float64[Tensor, "n n"], train: NDArray[np.int64]) -> Float64[Tensor, " train"]:
    """What centring on the training rows takes from each of their columns."""
    mean = gram[train][:, train].mean(0)
    return mean - mean.mean()


def _fit(
    grams: Grams,
    candidates: Floats,
    responses: Float64[Tensor, "rows targets"],
    alphas: Floats,
    place: Tensor,
) -> tuple[Tensor, Floats]:
    """Dual coefficients (rows, targets) on all rows, and intercepts (targets,)."""
    mean = responses.mean(0)
    weights = torch.zeros_like(responses)
    for index in np.unique(place[0].numpy()).tolist():
        mine = torch.nonzero(place[0] == index)[:, 0]
        gram = grams.mix(candidates[index])
        values, vectors = _decomposed(gram)
        penalty = torch.from_numpy(alphas)[place[1, mine]] * float(gram.trace()) / len(gram)
        spectrum = vectors.T @ (responses[:, mine] - mean[mine])
        weights[:, mine] = vectors @ (spectrum / (values[:, None] + penalty))
    return weights, mean.numpy()


def _decomposed(gram: Float64[Tensor, "n n"]) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(gram)
    return values.clamp_min(0.0), vectors


def _correlation(predicted: Tensor, truth: Tensor) -> Float[Tensor, " targets"]:
    one, other = predicted - predicted.mean(0), truth - truth.mean(0)
    spread = (one.square().sum(0) * other.square().sum(0)).sqrt()
    return torch.where(spread > 0, (one * other).sum(0) / spread.clamp_min(1e-300), 0.0)


def shares(grams: Grams, weights: Floats, dual: Float64[Tensor, "images targets"]) -> Floats:
    """Share of each band (bands, targets) in the variance that is predicted on training rows.

    The product measure: cov(f_b, f) / var(f) for the band's part f_b of the prediction f; the
    shares of a target sum to 1, and one of correlated bands can be negative. 0 where nothing
    is predicted.
    """
    parts = np.stack(
        [
            weights[band] * (torch.from_numpy(gram.astype(np.float64)) @ dual).numpy()
            for band, gram in enumerate(grams.values)
        ]
    )
    whole, counts = parts.sum(0), np.bincount(grams.rows)
    variance = counts @ np.square(whole)
    product = np.einsum("i,bit,it->bt", counts, parts, whole)
    zeros = np.zeros_like(product)
    return np.asarray(np.divide(product, variance, out=zeros, where=variance > 0))
