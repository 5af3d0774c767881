"""How well the repeats of a picture agree: an uncertainty that no decoder has a part in."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 64 << 20  # bytes of rows that are held at a time


def repeats_agree(
    table: NDArray[np.float32], images: NDArray[np.int64], rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean correlation of each row's picture's repeats with one another, (rows,); NaN for one.

    With unit rows z of n repeats, the mean over pairs is (|sum z|^2 - n) / (n (n - 1)), so each
    row is read once: O(rows x inputs), in blocks.

    Parameters
    ----------
    table : (all rows, inputs) of one subject; may be mapped from a file.
    images : (all rows,) picture of each.
    rows : those that are trained on.
    """
    order = rows[np.argsort(images[rows], kind="stable")]
    found = np.full(len(images), np.nan)
    for part in _whole_images(images[order], max(1, AT_ONCE // (4 * table.shape[1]))):
        mine = order[part]
        values = np.asarray(table[mine], dtype=np.float64)
        values -= values.mean(1, keepdims=True)
        values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
        _, first, count = np.unique(images[mine], return_index=True, return_counts=True)
        squared = np.square(np.add.reduceat(values, first, axis=0)).sum(1)
        with np.errstate(invalid="ignore", divide="ignore"):
            agree = (squared - count) / (count * (count - 1))
        found[mine] = np.repeat(np.where(count > 1, agree, np.nan), count)
    return found[rows]


def _whole_images(images: NDArray[np.int64], most: int) -> Iterator[slice]:
    """Slices of sorted images that cut none of them apart, of about ``most`` rows."""
    start = 0
    while start < len(images):
        stop = min(start + most, len(images))
        if stop < len(images):  # back to where its picture begins, or on to its end
            edge = int(np.searchsorted(images, images[stop]))
            stop = edge if edge > start else int(np.searchsorted(images, images[start], "right"))
        yield slice(start, stop)
        start = stop
