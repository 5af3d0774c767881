"""Do the captions hold? Scores on test images that had no part in making them.

**Sentence level** (LaVCa, section on evaluation): where the caption of a target resembles the
captions of a test image, the target should respond to that image. The score of a target is
Spearman's correlation over test images of that similarity with the measured response.
**Image level**: the same with a picture made from the caption in the place of the caption.

The control is the same captions dealt to other targets. Intervals draw test images anew, the same
draw for true and dealt captions, so that their difference is paired; ranks are those of the whole
test set. Which targets count is decided on training data alone (`top_targets`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from neuroattn.core.errors import DataError
from neuroattn.core.seeding import generator
from neuroattn.stats.bootstrap import bootstrap_r, percentile_interval
from neuroattn.stats.correlation import pearson

Array = NDArray[np.floating]
Floats = NDArray[np.float64]
VERIFIED: Final = ("measure", "captions", "value", "low", "high", "n_targets", "n_images")
MOST_TARGETS: Final = 5000  # as published
_BLOCK = 1024  # targets at a time: a few tables (images, _BLOCK)


@dataclass(frozen=True, eq=False)
class Verified:
    """A score of captions, of each target and over all.

    Parameters
    ----------
    measure : ``sentence`` or ``image``.
    score, dealt : (targets,) of true captions, and the mean over deals of captions of others.
    p : share of deals whose mean reaches the true one's; the true one counts as a deal.
    """

    measure: str
    score: Floats
    dealt: Floats
    table: pd.DataFrame
    p: float


def top_targets(selection: Array, most: int = MOST_TARGETS) -> NDArray[np.int64]:
    """The targets that are scored, best first.

    Parameters
    ----------
    selection : (targets,) how well each was predicted on held-out training images (r_selection);
        never on test images, or the score would choose its own targets. NaN is left out.
    """
    known = np.flatnonzero(np.isfinite(selection))
    order = np.argsort(-np.asarray(selection, dtype=np.float64)[known], kind="stable")
    return known[order][:most]


def image_text(captions: Sequence[Array]) -> Floats:
    """What is told of each test image (images, dim): the mean of its captions' unit embeddings.

    The cosine of a caption with it is, but for one factor an image, its mean cosine with all.

    Parameters
    ----------
    captions : (sentences, dim) embeddings of each image, one or more.
    """
    return np.stack([_unit(each).mean(axis=0) for each in captions])


def alignment(targets: Array, images: Array, responses: Array) -> Floats:
    """Spearman's correlation (targets,) over images of similarity with the response.

    Parameters
    ----------
    targets : (targets, dim) embeddings of the captions, or of pictures made from them.
    images : (images, dim) embeddings of what is told of each image, or of the image.
    responses : (images, targets) measured.
    """
    out = np.empty(len(targets))
    for start in range(0, len(targets), _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = pearson(_similarity(images, targets[part]), _ranks(responses[:, part]))
    return out


def verify(
    measure: str,
    targets: Array,
    images: Array,
    responses: Array,
    *,
    deals: int = 20,
    draws: int = 1000,
    seed: int = 0,
) -> Verified:
    """Score true captions and captions dealt to other targets.

    Parameters
    ----------
    measure : name of the score.
    targets, images, responses : as in `alignment`.
    deals : how often captions are dealt anew.
    draws : test images drawn with replacement for each interval.

    Raises
    ------
    DataError : shapes disagree, fewer than two targets, fewer than three images, or NaN.
    """
    _check(targets, images, responses)
    count = len(targets)
    orders = [_others(count, seed, deal) for deal in range(deals)]
    ranks = _ranks(responses)
    true = _Draws(_similarity(images, targets), ranks, draws, seed)
    dealt = [_Draws(_similarity(images, targets[order]), ranks, draws, seed) for order in orders]
    control = np.nanmean([each.mean for each in dealt], axis=0)
    rows = [
        (measure, name, value, *map(float, percentile_interval(sample)), count, len(images))
        for name, value, sample in (
            ("true", np.nanmean(true.score), true.mean),
            ("shuffled", np.nanmean([each.score for each in dealt]), control),
            (
                "difference",
                np.nanmean(true.score) - np.nanmean([each.score for each in dealt]),
                true.mean - control,
            ),
        )
    ]
    reached = sum(np.nanmean(each.score) >= np.nanmean(true.score) for each in dealt)
    return Verified(
        measure,
        true.score,
        np.nanmean([each.score for each in dealt], axis=0),
        pd.DataFrame(rows, columns=list(VERIFIED)),
        float((1 + reached) / (1 + deals)),
    )


class _Draws:
    """Scores of all targets, and their mean in each draw of images."""

    def __init__(self, similarity: Floats, ranks: Floats, draws: int, seed: int) -> None:
        fold = np.zeros(len(ranks), dtype=np.int64)
        self.score = pearson(similarity, ranks)
        total, known = np.zeros(draws), np.zeros(draws)
        for part, drawn in bootstrap_r(similarity, ranks, fold, draws=draws, seed=seed):
            r = np.where(np.isnan(self.score[part]), np.nan, drawn)  # scored or not, as it is
            total += np.nansum(r, axis=1)
            known += np.isfinite(r).sum(axis=1)
        self.mean = np.divide(total, known, out=np.full(draws, np.nan), where=known > 0)


def _others(count: int, seed: int, deal: int) -> NDArray[np.int64]:
    """An order in which nobody keeps their own: a rotation of a random order."""
    order = generator(seed, "dealt captions", deal).permutation(count)
    out = np.empty(count, dtype=np.int64)
    out[order] = np.roll(order, 1)
    return out


def _similarity(images: Array, targets: Array) -> Floats:
    """Ranks (images, targets) of the cosine of every image with every target."""
    return _ranks(np.asarray(images, dtype=np.float64) @ _unit(targets).T)


def _ranks(values: Array) -> Floats:
    out: Floats = rankdata(values, axis=0)
    return out


def _unit(vectors: Array) -> Floats:
    table = np.asarray(vectors, dtype=np.float64)
    length = np.linalg.norm(table, axis=-1, keepdims=True)
    out: Floats = np.divide(table, length, out=np.zeros_like(table), where=length > 0)
    return out


def _check(targets: Array, images: Array, responses: Array) -> None:
    shapes = f"targets {targets.shape}, images {images.shape}, responses {responses.shape}"
    fits = targets.ndim == images.ndim == responses.ndim == 2
    fits = fits and targets.shape[1] == images.shape[1]
    fits = fits and responses.shape == (len(images), len(targets))
    finite = all(bool(np.isfinite(each).all()) for each in (targets, images, responses))
    if not (fits and finite and len(targets) > 1 and len(images) > 2):
        raise DataError(
            "captions cannot be verified on these test images",
            expected="(targets, dim), (images, dim) and (images, targets), all finite, two targets"
            " and three images or more",
            found=shapes + ("" if finite else "; not all finite"),
            fix="embed captions and images in one space, and leave out targets without a caption",
        )
