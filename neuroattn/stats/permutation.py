"""Is a target predicted better than with shuffled images? Permutation of the test images.

Under the null hypothesis predictions and responses belong together no more than chance would
have it, so that images of a fold may be exchanged. One permutation exchanges the same images
at all targets, which keeps their spatial correlation: the maximum over targets then corrects
for however many independent targets there really are (Nichols & Holmes 2002).

**Cost.** Columns are standardised once; each permutation is one multiplication and addition
per image and target, so ``draws * images * targets`` of them, and nothing of that size is held.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.stats.correlation import centred, is_constant
from neuroattn.stats.multiple import benjamini_hochberg, exceedance

Array = NDArray[np.floating]
Floats = NDArray[np.float64]
_TIE = 1e-6  # equal correlations differ by the order in which float32 is summed
BLOCK = 512  # targets at a time: predictions and responses of a block stay in the cache


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """One-sided tests of r above chance.

    Parameters
    ----------
    r : (targets,) observed, per fold and averaged over those in which the measured response varies
        and no value is missing; 0 for a prediction that does not vary, NaN where no fold is left.
    p : (targets,) uncorrected.
    q : (targets,) adjusted for the false discovery rate (Benjamini-Hochberg).
    p_max : (targets,) corrected for the family-wise error by the maximum over targets.
    """

    r: Floats
    p: Floats
    q: Floats
    p_max: Floats


def permutation_test(
    predicted: Array,
    measured: Array,
    fold: NDArray[np.integer],
    *,
    draws: int = 1000,
    seed: int = 0,
) -> PermutationTest:
    """Test every target by permuting the images within each fold.

    Parameters
    ----------
    predicted, measured : (rows, targets), one row per test image.
    fold : (rows,) fold of each row; images are exchanged within a fold only, because folds
        have models of their own.
    draws : number of permutations; the smallest p is 1 / (draws + 1).

    Raises
    ------
    ValueError : shapes disagree, or a fold has fewer than three images.
    """
    if predicted.shape != measured.shape or len(fold) != len(predicted):
        raise ValueError(f"shapes disagree: {predicted.shape}, {measured.shape}, {len(fold)}")
    rows = [np.flatnonzero(fold == index) for index in np.unique(fold)]
    if min(map(len, rows)) < 3:
        raise ValueError("every fold needs three test images or more")
    shuffles = [_shuffles(len(members), draws, seed, k) for k, members in enumerate(rows)]
    targets = predicted.shape[1]
    observed, above = np.empty(targets), np.empty(targets)
    highest = np.full(draws, -np.inf)
    for start in range(0, targets, BLOCK):
        part = slice(start, min(start + BLOCK, targets))
        raw = [(predicted[m, part], measured[m, part]) for m in rows]
        defined = np.stack([_defined(pair) for pair in raw])
        folds = np.where(defined.any(0), defined.sum(0), np.nan)
        sides = [(_unit(x) * known, _unit(y)) for (x, y), known in zip(raw, defined, strict=True)]
        observed[part] = np.sum([(x * y).sum(0) for x, y in sides], axis=0) / folds
        above[part] = 0
        for draw in range(draws):
            each = [
                np.einsum("nt,nt->t", x[shuffle[draw]], y)
                for (x, y), shuffle in zip(sides, shuffles, strict=True)
            ]
            r = np.sum(each, axis=0) / folds
            above[part] += r >= observed[part] - _TIE
            highest[draw] = max(highest[draw], np.nanmax(r, initial=-np.inf))
    p = np.where(np.isnan(observed), np.nan, (1 + above) / (1 + draws))
    q, p_max = benjamini_hochberg(p), exceedance(observed - _TIE, highest)
    return PermutationTest(observed, p, q, p_max)


def _defined(sides: tuple[Array, Array]) -> NDArray[np.bool_]:
    """Whether r is defined in one fold (targets,): the response varies, and no value is missing."""
    missing = [np.isnan(side).any(0) for side in sides]
    return ~(is_constant(sides[1]) | missing[0] | missing[1])


def _shuffles(length: int, draws: int, seed: int, fold: int) -> NDArray[np.intp]:
    """Permutations (draws, length)."""
    rng = generator(seed, "permutation", fold)
    return rng.permuted(np.tile(np.arange(length), (draws, 1)), axis=1)


def _unit(values: Array) -> NDArray[np.float32]:
    """Centred columns of unit length (rows, targets) float32; 0 where constant or not whole."""
    around = np.nan_to_num(centred(values.astype(np.float64)))
    length = np.sqrt((around**2).sum(0))
    return (around / np.where(length == 0, 1.0, length)).astype(np.float32)
