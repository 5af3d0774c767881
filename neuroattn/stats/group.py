"""From subjects to the population: the mean over subjects, and how many would show an effect.

Few subjects with much data each are the rule in this field. A mean over four subjects says little
about the next one; the *prevalence* of an effect that is tested within each subject does say how
common it is, with its uncertainty (Ince, Paton, Kay & Schyns 2021, eLife 10:e62461).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betainc, betaincinv, stdtrit

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A value with the ends of its 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def over_subjects(values: Floats, level: float = 0.95) -> Estimate:
    """Mean over subjects (subjects,) with Student's t interval; it needs two or more.

    Subjects without a value (NaN) are left out.
    """
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not known.size:
        return Estimate(math.nan, math.nan, math.nan)
    mean = float(known.mean())
    if known.size < 2:
        return Estimate(mean, math.nan, math.nan)
    error = float(known.std(ddof=1)) / math.sqrt(known.size)
    reach = float(stdtrit(known.size - 1, 0.5 + level / 2)) * error
    return Estimate(mean, mean - reach, mean + reach)


@dataclass(frozen=True, eq=False)
class SeedTable:
    """One figure of several subjects and several seeds.

    Parameters
    ----------
    subjects, seeds : rows and columns.
    values : (subjects, seeds), NaN where there is no such run.
    """

    subjects: Sequence[str]
    seeds: Sequence[int]
    values: Floats

    @property
    def mean(self) -> Floats:
        """Mean over the seeds of each subject (subjects,)."""
        known = np.isfinite(self.values)
        total = np.where(known, self.values, 0.0).sum(axis=1)
        return np.asarray(np.where(known.any(axis=1), total / known.sum(axis=1).clip(1), np.nan))

    @property
    def sd(self) -> Floats:
        """Standard deviation over the seeds of each subject (subjects,); NaN with fewer than two.

        It tells how much a figure depends on the start of training, and nothing of other images
        or subjects.
        """
        known = np.isfinite(self.values)
        count = known.sum(axis=1)
        squares = np.where(known, self.values - self.mean[:, None], 0.0) ** 2
        spread = np.sqrt(squares.sum(axis=1) / (count - 1).clip(1))
        return np.asarray(np.where(count > 1, spread, np.nan))

    @property
    def overall(self) -> Estimate:
        """Mean over subjects of their means over seeds, with the interval of `over_subjects`."""
        return over_subjects(self.mean)


def seed_table(values: Mapping[tuple[str, int], float]) -> SeedTable:
    """Arrange (subject, seed) -> value by subject and seed, both ascending."""
    subjects = sorted({subject for subject, _ in values})
    seeds = sorted({seed for _, seed in values})
    rows = [[values.get((subject, seed), math.nan) for seed in seeds] for subject in subjects]
    return SeedTable(subjects, seeds, np.array(rows, dtype=np.float64).reshape(len(rows), -1))


def prevalence(
    significant: int,
    subjects: int,
    *,
    alpha: float = 0.05,
    sensitivity: float = 1.0,
    level: float = 0.95,
) -> Estimate:
    """Share of the population that would show the effect, given tests within subjects.

    A subject's test is significant with probability ``alpha`` without the effect and
    ``sensitivity`` with it, so the share of significant tests lies between the two and is linear in
    the prevalence. Under a uniform prior its posterior is a truncated beta distribution.

    Parameters
    ----------
    significant, subjects : significant tests among so many.
    alpha : level of the test within a subject.
    sensitivity : its power; 1 makes the estimate a lower bound of the prevalence.
    level : mass of the interval of highest density.

    Returns
    -------
    The posterior's mode (MAP) and the ends of the interval.

    Raises
    ------
    ValueError : more significant tests than subjects, no subject, or ``alpha`` not below the power.
    """
    if not 0 <= significant <= subjects or subjects < 1:
        raise ValueError(f"{significant} of {subjects} subjects cannot be significant")
    if not 0 <= alpha < sensitivity <= 1:
        raise ValueError("the level of a test lies below its power, both between 0 and 1")
    share = _TruncatedBeta(significant + 1, subjects - significant + 1, alpha, sensitivity)
    mode = min(max(significant / subjects, alpha), sensitivity)
    low, high = share.densest(level)
    ends = ((value - alpha) / (sensitivity - alpha) for value in (mode, low, high))
    return Estimate(*ends)


@dataclass(frozen=True)
class _TruncatedBeta:
    """Beta(a, b) between ``bottom`` and ``top``."""

    a: float
    b: float
    bottom: float
    top: float

    def quantile(self, mass: float) -> float:
        below, upto = (float(betainc(self.a, self.b, end)) for end in (self.bottom, self.top))
        value = float(betaincinv(self.a, self.b, below + mass * (upto - below)))
        return min(max(value, self.bottom), self.top)

    def densest(self, level: float) -> tuple[float, float]:
        """The shortest interval that holds ``level``; with one mode it is the densest."""

        def width(tail: float) -> float:
            return self.quantile(tail + level) - self.quantile(tail)

        spare = 1 - level
        inside = float(minimize_scalar(width, bounds=(0, spare), method="bounded").x)
        tail = min((0.0, spare, inside), key=width)
        return self.quantile(tail), self.quantile(tail + level)
