"""How much of the test side was in training? What retrieval may owe to near copies.

Test images may be new and still look like training images, and then a decoder that looks up the
nearest training image does well. So every figure stands beside how near the nearest training
image is, and beside the accuracy on the images that are farthest from all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.stats.retrieval import unit_rows

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
BLOCK = 512  # images at a time, so that no table of test by training images is held


@dataclass(frozen=True, eq=False)
class Overlap:
    """The nearest training image of every test image, beside how near training images are.

    Parameters
    ----------
    nearest : (tests,) highest cosine with a training image.
    index : (tests,) which one that is.
    among_training : (training,) the same of training images, each with the others.
    """

    nearest: Floats
    index: NDArray[np.int64]
    among_training: Floats

    @property
    def share_as_near(self) -> float:
        """Share of test images at least as near as the median training image: .5 if alike."""
        return float(np.mean(self.nearest >= np.median(self.among_training)))

    def thirds(self) -> NDArray[np.int64]:
        """Third (tests,) of each test image: 0 the farthest from training, 2 the nearest."""
        order = np.argsort(np.argsort(self.nearest, kind="stable"), kind="stable")
        return np.minimum(3 * order // max(len(order), 1), 2).astype(np.int64)


def train_test_overlap(test: Array, train: Array, block: int = BLOCK) -> Overlap:
    """Nearest neighbours by cosine of embeddings (tests, dim) among (training, dim).

    Raises
    ------
    ValueError : other spaces, or fewer than two training images.
    """
    if test.ndim != 2 or test.shape[1:] != train.shape[1:] or len(train) < 2:
        raise ValueError(f"embeddings {test.shape} and {train.shape}")
    unit = unit_rows(train)
    nearest, index = _nearest(unit_rows(test), unit, block)
    among, _ = _nearest(unit, unit, block, itself=True)
    return Overlap(nearest, index, among)


def _nearest(
    queries: NDArray[np.float32], bank: NDArray[np.float32], block: int, itself: bool = False
) -> tuple[Floats, NDArray[np.int64]]:
    best, where = np.empty(len(queries)), np.empty(len(queries), dtype=np.int64)
    for start in range(0, len(queries), block):
        part = slice(start, min(start + block, len(queries)))
        cosine = queries[part] @ bank.T
        if itself:
            cosine[np.arange(part.stop - start), np.arange(start, part.stop)] = -np.inf
        where[part] = cosine.argmax(axis=1)
        best[part] = cosine[np.arange(part.stop - start), where[part]]
    return best, where


def labels_seen(test: list[list[str]], train: list[list[str]]) -> float:
    """Share of test images whose set of kinds is that of a training image."""
    known = {frozenset(names) for names in train}
    return float(np.mean([frozenset(names) in known for names in test])) if test else float("nan")
