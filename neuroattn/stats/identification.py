"""Is a reconstruction more like its own image than like others? Scores of pictures made.

Features and class probabilities are whatever the caller supplies: nothing here knows a network,
and nothing is put in the place of one that is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.stats.retrieval import Ints, expected_accuracy

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TwoWay:
    """Two-way identification.

    Parameters
    ----------
    share : (images,) the share of other true images that lose; NaN where it is undefined.
    """

    share: Floats

    @property
    def undefined(self) -> int:
        """How many reconstructions have no correlation, such as constant ones."""
        return int(np.isnan(self.share).sum())

    @property
    def accuracy(self) -> float:
        """Mean share, chance .5; NaN while any is undefined: it must be mended, not left out."""
        return float(np.mean(self.share)) if self.share.size else float("nan")


def two_way(true: Array, made: Array) -> TwoWay:
    """For every reconstruction the share of other true images that it is less like than its own.

    Likeness is Pearson's r between features; a tie is lost (chance is .5 without ties).

    Parameters
    ----------
    true, made : features (images, dim) of the true images and of their reconstructions.

    Raises
    ------
    ValueError : shapes disagree, or there are fewer than two images.
    """
    if true.shape != made.shape or true.ndim != 2 or len(true) < 2:
        raise ValueError(f"features do not pair: {true.shape} and {made.shape}")
    r = _unit(made) @ _unit(true).T
    mine = np.diag(r)[:, None]
    share = (r < mine).sum(axis=1) / (len(r) - 1)
    # One undefined true image makes all comparisons with it undefined.
    known = np.isfinite(r).all(axis=1)
    return TwoWay(np.where(known, share, np.nan))


def _unit(values: Array) -> Floats:
    values = np.asarray(values, dtype=np.float64)
    centred = values - values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    small = length <= 1e-10 * np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-300)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(small, np.nan, centred / length)


def n_way(
    true: Array,
    made: Array,
    *,
    ways: int = 50,
    k: int = 1,
    trials: int | None = None,
    seed: int = 0,
) -> Floats:
    """Semantic accuracy (images,): whether the true image's class is among the first of ``ways``.

    The class is the most probable one of the *true* image. Its probability in the reconstruction
    must be among the ``k`` highest of itself and ``ways - 1`` other random classes; ties lose.

    Parameters
    ----------
    true, made : probabilities (images, classes) of the true images and of the reconstructions.
    trials : how many times classes are drawn for each image; None takes the mean over all draws,
        which has a closed form.

    Raises
    ------
    ValueError : shapes disagree, there are too few classes, or a probability is not a number.
    """
    if true.shape != made.shape or true.ndim != 2 or not 1 <= ways <= true.shape[1]:
        raise ValueError(f"{ways} ways of probabilities {true.shape} and {made.shape}")
    if not (np.isfinite(true).all() and np.isfinite(made).all()):
        raise ValueError("probabilities that are not numbers")
    label = true.argmax(axis=1)
    mine = made[np.arange(len(made)), label]
    rival = made >= mine[:, None]
    rival[np.arange(len(made)), label] = False
    if trials is None:
        rank: Ints = rival.sum(axis=1).astype(np.int64)
        others = true.shape[1] - 1
        return np.array([expected_accuracy(rank[[n]], others, ways, k) for n in range(len(rank))])
    return _drawn(rival, label, ways, k, (trials, seed))


def _drawn(
    rival: NDArray[np.bool_], label: Ints, ways: int, k: int, draws: tuple[int, int]
) -> Floats:
    trials, seed = draws
    rng = generator(seed, "n-way", ways)
    out = np.empty(len(rival))
    for row, own in enumerate(label):
        others = np.delete(rival[row], own)
        keys = rng.random((trials, len(others)))
        drawn = np.argpartition(keys, ways - 2, axis=1)[:, : ways - 1] if ways > 1 else keys[:, :0]
        out[row] = np.mean(others[drawn.astype(np.int64)].sum(axis=1) < k)
    return out
