"""Variance partitioning: what two feature spaces explain alone, and what either could.

Explained variances of three models on the same test images, one on each space and one on both,
give (de Heer et al. 2017, J Neurosci 37:6539; Lescroart, Stansbury & Gallant 2015)

    unique(A) = R2(AB) - R2(B),   unique(B) = R2(AB) - R2(A),   shared = R2(A) + R2(B) - R2(AB),

which add up to R2(AB). Predictions of held-out images are noisy, so any part may be negative: a
joint model that overfits loses against its own part, and two spaces of which one suppresses noise
in the other explain more together than the sum. Nothing is clipped; the interval tells.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Partition:
    """Shares of variance, of any shape; they add up to what the joint model explains."""

    first: Floats
    second: Floats
    shared: Floats


def partition(first: Floats, second: Floats, joint: Floats) -> Partition:
    """Split the variance that ``joint`` explains, given that of either part alone."""
    first, second, joint = (np.asarray(side, dtype=np.float64) for side in (first, second, joint))
    return Partition(joint - second, joint - first, first + second - joint)
