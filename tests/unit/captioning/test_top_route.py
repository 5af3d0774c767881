"""Top pictures by predicted activation against a sort of everything, and what is held for it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from neuroattn.captioning.bank import make_bank
from neuroattn.captioning.top_route import top_pictures
from tests.unit.captioning.cone import DIM, Store

ITEMS, TARGETS = 300, 50


class Model:
    """Predictions from a table (images, targets); notes how many pictures it is asked for."""

    def __init__(self, table: np.ndarray) -> None:
        self.table, self.sizes = table, list[int]()

    def predict(self, _features: Any, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        return self.table[images]


def _bank() -> Any:
    vectors = np.random.default_rng(1).standard_normal((ITEMS, DIM))
    names = [f"{n:04d}" for n in range(ITEMS)]
    return make_bank(
        Store(vectors), np.arange(ITEMS), names, names=names, captions=[[]] * ITEMS, draws=2
    )


@pytest.mark.parametrize("count", [1, 20, ITEMS + 5])
@pytest.mark.parametrize("memory", [1 << 30, 12 * TARGETS * 7])
def test_a_stream_of_pictures_keeps_what_a_sort_finds(count: int, memory: int) -> None:
    model, bank = Model(np.random.default_rng(0).standard_normal((ITEMS, TARGETS), "f4")), _bank()
    columns = np.array([3, 0, 49, 17])
    places, values = top_pictures(model, bank, columns, count, memory)
    table = model.table[bank.ids][:, columns].T
    wanted = np.argsort(-table, axis=1, kind="stable")[:, :count]
    np.testing.assert_array_equal(places, wanted)
    np.testing.assert_array_equal(values, np.take_along_axis(table, wanted, 1))
    assert max(model.sizes) == (7 if memory < 1 << 30 else ITEMS)


def test_equal_activations_come_in_the_order_of_the_bank() -> None:
    table = np.repeat(np.arange(3.0, dtype="f4"), 100)[:, None]
    bank = _bank()
    places, _ = top_pictures(Model(table), bank, np.array([0]), 100)
    assert places[0].tolist() == sorted(np.flatnonzero(bank.ids >= 200).tolist())


def test_no_target_has_no_pictures() -> None:
    model = SimpleNamespace(predict=None)
    assert top_pictures(model, _bank(), np.zeros(0, np.int64), 5)[0].shape == (0, 5)
