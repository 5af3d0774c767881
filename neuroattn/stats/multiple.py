"""Correction for many targets: false discovery rate, and the maximum over targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def benjamini_hochberg(p: NDArray[np.floating[Any]]) -> Floats:
    """Adjusted p values (targets,): rejecting those of at most q keeps the FDR at q.

    The smallest q at which each target would be rejected (Benjamini & Hochberg 1995, step-up).
    It holds for independent and for positively dependent tests, which neighbouring vertices
    are. NaN is no test: it is left out of the count and stays NaN.

    Raises
    ------
    ValueError : a p value below 0 or above 1.
    """
    p = np.asarray(p, dtype=np.float64)
    known = np.flatnonzero(~np.isnan(p))
    values = p[known]
    if values.size and (values.min() < 0 or values.max() > 1):
        raise ValueError("p values lie between 0 and 1")
    order = np.argsort(values)
    ranked = values[order] * len(values) / np.arange(1, len(values) + 1)
    adjusted = np.minimum.accumulate(ranked[::-1])[::-1].clip(max=1.0)
    out = np.full(p.shape, np.nan)
    out[known[order]] = adjusted
    return out


def exceedance(observed: NDArray[np.floating[Any]], null: NDArray[np.floating[Any]]) -> Floats:
    """P values (targets,) of one-sided statistics against one null sample (draws,).

    The observed value counts as a draw of its own null, so that p is never 0 and the test is
    exact (Phipson & Smyth 2010). With ``null`` the maximum over targets of each permutation,
    rejecting at alpha keeps the family-wise error at alpha.
    """
    ranked = np.sort(null)
    at_least = len(ranked) - np.searchsorted(ranked, observed, side="left")
    p = (1.0 + at_least) / (1.0 + len(ranked))
    return np.where(np.isnan(observed), np.nan, p)
