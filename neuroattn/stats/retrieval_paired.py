"""Which of two decoders retrieves better? The same test images, resampled together.

Two intervals that overlap say little of a difference: easy images are easy for both decoders.
Here the difference is taken within each query before anything is resampled, so what is common to
both falls out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.stats.bootstrap import percentile_interval
from neuroattn.stats.retrieval import NOT_PAIRED, bootstrap, expected_accuracy, hits

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Statistic:
    """One way to count a query: among the first ``k``, of all images or of ``ways`` of them."""

    k: int = 1
    ways: int | None = None

    @property
    def name(self) -> str:
        """``top 1``, or ``2-way``."""
        return f"top {self.k}" if self.ways is None else f"{self.ways}-way"

    def of(self, rank: Ints, rivals: int) -> Floats:
        """How far each query succeeds (queries,): 0 or 1, or the share of all galleries.

        Parameters
        ----------
        rank : (queries,) rivals at least as similar as the own item.
        rivals : items beside the own one.

        Raises
        ------
        ValueError : the gallery is smaller than ``ways``.
        """
        if self.ways is None:
            return hits(rank, self.k)
        kinds, place = np.unique(rank, return_inverse=True)
        each = [
            np.nan
            if kind == NOT_PAIRED
            else expected_accuracy(np.array([kind]), rivals, self.ways, self.k)
            for kind in kinds
        ]
        return np.asarray(np.array(each, dtype=np.float64)[place])


@dataclass(frozen=True)
class Paired:
    """Two accuracies, averaged over subjects, and their difference with its 95 % interval."""

    first: float
    second: float
    low: float
    high: float
    subjects: int

    @property
    def difference(self) -> float:
        """The first less the second."""
        return self.first - self.second


def paired_difference(
    first: Mapping[str, Floats],
    second: Mapping[str, Floats],
    images: Mapping[str, NDArray[Any]],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Paired:
    """Difference of two decoders over other images, then over other subjects.

    A draw takes the same images (and, of several, the same subjects) for both decoders. With
    several seeds of a decoder, give the mean over seeds of each query.

    Parameters
    ----------
    first, second : subject -> (queries,) as `Statistic.of` counts them, in the order of
        ``images``; NaN is no query.
    images : subject -> (queries,) ids.

    Raises
    ------
    ValueError : the decoders have no subjects, or not the same subjects and queries.
    """
    if not first or set(first) != set(second) or set(first) != set(images):
        raise ValueError(f"subjects {sorted(first)}, {sorted(second)} and {sorted(images)}")
    names = list(first)
    shapes = [(len(first[name]), len(second[name]), len(images[name])) for name in names]
    if any(len(set(lengths)) > 1 for lengths in shapes):
        raise ValueError(f"the decoders answered other numbers of queries: {shapes}")
    apart = [first[name] - second[name] for name in names]
    drawn = bootstrap(apart, [images[name] for name in names], draws=draws, seed=seed)
    low, high = percentile_interval(drawn)
    means = [float(np.mean([np.nanmean(side[name]) for name in names])) for side in (first, second)]
    return Paired(means[0], means[1], float(low), float(high), len(names))
