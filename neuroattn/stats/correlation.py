"""Agreement of predictions with measurements, column by column, without a loop over targets.

One definition for the whole package: the encoding stage, the maps and the tables all call
these, so that a figure and a table never disagree about what r is.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError

BLOCK = 4096

Floats = NDArray[np.float64]


def pearson(x: NDArray[np.floating], y: NDArray[np.floating], *, block: int = BLOCK) -> Floats:
    """Pearson correlation of each column of ``x`` with the same column of ``y``.

    Parameters
    ----------
    x, y : (images, targets), of any float type, memory-mapped or not; both may be 1-D.
    block : targets that are held in float64 at a time.

    Returns
    -------
    (targets,) float64. NaN, without a warning, where a column is constant or holds a NaN.

    Raises
    ------
    DataError : the shapes differ, or there are fewer than two images.
    """
    left, right = _pair(x, y)
    result = np.empty(left.shape[1])
    for columns in _blocks(left.shape[1], block):
        a, b = _unit(left[:, columns]), _unit(right[:, columns])
        result[columns] = np.clip(np.einsum("ij,ij->j", a, b), -1.0, 1.0)
    return result


def r_squared(r: NDArray[np.floating]) -> Floats:
    """Explained variance as ``max(r, 0) ** 2``: an inverted prediction explains nothing."""
    return np.square(np.maximum(np.asarray(r, dtype=np.float64), 0.0))


def coefficient_of_determination(
    predicted: NDArray[np.floating], measured: NDArray[np.floating], *, block: int = BLOCK
) -> Floats:
    """``1 - residual sum of squares / total sum of squares`` about the mean of ``measured``.

    Unlike the squared correlation it also charges a wrong offset and a wrong scale, and has
    no lower bound.

    Parameters
    ----------
    predicted, measured : (images, targets), or 1-D.

    Returns
    -------
    (targets,) float64. NaN, without a warning, where ``measured`` is constant.

    Raises
    ------
    DataError : the shapes differ, or there are fewer than two images.
    """
    guess, truth = _pair(predicted, measured)
    result = np.empty(guess.shape[1])
    for columns in _blocks(guess.shape[1], block):
        values = truth[:, columns].astype(np.float64)
        residual = np.square(values - guess[:, columns]).sum(0)
        total = np.square(centred(values)).sum(0)
        result[columns] = 1.0 - _ratio(residual, total)
    return result


def fold_average(values: NDArray[np.floating]) -> Floats:
    """Mean over folds, over those in which the value is defined.

    Parameters
    ----------
    values : (folds, ..., targets), NaN where undefined.

    Returns
    -------
    (..., targets) float64. NaN where no fold defines it.
    """
    table = np.asarray(values, dtype=np.float64)
    known = np.isfinite(table)
    return _ratio(np.where(known, table, 0.0).sum(0), known.sum(0).astype(np.float64))


def target_average(values: NDArray[np.floating]) -> float:
    """Mean over the targets at which the value is defined; NaN where there is none."""
    return float(fold_average(np.asarray(values, dtype=np.float64)[:, None])[0])


def is_constant(values: NDArray[np.floating], *, block: int = BLOCK) -> NDArray[np.bool_]:
    """Which columns of (images, targets) hold one value only: (targets,)."""
    result = np.empty(values.shape[1], dtype=np.bool_)
    for columns in _blocks(values.shape[1], block):
        part = values[:, columns]
        result[columns] = (part == part[0]).all(0)
    return result


def _pair(
    x: NDArray[np.floating], y: NDArray[np.floating]
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    if x.shape != y.shape or x.ndim not in (1, 2) or len(x) < 2:
        raise DataError(
            "two tables cannot be compared column by column",
            expected="equal shapes (images, targets) with two images or more",
            found=f"{x.shape} and {y.shape}",
            fix="give both the same images and targets",
        )
    return (x[:, None], y[:, None]) if x.ndim == 1 else (x, y)


def _blocks(total: int, block: int) -> Iterator[slice]:
    return (slice(start, start + block) for start in range(0, total, block))


def centred(values: Floats) -> Floats:
    """Columns less their means; exactly 0 where a column is constant."""
    # Subtracting the first row first makes a constant column exactly zero, whatever its value.
    with np.errstate(invalid="ignore"):
        shifted = values - values[0]
        return np.asarray(shifted - shifted.mean(0))


def _unit(values: NDArray[np.floating]) -> Floats:
    """Centre each column and scale it to length 1; a constant column becomes NaN."""
    around = centred(values.astype(np.float64))
    # Scaling by the largest value first keeps squares of tiny responses from vanishing.
    scaled = _ratio(around, np.abs(around).max(0))
    return _ratio(scaled, np.sqrt(np.square(scaled).sum(0)))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator == 0, np.nan, numerator / denominator)
