"""Ordered work in threads: pictures are decoded and computed ahead of whoever writes them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], workers: int
) -> Generator[R, None, None]:
    """Yield ``function(item)`` in the order of ``items``, computed by ``workers`` threads.

    At most ``2 * workers`` results are held, so memory does not grow with the items. An
    exception is raised at its item's turn; what was not begun by then is dropped, as it is
    when the caller closes the generator.
    """
    with ThreadPoolExecutor(workers, thread_name_prefix="features") as pool:
        pending: deque[Future[R]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
