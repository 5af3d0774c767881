"""How well is a score known? Bootstrap over test images.

Images are drawn with replacement within each fold, the same draw at all targets. All repeats
of an image come with it, because responses are averaged over repeats before: the image is the
cluster. The intervals speak of other images for the same subjects and targets.

**Cost.** A draw is a vector of counts per image, so that the weighted sums of all draws are five
matrix products (draws x images) by (images x targets).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.stats.correlation import centred, fold_average

Array = NDArray[np.floating]
Floats = NDArray[np.float64]
_ROUNDING = 1e-12  # share of a mean square
BLOCK = 256  # targets at a time: five tables of (draws, BLOCK) float64


def bootstrap_r(
    predicted: Array,
    measured: Array,
    fold: NDArray[np.integer],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> Iterator[tuple[slice, Floats]]:
    """Yield (targets, r (draws, targets)): Pearson r of every draw, averaged over folds.

    A prediction that does not vary scores 0, since it explains nothing. Folds in which the measured
    response does not vary, or a value is missing, are passed over; where none is left, r is NaN.

    Parameters
    ----------
    predicted, measured : (rows, targets), one row per test image.
    fold : (rows,) fold of each row.

    Raises
    ------
    ValueError : shapes disagree.
    """
    if predicted.shape != measured.shape or len(fold) != len(predicted):
        raise ValueError(f"shapes disagree: {predicted.shape}, {measured.shape}, {len(fold)}")
    rows = [np.flatnonzero(fold == index) for index in np.unique(fold)]
    counts = [_counts(len(members), draws, seed, k) for k, members in enumerate(rows)]
    targets = predicted.shape[1]
    for start in range(0, targets, BLOCK):
        part = slice(start, min(start + BLOCK, targets))
        r = [
            _weighted_r(predicted[m, part], measured[m, part], weight)
            for m, weight in zip(rows, counts, strict=True)
        ]
        yield part, fold_average(np.stack(r))


def _counts(length: int, draws: int, seed: int, fold: int) -> Floats:
    """How often each image is drawn, as shares (draws, length) that sum to 1."""
    rng = generator(seed, "bootstrap", fold)
    return rng.multinomial(length, np.full(length, 1 / length), size=draws) / length


def _weighted_r(x: Array, y: Array, weight: Floats) -> Floats:
    """Pearson r (draws, targets) of columns under weights (draws, rows) that sum to 1."""
    x, y = centred(x.astype(np.float64)), centred(y.astype(np.float64))  # or the sums cancel
    mean_x, mean_y = weight @ x, weight @ y
    covariance = weight @ (x * y) - mean_x * mean_y
    varies_x, varies_y = _variance(x, mean_x, weight), _variance(y, mean_y, weight)
    spread = varies_x * varies_y
    with np.errstate(invalid="ignore", divide="ignore"):
        r = np.where(varies_x == 0, 0.0, covariance / np.sqrt(spread))
        return np.where(varies_y > 0, r, np.nan)


def _variance(values: Floats, mean: Floats, weight: Floats) -> Floats:
    """Variance (draws, columns) under weights; 0 where only rounding is left of it."""
    square = weight @ values**2
    found = square - mean**2
    return np.where(found <= _ROUNDING * square, 0.0, found)


def percentile_interval(draws: Array, level: float = 0.95) -> tuple[Floats, Floats]:
    """Lower and upper ends over the first axis; NaN where any draw is undefined."""
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [tail, 1 - tail], axis=0)
    return low, high
