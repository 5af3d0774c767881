"""A call that takes memory, for the test of the harness."""

from __future__ import annotations

import time
from collections.abc import Callable


def prepare(before: int, during: int) -> Callable[[], None]:
    """Hold ``before`` MiB, and return a call that takes ``during`` MiB for a moment."""
    held = bytearray(b"x") * (before << 20)

    def call() -> None:
        taken = bytearray(b"x") * (during << 20)
        time.sleep(0.05)
        assert len(taken) > len(held)

    return call
