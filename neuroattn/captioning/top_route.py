"""Top pictures by predicted activation: what any encoder can say of a bank, space or none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.captioning.bank import Bank


def top_pictures(
    model: Any, bank: Bank, columns: NDArray[np.int64], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Places (targets, count) in the bank with the highest predicted activation, and these.

    Parameters
    ----------
    model : a fitted readout.
    columns : its targets.

    The bank streams past: predictions of some thousand pictures are held at a time.
    """
    count = min(count, len(bank))
    values = np.full((len(columns), 0), -np.inf, dtype=np.float32)
    places = np.zeros((len(columns), 0), dtype=np.int64)
    for block in bank.blocks():
        found = model.predict(bank.features, bank.ids[block])[:, columns].T
        values = np.concatenate([values, found], axis=1)
        places = np.concatenate([places, np.broadcast_to(block, found.shape)], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :count]
        values = np.take_along_axis(values, order, axis=1)
        places = np.take_along_axis(places, order, axis=1)
    return places, values
