"""The running top list against a sort of everything."""

import numpy as np
import pytest
import torch

from neuroattn.captioning.largest import FOLD, Largest

ROWS = 40


def _streamed(table: torch.Tensor, count: int, sizes: list[int], step: int = ROWS) -> Largest:
    kept, first = Largest(len(table), count, table.device), 0
    for size in sizes:
        for start in range(0, len(table), step):
            rows = slice(start, min(start + step, len(table)))
            tile = table[rows, first : first + size].contiguous()
            highest = kept.take(rows, tile, first)
            torch.testing.assert_close(highest, tile.amax(1), rtol=0, atol=0)
        first += size
    return kept


@pytest.mark.parametrize("count", [1, 7, 50])
@pytest.mark.parametrize("size", [FOLD - 1, FOLD, 5 * FOLD + 3, 400])
@pytest.mark.parametrize("step", [ROWS, 16])
def test_a_stream_of_tiles_keeps_what_a_sort_finds(count: int, size: int, step: int) -> None:
    table = torch.from_numpy(np.random.default_rng(count).standard_normal((ROWS, 400), "f4"))
    sizes = [size] * (400 // size) + [400 % size] * (400 % size > 0)
    values, places = _streamed(table, count, sizes, step).settled()
    wanted = table.topk(count, dim=1)
    torch.testing.assert_close(values, wanted.values, rtol=0, atol=0)
    torch.testing.assert_close(places, wanted.indices, rtol=0, atol=0)


def test_columns_that_come_in_rising_order_all_get_in() -> None:
    table = torch.arange(320.0).repeat(ROWS, 1)
    values, places = _streamed(table, 30, [64] * 5).settled()
    assert (places == torch.arange(319, 289, -1)).all()
    assert (values == places).all()


def test_fewer_columns_than_asked_for_are_all_kept() -> None:
    table = torch.randn(ROWS, 20)
    values, places = _streamed(table, 50, [12, 8]).settled()
    assert values.shape == (ROWS, 20)
    assert (places.sort(1).values == torch.arange(20)).all()
    assert Largest(0, 50, table.device).settled()[0].shape[0] == 0
