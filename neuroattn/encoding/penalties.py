"""The grid of penalties that every ridge regression compares, whichever way it predicts."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError


class Grid(Protocol):
    """Smallest, largest, and how many of them, evenly spaced in the exponent."""

    alpha_min: float
    alpha_max: float
    n_alphas: int


def penalties(grid: Grid) -> NDArray[np.float64]:
    """The penalties that are compared (n_alphas,), ascending."""
    return np.logspace(np.log10(grid.alpha_min), np.log10(grid.alpha_max), grid.n_alphas)


def check_grid(grid: Grid, section: str) -> None:
    """Refuse a grid without a penalty, under the keys of ``section``.

    Raises
    ------
    ConfigError : the largest is below the smallest.
    """
    if grid.alpha_max < grid.alpha_min:
        raise ConfigError(
            "the grid of penalties is empty",
            expected=f"{section}.alpha_max of at least {section}.alpha_min ({grid.alpha_min})",
            found=grid.alpha_max,
            fix=f"raise {section}.alpha_max or lower {section}.alpha_min",
        )
