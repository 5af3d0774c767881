"""Sets of pictures by their features: how real, how different, how near to known ones.

Rows are pictures, columns features. Distances between sets need more pictures than features, so
features are first brought to the leading directions of real pictures (`leading`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator

Floats = NDArray[np.float64]
Array = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class Leading:
    """Leading directions of real pictures: ``mean`` (features,) and ``basis`` (features, count)."""

    mean: Floats
    basis: Floats

    def __call__(self, rows: Array) -> Floats:
        """Coordinates (pictures, count)."""
        return np.asarray((np.asarray(rows, dtype=np.float64) - self.mean) @ self.basis)


def leading(real: Array, count: int) -> Leading:
    """The directions in which ``real`` (pictures, features) vary most, at most ``count``."""
    rows = np.asarray(real, dtype=np.float64)
    mean = rows.mean(0)
    _, _, directions = np.linalg.svd(rows - mean, full_matrices=False)
    return Leading(mean, directions[: min(count, len(rows) - 1)].T)


def frechet(first: Array, second: Array) -> float:
    """Fréchet distance of two normal distributions fitted to (pictures, features) each.

    ``|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2))`` (Dowson and Landau 1982; Heusel et al. 2017,
    equation 6). It grows as sets get smaller, so only sets of one size may be compared.

    Raises
    ------
    ValueError : a set of fewer than two pictures, or other features.
    """
    if min(len(first), len(second)) < 2 or first.shape[1] != second.shape[1]:
        raise ValueError(f"no distance between {first.shape} and {second.shape}")
    one, two = (np.asarray(rows, dtype=np.float64) for rows in (first, second))
    spreads = [np.atleast_2d(np.cov(rows, rowvar=False)) for rows in (one, two)]
    root = _root(spreads[0])
    # S1 S2 has the eigenvalues of the symmetric root(S1) S2 root(S1).
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ spreads[1] @ root), 0, None)).sum()
    means = np.square(one.mean(0) - two.mean(0)).sum()
    return float(max(0.0, means + np.trace(spreads[0]) + np.trace(spreads[1]) - 2 * shared))


def _root(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T)


def diversity(rows: Array) -> float:
    """Mean of 1 - cosine over all pairs of (pictures, features); NaN for a single picture."""
    if len(rows) < 2:
        return float("nan")
    unit = _unit(rows)
    total = float(np.square(unit.sum(0)).sum()) - len(unit)
    return 1 - total / (len(unit) * (len(unit) - 1))


def nearest(rows: Array, known: Array) -> tuple[Floats, NDArray[np.int64]]:
    """1 - cosine to the nearest of ``known`` (pictures,), and which one it is."""
    cosine = _unit(rows) @ _unit(known).T
    best = cosine.argmax(1)
    return np.clip(1 - cosine[np.arange(len(best)), best], 0, None), best


def nearest_pixels(pictures: Array, known: Array) -> Floats:
    """Root mean squared difference to the nearest of ``known``; 0 is a copy.

    Parameters
    ----------
    pictures, known : (pictures, …) of one size, any unit.
    """
    flat = np.asarray(pictures, dtype=np.float64).reshape(len(pictures), -1)
    there = np.asarray(known, dtype=np.float64).reshape(len(known), -1)
    best = [float(np.square(there - row).mean(1).min()) for row in flat]
    return np.sqrt(best)


def _unit(rows: Array) -> Floats:
    table = np.asarray(rows, dtype=np.float64)
    size = np.linalg.norm(table, axis=1, keepdims=True)
    return table / np.where(size > 0, size, 1)


def draws_of(count: int, draws: int, seed: int) -> NDArray[np.int64]:
    """Rows (draws, count) of a bootstrap: the same for every set of so many pictures."""
    return generator(seed, "pictures", str(count)).integers(count, size=(draws, count))


def mean_and_interval(
    values: Array, draws: int = 1000, seed: int = 0, level: float = 0.95
) -> tuple[float, float, float]:
    """Mean of pictures' values and its bootstrap interval; missing values are left out.

    Paired differences are handed over as values: a seed is drawn with both of its pictures.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if len(known) < 2:
        mean = float(known[0]) if len(known) else float("nan")
        return mean, float("nan"), float("nan")
    means = known[draws_of(len(known), draws, seed)].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(known.mean()), float(low), float(high)


def jackknife(
    statistic: Callable[[NDArray[np.int64]], float], count: int, groups: int = 50
) -> tuple[float, float, float]:
    """A number of a set of pictures with its 95 % interval, each picture left out in turn.

    A bootstrap draws pictures twice, and a set with copies is less diverse and farther from
    others than any real one. Large sets leave out one of ``groups`` groups at a time (Efron and
    Stein 1981; the normal interval).

    Parameters
    ----------
    statistic : rows (some,) -> the number.
    """
    rows = np.arange(count)
    value = statistic(rows)
    parts = min(groups, count)
    if parts < 3 or not np.isfinite(value):
        return value, float("nan"), float("nan")
    without = np.array([statistic(rows[rows % parts != one]) for one in range(parts)])
    error = np.sqrt((parts - 1) / parts * np.square(without - without.mean()).sum())
    return value, float(value - 1.96 * error), float(value + 1.96 * error)


def best_scale(
    scales: Array, reached: Array, realism: Array | None = None, limit: float = 1.1
) -> float:
    """The scale that reached most while pictures stayed real; NaN where none did.

    Parameters
    ----------
    scales, reached : (scales,) with the mean activation at each; NaN takes no part.
    realism : (scales,) Fréchet distance over that of the unguided pictures; None asks nothing.
    """
    fair = np.isfinite(reached)
    if realism is not None:
        fair &= np.asarray(realism) <= limit
    if not fair.any():
        return float("nan")
    return float(np.asarray(scales)[fair][np.argmax(np.asarray(reached)[fair])])
