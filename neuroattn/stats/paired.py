"""Which of two models predicts better? Paired tests over the same test images.

**Permutation.** Under the null hypothesis the two predictions of an image may be exchanged once
both are standardised within the fold, since r does not see their scale. A draw exchanges the
models at the same random images for all targets, and the difference of the two correlations is
computed anew, standardisation included. For jointly normal predictions of equal accuracy and unit
variance the exchange leaves the joint distribution as it is, so the test has its level whatever
the correlation between the two models.

**Cost.** With ``s`` = +1 or -1 for kept or exchanged, ``m`` the mean and ``h`` half the difference
of the standardised predictions, the exchanged ones are ``m + s h`` and ``m - s h``. All sums that r
needs are constants and the three products of the signs (draws x images) with ``h y``, ``h`` and
``m h`` (images x targets): six ``draws * images * targets`` operations in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator

Array = NDArray[np.floating]
Floats = NDArray[np.float64]
BLOCK = 256  # targets at a time: a handful of tables (draws, BLOCK) float64
_ROUNDING = 1e-12


@dataclass(frozen=True, eq=False)
class Exchanged:
    """Differences of some targets, as they are and after exchanging the models.

    Parameters
    ----------
    part : the targets.
    observed : (targets,) r of the first model less that of the second, averaged over folds; NaN
        where a prediction is missing or the measured response never varies.
    null : (draws, targets) the same after each exchange.
    """

    part: slice
    observed: Floats
    null: Floats

    @property
    def p(self) -> Floats:
        """Two-sided p (targets,); the observed difference is a draw of its own null."""
        return two_sided(self.observed, self.null)


def two_sided(observed: Array, null: Array) -> Floats:
    """P value (targets,) of differences against a null sample (draws, targets)."""
    reached = np.abs(null) >= np.abs(observed) - _ROUNDING
    p = (1.0 + reached.sum(0)) / (1.0 + len(null))
    return np.where(np.isnan(observed), np.nan, p)


def exchange_models(
    first: Array,
    second: Array,
    measured: Array,
    fold: NDArray[np.integer],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Iterator[Exchanged]:
    """Yield the differences of blocks of targets under random exchanges of two models.

    Parameters
    ----------
    first, second, measured : (rows, targets), one row per test image.
    fold : (rows,) fold of each row; every fold has models of its own.

    Raises
    ------
    ValueError : shapes disagree.
    """
    shapes = {first.shape, second.shape, measured.shape}
    if len(shapes) > 1 or len(fold) != len(measured):
        raise ValueError(f"shapes disagree: {shapes}, {len(fold)} rows with a fold")
    rows = [np.flatnonzero(fold == index) for index in np.unique(fold)]
    signs = [_signs(len(members), draws, seed, k) for k, members in enumerate(rows)]
    targets = measured.shape[1]
    for start in range(0, targets, BLOCK):
        part = slice(start, min(start + BLOCK, targets))
        folds = [
            _fold_differences(first[m, part], second[m, part], measured[m, part], sign)
            for m, sign in zip(rows, signs, strict=True)
        ]
        mean = _mean_of_defined(np.stack(folds))
        yield Exchanged(part, mean[0], mean[1:])


def _signs(length: int, draws: int, seed: int, fold: int) -> Floats:
    """+1 where an image keeps its models, -1 where they are exchanged: (draws + 1, length).

    The first row keeps all: it gives the observed difference.
    """
    drawn = generator(seed, "exchange", fold).integers(0, 2, size=(draws, length))
    return np.vstack([np.ones((1, length)), 2.0 * drawn - 1.0])


def _fold_differences(first: Array, second: Array, measured: Array, signs: Floats) -> Floats:
    """Difference of r (1 + draws, targets) within one fold."""
    a, b, y = _unit(first), _unit(second), _unit(measured)
    middle, half = (a + b) / 2, (a - b) / 2
    together = (middle * y).sum(0)
    apart = signs @ (half * y)
    moved = np.square(signs @ half) / len(y)  # what the changed mean takes from the sum of squares
    shared = (np.square(middle) + np.square(half)).sum(0) - moved
    cross = 2 * (signs @ (middle * half))
    varies = np.square(y).sum(0) > 0
    r = _over_root(together + apart, shared + cross), _over_root(together - apart, shared - cross)
    return np.where(varies, r[0] - r[1], np.nan)


def _unit(values: Array) -> Floats:
    """Centred columns of length 1 (rows, targets); 0 where constant, NaN where one value is."""
    centred = values - values.mean(0, dtype=np.float64)
    length = np.sqrt(np.square(centred).sum(0))
    small = length <= 1e-7 * np.abs(values).max(0, initial=0.0) * np.sqrt(len(values))
    return np.asarray(np.where(small, 0.0, centred / np.where(small, 1.0, length)))


def _over_root(numerator: Floats, squared: Floats) -> Floats:
    """A correlation; 0 for a prediction that does not vary, which explains nothing."""
    flat = squared <= _ROUNDING
    return np.asarray(np.where(flat, 0.0, numerator / np.sqrt(np.where(flat, 1.0, squared))))


def _mean_of_defined(folds: Floats) -> Floats:
    """Mean over the first axis of what is defined; NaN where nothing is."""
    known = ~np.isnan(folds)
    count = known.sum(0)
    total = np.where(known, folds, 0.0).sum(0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan))
