"""Noise ceilings of one fold: of its test images for scores, of its training images for selection.

The two never mix: what is fitted is chosen by training repeats alone, and a score is divided by
the ceiling of the images that it was scored on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import CeilingConfig, CeilingMethod, Normalise
from neuroattn.stats.ceiling import (
    mean_inverse_repeats,
    noise_ceiling,
    repeats_of,
    split_half_ncsnr,
)

Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


def ceiling(prepared: Prepared, images: Ids, method: CeilingMethod, normalise: Normalise) -> Floats:
    """Ceiling of the mean responses to ``images`` (targets,), NaN where it is not known.

    Parameters
    ----------
    prepared : responses on the scale of the fit.
    normalise : that scale; z-scores over all trials fix the total variance at 1.

    Raises
    ------
    ConfigError : supplied ceilings are asked for and the dataset has none.
    """
    if method is CeilingMethod.none:
        return np.full(len(prepared.targets), np.nan)
    k = mean_inverse_repeats(prepared.repeats(images))
    if method is CeilingMethod.supplied:
        return noise_ceiling(_supplied(prepared), k)
    if method is CeilingMethod.split_half:
        return noise_ceiling(_from_halves(prepared, images), k)
    found = repeats_of(prepared.repeat_sums(images), len(prepared.targets))
    total = 1.0 if normalise is Normalise.session_all else None
    return noise_ceiling(found.ncsnr(total), k)


def select(
    prepared: Prepared, images: Ids, config: CeilingConfig, normalise: Normalise
) -> Ids | None:
    """Targets whose ceiling on the training ``images`` is high enough; None where all are fitted.

    Supplied ceilings have seen test trials, so repeats decide there as well.

    Raises
    ------
    ConfigError : no training image was repeated.
    DataError : no target is left.
    """
    if config.select is None:
        return None
    halves = config.method is CeilingMethod.split_half
    method = CeilingMethod.split_half if halves else CeilingMethod.repeats
    found = ceiling(prepared, images, method, normalise)
    if np.isnan(found).all():
        raise ConfigError(
            "targets cannot be selected by ceiling without repeats",
            expected="training images that were shown more than once",
            found="no such image, or constant responses",
            fix="set dataset.ceiling.select=null",
        )
    chosen = np.flatnonzero(np.nan_to_num(found, nan=0.0) >= config.select)
    if not chosen.size:
        raise DataError(
            "no target reaches the ceiling that was asked for",
            expected=f"a ceiling of {config.select} on the training images",
            found=f"{np.nanmax(found):.3f} at most",
            fix="lower dataset.ceiling.select",
        )
    return chosen


def _supplied(prepared: Prepared) -> Floats:
    if prepared.supplied_ncsnr is None:
        raise ConfigError(
            "no noise ceilings came with this dataset",
            expected="a dataset with ncsnr files",
            found="none",
            fix="set dataset.ceiling.method=repeats",
        )
    return prepared.supplied_ncsnr


def _from_halves(prepared: Prepared, images: Ids) -> Floats:
    """The ncsnr from odd against even repeats, as many of each as all images have in both."""
    rows, positions = prepared.trial_rows(images)
    repeats = np.bincount(positions, minlength=len(images))
    within = np.arange(len(rows)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    paired = within < 2 * (repeats // 2)[positions]
    if np.count_nonzero(repeats > 1) < 2:
        return np.full(len(prepared.targets), np.nan)
    halves = []
    for side in (0, 1):
        chosen = paired & (within % 2 == side)
        kept = np.unique(positions[chosen], return_inverse=True)[1]
        halves.append(prepared.trial_means(rows[chosen], kept))
    sizes = (repeats // 2)[repeats > 1]
    return split_half_ncsnr(halves[0], halves[1], mean_inverse_repeats(sizes))
