"""Weights as colours: targets that want alike pictures look alike, in all subjects.

The three leading directions of the unit-length weights become lightness and the two hues of CIE
Lab, in which distances are those that people see. They are fitted once for all subjects together,
each subject with the same say, so that one colour means one thing everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError

Floats = NDArray[np.float64]
_LIGHT, _HUE = (68.0, 16.0), 46.0  # middle and reach of L; reach of a and b


@dataclass(frozen=True, eq=False)
class Palette:
    """Directions from weights to colours, fitted by `palette`.

    Parameters
    ----------
    middle : (dim,); axes : (dim, 3), the first for red-green, then blue-yellow, then lightness.
    reach : (3,) the scores that reach the rim.
    explained : (3,) share of the variance.
    """

    middle: Floats
    axes: Floats
    reach: Floats
    explained: Floats

    def paint(self, weights: NDArray[np.floating]) -> Floats:
        """Colours (targets, 3), sRGB in [0, 1]; NaN where a weight is zero or not finite."""
        unit = _unit(weights)
        known = np.isfinite(unit).all(axis=1)
        colours = np.full((len(unit), 3), np.nan)
        score = ((unit[known] - self.middle) @ self.axes / self.reach).clip(-1, 1)
        lab = np.column_stack(
            [_LIGHT[0] + _LIGHT[1] * score[:, 2], _HUE * score[:, 0], _HUE * score[:, 1]]
        )
        colours[known] = _to_rgb(lab)
        return colours


def palette(subjects: Sequence[NDArray[np.floating]]) -> Palette:
    """Fit one palette to the weights of all subjects.

    Parameters
    ----------
    subjects : weights (targets, dim) of each subject, of whichever targets shall decide.

    Raises
    ------
    DataError : spaces differ, or fewer than four targets have weights.
    """
    units = [_unit(weights) for weights in subjects]
    units = [unit[np.isfinite(unit).all(axis=1)] for unit in units]
    units = [unit for unit in units if len(unit)]
    if len({unit.shape[1] for unit in units}) != 1 or sum(map(len, units)) < 4:
        raise DataError(
            "weights of these subjects cannot be made colours together",
            expected="weights of one space, of four targets or more",
            found=", ".join(str(np.shape(weights)) for weights in subjects) or "no subject",
            fix="take encoders of one image-text space, and lower the gate if none passes",
        )
    each = [np.full(len(unit), 1 / (len(unit) * len(units))) for unit in units]
    weight, stacked = np.concatenate(each), np.concatenate(units)
    middle = weight @ stacked
    spread = (stacked - middle) * np.sqrt(weight)[:, None]
    power, axes = np.linalg.eigh(spread.T @ spread)
    power, axes = power[::-1], axes[:, ::-1]
    width = min(3, axes.shape[1])
    chosen = np.zeros((axes.shape[0], 3))
    chosen[:, :width] = axes[:, :width] * _signs(axes[:, :width])
    reach = np.quantile(np.abs((stacked - middle) @ chosen), 0.95, axis=0)
    shares = np.zeros(3)
    shares[:width] = power[:width] / max(power.sum(), np.finfo(float).tiny)
    return Palette(middle, chosen, np.maximum(reach, 1e-12), shares)


def _signs(axes: Floats) -> Floats:
    """+1 or -1 for each column, so that its largest entry is positive: eigenvectors have none."""
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0)[0]
    return np.where(largest < 0, -1.0, 1.0)


def _unit(weights: NDArray[np.floating]) -> Floats:
    table = np.asarray(weights, dtype=np.float64)
    length = np.linalg.norm(table, axis=1, keepdims=True)
    out: Floats = np.divide(table, length, out=np.full_like(table, np.nan), where=length > 0)
    return out


def _to_rgb(lab: Floats) -> Floats:
    from skimage.color import lab2rgb

    out: Floats = lab2rgb(lab[:, None, :])[:, 0].clip(0, 1) if len(lab) else np.empty((0, 3))
    return out


def concept_map(weights: NDArray[np.floating], concept: NDArray[np.floating]) -> Floats:
    """Cosine (targets,) of each target's weight with one concept (dim,), as the text of a noun.

    NaN where a weight is zero or not finite.
    """
    aim = np.asarray(concept, dtype=np.float64)
    out: Floats = _unit(weights) @ (aim / np.linalg.norm(aim))
    return out
