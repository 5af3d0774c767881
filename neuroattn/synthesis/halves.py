"""Every set on each half of its seeds, so that a scale is chosen on some and reported on others.

Even seeds are one half, odd ones the other, whatever their number: sets of several runs, drawn
from the same seeds at other scales, have the same halves. Each row holds the guided pictures and
the unguided ones of the very same seeds, so realism is a ratio of sets of one size.

==========================  =====================================================================
measure                     of the pictures of one half
==========================  =====================================================================
guide, judge                mean predicted activation
guide_gain, judge_gain      less the unguided pictures of the same seeds
realism                     Fréchet distance to training pictures over that of the unguided ones
diversity                   1 - cosine over all pairs
==========================  =====================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.stats.pictures import diversity, frechet, jackknife, leading
from neuroattn.stats.pictures import mean_and_interval as interval
from neuroattn.synthesis.evaluate import NONE, Reference, Seen

HALVES: Final = ("objective", "method", "half", "measure", "value", "low", "high", "n")
EVEN, ODD, ALL = "even", "odd", "all"
_FEWEST = 4  # pictures for a distance of sets
_BY = ("guide", "judge")
Row = tuple[Any, ...]


def half_table(
    made: pd.DataFrame, seen: Seen, reference: Reference | None, directions: int, draws: int
) -> pd.DataFrame:
    """Measures of each half of every set (`HALVES`), unguided sets included.

    Parameters
    ----------
    made : as of `evaluate.picture_table`.
    """
    real = None if reference is None else reference.features
    found: list[Row] = []
    for objective, rows in made.groupby("objective", sort=False):
        none = rows[rows["method"] == NONE].set_index("seed")
        for method, own in rows.groupby("method", sort=False):
            for half, part in _halves(own.set_index("seed")):
                head, plain = (
                    (objective, method, half),
                    none.loc[none.index.intersection(part.index)],
                )
                found += [(*head, *row) for row in _activation(part, plain, draws)]
                found += [(*head, *row) for row in _of_sets(part, plain, seen, real, directions)]
    return pd.DataFrame(found, columns=list(HALVES))


def _halves(own: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    odd = own.index.to_numpy(dtype=np.int64) % 2 == 1
    for half, rows in ((EVEN, ~odd), (ODD, odd), (ALL, np.ones(len(own), dtype=bool))):
        if rows.any():
            yield half, own[rows]


def _activation(own: pd.DataFrame, none: pd.DataFrame, draws: int) -> Iterator[Row]:
    both = own.index.intersection(none.index)
    for by in _BY:
        values = own[by].to_numpy(dtype=np.float64)
        change = own.loc[both, by].to_numpy(dtype=np.float64) - none.loc[both, by].to_numpy(
            dtype=np.float64
        )
        for name, numbers in ((by, values), (f"{by}_gain", change)):
            if np.isfinite(numbers).any():
                yield (name, *interval(numbers, draws), int(np.isfinite(numbers).sum()))


def _of_sets(
    own: pd.DataFrame,
    none: pd.DataFrame,
    seen: Seen,
    real: NDArray[np.float64] | None,
    directions: int,
) -> Iterator[Row]:
    features = seen.features[own["row"].to_numpy()]
    yield "diversity", *jackknife(lambda rows: diversity(features[rows]), len(features)), len(own)
    both = own.index.intersection(none.index)
    if real is None or min(len(both), len(real)) < _FEWEST:
        return
    to = leading(real, directions)
    sets = [to(seen.features[one.loc[both, "row"].to_numpy()]) for one in (own, none)]
    known = to(real)

    def ratio(rows: NDArray[np.int64]) -> float:
        distances = [frechet(one[rows], known) for one in sets]
        return distances[0] / distances[1] if distances[1] > 0 else float("nan")

    yield "realism", *jackknife(ratio, len(both)), len(both)
