from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest

from neuroattn.features.parallel import ordered_map


def test_results_come_in_the_order_of_the_items() -> None:
    def slow(item: int) -> int:
        time.sleep(0.005 * (item % 3 == 0))
        return item * item

    assert list(ordered_map(slow, range(20), 4)) == [item * item for item in range(20)]


def test_work_overlaps() -> None:
    barrier = threading.Barrier(3, timeout=5)  # passes only if three items run at once
    assert list(ordered_map(lambda item: barrier.wait() >= 0 and item, range(3), 3)) == [0, 1, 2]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_than_twice_the_workers_is_held(workers: int) -> None:
    begun: list[int] = []
    with closing(ordered_map(begun.append, range(100), workers)) as results:
        for taken in range(10):
            next(results)
            assert len(begun) <= taken + 2 * workers


def test_an_error_comes_at_its_turn_and_stops_the_rest() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        if item == 4:
            raise ValueError("item 4")
        return item

    results = ordered_map(work, range(100), 2)
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="item 4"):
        next(results)
    assert len(begun) < 12
