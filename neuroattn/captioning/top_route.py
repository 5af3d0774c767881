"""Top pictures by predicted activation: what any encoder can say of a bank, space or none."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from neuroattn.captioning.bank import Bank
from neuroattn.captioning.largest import Largest
from neuroattn.captioning.projection import ITEMS

MEMORY: Final = 1 << 30  # bytes of predictions
_COPIES = 3  # a model holds its product, what is added to it, and what it returns
_ROWS = 4096  # targets whose lists are looked at together


def top_pictures(
    model: Any, bank: Bank, columns: NDArray[np.int64], count: int, memory: int = MEMORY
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Places (targets, count) in the bank with the highest predicted activation, and these.

    Parameters
    ----------
    model : a fitted readout.
    columns : its targets.
    memory : bytes of predictions held at a time; a model predicts all its targets at once, so
        many of them take fewer pictures at a time.

    The bank streams past; of equal activations the first pictures of the bank come first.
    """
    count = min(count, len(bank))
    if not len(columns):
        return np.zeros((0, count), np.int64), np.zeros((0, count), np.float32)
    best = Largest(len(columns), count, torch.device("cpu"))
    for block in bank.blocks(_pictures(model, bank, memory)):
        found = model.predict(bank.features, bank.ids[block])
        for start in range(0, len(columns), _ROWS):
            rows = slice(start, min(start + _ROWS, len(columns)))
            tile = np.ascontiguousarray(found[:, columns[rows]].T, dtype=np.float32)
            best.take(rows, torch.from_numpy(tile), int(block[0]))
    return _ordered(*(table.numpy() for table in best.settled()))


def _pictures(model: Any, bank: Bank, memory: int) -> int:
    """How many pictures are predicted at a time."""
    targets = int(model.predict(bank.features, bank.ids[:1]).shape[1])
    return max(1, min(ITEMS, memory // (4 * _COPIES * targets)))


def _ordered(
    values: NDArray[np.float32], places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Places and values, the highest first and the first of equals."""
    order = np.lexsort((places, -values), axis=1)
    return np.take_along_axis(places, order, 1), np.take_along_axis(values, order, 1)
