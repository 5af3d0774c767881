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

Array = NDArray[np.floating]
Floats = NDArray[np.float64]
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
        yield part, np.mean(r, axis=0)


def _counts(length: int, draws: int, seed: int, fold: int) -> Floats:
    """How often each image is drawn, as shares (draws, length) that sum to 1."""
    rng = generator(seed, "bootstrap", fold)
    return rng.multinomial(length, np.full(length, 1 / length), size=draws) / length


def _weighted_r(x: Array, y: Array, weight: Floats) -> Floats:
    """Pearson r (draws, targets) of columns under weights (draws, rows) that sum to 1."""
    x = x - x.mean(0, dtype=np.float64)  # centred first, so that the sums do not cancel
    y = y - y.mean(0, dtype=np.float64)
    mean_x, mean_y = weight @ x, weight @ y
    covariance = weight @ (x * y) - mean_x * mean_y
    spread = (weight @ x**2 - mean_x**2) * (weight @ y**2 - mean_y**2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, covariance / np.sqrt(spread), np.nan)


def percentile_interval(draws: Array, level: float = 0.95) -> tuple[Floats, Floats]:
    """Lower and upper ends over the first axis; NaN where any draw is undefined."""
    tail = (1 - level) / 2
    low, high = np.quantile(np.asarray(draws, dtype=np.float64), [tail, 1 - tail], axis=0)
    return low, high
