"""How selective each target is between two groups of pictures, and how two such maps agree.

For a localiser run on predicted responses: a prediction has no measurement noise, so its t value
grows with every picture that is added and says nothing about how large a difference is. Beside t
stands the difference itself, in standard deviations of the measured responses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

DRAWS = 32  # bootstrap draws whose maps are held at a time


@dataclass(frozen=True)
class Selectivity:
    """Two maps (..., targets) of one contrast: the difference of means, and Welch's t of it."""

    difference: Floats
    t: Floats


@dataclass(frozen=True)
class Agreement:
    """A number with its 95 % interval over pictures; NaN where it is not defined."""

    value: float
    low: float
    high: float


def selectivity(values: Floats, inside: Mask) -> Selectivity:
    """Difference of means and Welch's t of every target between pictures inside and outside.

    Parameters
    ----------
    values : (pictures, targets).
    inside : (pictures,).

    Raises
    ------
    ValueError : a group has fewer than two pictures.
    """
    if min(inside.sum(), (~inside).sum()) < 2:
        raise ValueError("a contrast needs two pictures on either side")
    weights = [side.astype(np.float64)[None] for side in (inside, ~inside)]
    found = _between(values, weights[0], weights[1])
    return Selectivity(found.difference[0], found.t[0])


def _between(values: Floats, first: Floats, second: Floats) -> Selectivity:
    """Maps (draws, targets) for weights (draws, pictures): how often a picture is in a group."""
    means, errors = [], []
    for weight in (first, second):
        count = weight.sum(1, keepdims=True)
        mean = weight @ values / count
        spread = np.maximum(weight @ values**2 / count - mean**2, 0.0)
        means.append(mean)
        errors.append(spread / (count - 1))  # unbiased variance over the number of pictures
    difference = means[0] - means[1]
    error = np.sqrt(errors[0] + errors[1])
    t = np.divide(difference, error, out=np.full_like(error, np.nan), where=error > 0)
    return Selectivity(difference, t)


def resampled(values: Floats, inside: Mask, draws: int, seed: int) -> Iterator[Selectivity]:
    """Maps of ``draws`` bootstraps of the pictures, some at a time; each group keeps its size."""
    random = np.random.default_rng(seed)
    for start in range(0, draws, DRAWS):
        count = min(DRAWS, draws - start)
        sides = []
        for side in (inside, ~inside):
            weight = np.zeros((count, len(inside)))
            number = int(side.sum())
            weight[:, side] = random.multinomial(number, np.full(number, 1 / number), size=count)
            sides.append(weight)
        yield _between(values, sides[0], sides[1])


def correlations(maps: Floats, other: Floats) -> Floats:
    """Pearson's r (draws,) of maps (draws, targets) with one map (targets,), where both are known.

    A target that is unknown in any draw is left out of all.
    """
    known = np.isfinite(maps).all(0) & np.isfinite(other)
    if known.sum() < 3:
        return np.full(len(maps), np.nan)
    a = maps[:, known] - maps[:, known].mean(1, keepdims=True)
    b = other[known] - other[known].mean()
    norm = np.sqrt((a**2).sum(1) * (b**2).sum())
    none = np.full(len(maps), np.nan)
    return np.asarray(np.divide(a @ b, norm, out=none, where=norm > 0), dtype=np.float64)


def areas(maps: Floats, members: Mask) -> Floats:
    """Area (draws,) under the ROC curve: how often a member is more selective than another target.

    Ties count half; 0.5 is chance (Mann and Whitney's U over the number of pairs).

    Parameters
    ----------
    maps : (draws, targets); a target unknown in any draw is left out.
    members : (targets,) the targets of a region.
    """
    known = np.isfinite(maps).all(0)
    inside, others = int((known & members).sum()), int((known & ~members).sum())
    if not inside or not others:
        return np.full(len(maps), np.nan)
    ranks = rankdata(maps[:, known], axis=1)
    total = ranks[:, members[known]].sum(1)
    return np.asarray((total - inside * (inside + 1) / 2) / (inside * others))


def with_interval(value: float, drawn: Floats, most: float = np.inf) -> Agreement:
    """A number with the middle 95 % of its bootstrap draws, moved so that they are around it.

    Drawing pictures again adds their noise to a map a second time, so that every draw agrees
    less than the map itself and percentiles would lie below the number that they are of.

    Parameters
    ----------
    most : the largest value that there can be.
    """
    if not np.isfinite(drawn).any():
        return Agreement(value, float("nan"), float("nan"))
    low, high = np.nanquantile(drawn, [0.025, 0.975]) + value - np.nanmean(drawn)
    return Agreement(value, float(low), float(min(high, most)))
