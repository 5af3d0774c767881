"""Noise ceilings: how much of a measured response any model could explain.

A response is signal plus noise that is new on every trial. With signal variance S and noise
variance N of one trial, ``ncsnr = sqrt(S / N)``, and the mean over repeats of a set of images
has the ceiling

    nc = S / (S + k N) = ncsnr^2 / (ncsnr^2 + k),      k = mean over images of 1 / repeats,

a share of variance: the largest r^2 (Allen et al. 2022, Nat Neurosci 25:116, Methods). N is the
mean over images of the unbiased variance over repeats. S is the total variance less N: the total
is 1 for z-scores over all trials of a session, as NSD publishes them, and is estimated on every
other scale. ``1 - N`` would be wrong there: z-scores by training trials have no unit variance
elsewhere. Nothing here knows a split: give it the trials that may be seen.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.stats.correlation import pearson

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class Repeats:
    """Running sums over images for the variances of signal and noise of each target.

    Memory: three numbers a target, whatever the number of images. Squares are summed about 0 in
    float64: a mean of 10^5 standard deviations costs no accuracy that matters.

    Parameters
    ----------
    targets : number of targets.
    """

    def __init__(self, targets: int) -> None:
        self.images, self.repeated, self.trials = 0, 0, 0
        self._crowding = 0  # sum over images of repeats squared
        self._inverse = 0.0
        self._within, self._sums, self._squares = np.zeros((3, targets))

    def add(self, counts: Counts, sums: Floats, squares: Floats) -> None:
        """Add images: repeats (images,), sums and sums of squares (images, targets)."""
        number = counts.astype(np.float64)[:, None]
        several = counts > 1
        spread = _less(squares, np.square(sums) / number)[several]
        self._within += (spread / (number[several] - 1)).sum(0)
        self._sums += sums.sum(0)
        self._squares += squares.sum(0)
        self.images += len(counts)
        self.repeated += int(several.sum())
        self.trials += int(counts.sum())
        self._crowding += int(np.square(counts).sum())
        self._inverse += float((1.0 / counts).sum())

    @property
    def k(self) -> float:
        """Mean over images of 1 / repeats."""
        return self._inverse / self.images if self.images else float("nan")

    def noise_variance(self) -> Floats:
        """Mean over repeated images of the unbiased variance over repeats (targets,).

        NaN where no image was repeated.
        """
        if not self.repeated:
            return np.full(len(self._within), np.nan)
        return self._within / self.repeated

    def signal_variance(self, total: float | None = None) -> Floats:
        """Variance of the signal over images (targets,), 0 where noise explains it all.

        Parameters
        ----------
        total : variance of single trials where the scale fixes it (1 for z-scores over all
            trials of a session); None estimates it without bias from these trials.
        """
        noise = self.noise_variance()
        about = _less(self._squares, np.square(self._sums) / max(self.trials, 1))
        if total is not None:  # z-scores of a constant target are zeros, without that variance
            return np.where(about == 0, 0.0, np.maximum(total - noise, 0.0))
        # Trials of one image share its signal: the sum of squares about the grand mean expects
        # (trials - 1) N + (trials - crowding / trials) S.
        share = self.trials - self._crowding / max(self.trials, 1)
        if share <= 0:  # one image
            return np.full(len(about), np.nan)
        return np.maximum((about - (self.trials - 1) * noise) / share, 0.0)

    def ncsnr(self, total: float | None = None) -> Floats:
        """sqrt(S / N) of one trial (targets,); NaN without repeats, or for a constant target."""
        signal, noise = self.signal_variance(total), self.noise_variance()
        return np.sqrt(_ratio(signal, noise))


def repeats_of(blocks: Iterable[tuple[Counts, Floats, Floats]], targets: int) -> Repeats:
    """Sums over blocks of (repeats, sums, sums of squares), see `Repeats.add`."""
    found = Repeats(targets)
    for block in blocks:
        found.add(*block)
    return found


def mean_inverse_repeats(repeats: Counts) -> float:
    """k: mean over images of 1 / repeats, for any mixture of repeats (images,).

    Raises
    ------
    DataError : there is no image, or one without a trial.
    """
    if not len(repeats) or (repeats < 1).any():
        raise DataError(
            "a ceiling needs images that were shown",
            expected="1 or more trials of every image",
            found="no image" if not len(repeats) else f"{int((repeats < 1).sum())} without trials",
            fix="give the images of the test side",
        )
    return float(np.mean(1.0 / repeats))


def noise_ceiling(ncsnr: Floats, k: float) -> Floats:
    """``ncsnr^2 / (ncsnr^2 + k)``: explainable share of variance, 1 for infinite ncsnr."""
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (1.0 + k / np.square(ncsnr)))


def split_half_ncsnr(
    first: NDArray[np.floating], second: NDArray[np.floating], k_half: float
) -> Floats:
    """The ncsnr (targets,) from the correlation of two halves of the repeats.

    With `noise_ceiling` at k this is the Spearman-Brown correction from ``1 / k_half`` to
    ``1 / k`` trials, for any mixture of repeats.

    Parameters
    ----------
    first, second : (images, targets) means over either half.
    k_half : mean over images of 1 / trials in a half.
    """
    reliability = np.maximum(pearson(first, second), 0.0)
    return np.sqrt(k_half * _ratio(reliability, 1.0 - reliability))


def over_ceiling(
    explained: Floats, ceiling: Floats, threshold: float, *, capped: bool = False
) -> Floats:
    """``explained / ceiling`` (targets,), NaN where the ceiling is below ``threshold``.

    A target without a ceiling has nothing to explain: it is left out, never scored 1. Capping
    at 1 cuts the upper half of the sampling error, so a perfect model scores below 1; uncapped
    it scores 1 + (1 - nc)^2 / (n nc) or so, n images.

    Parameters
    ----------
    explained : ``max(r, 0)^2``.
    threshold : least ceiling, above 0.
    """
    known = np.nan_to_num(ceiling, nan=0.0) >= max(threshold, np.finfo(float).tiny)
    share = np.where(known, explained, np.nan) / np.where(known, ceiling, 1.0)
    return np.minimum(share, 1.0) if capped else share


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Quotient that is infinite over 0, and NaN for 0 over 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return numerator / denominator


def _less(squares: Floats, part: Floats) -> Floats:
    """``squares - part``, exactly 0 where only rounding is left (a constant target)."""
    rest = squares - part
    return np.where(rest > 1e-12 * squares, rest, 0.0)
