"""The grid of penalties that every ridge regression compares, whichever way it predicts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neuroattn.encoding.ridge_schemas import Grid


def penalties(grid: Grid) -> NDArray[np.float64]:
    """The penalties that are compared (n_alphas,), ascending."""
    return np.logspace(np.log10(grid.alpha_min), np.log10(grid.alpha_max), grid.n_alphas)
