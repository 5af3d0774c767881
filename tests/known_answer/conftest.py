"""What a known answer must not depend on: the number of threads, and how busy the machine is.

A trained readout differs in its last bits with the number of threads, and after a thousand steps in
more than these, so every test here has one thread, whatever `OMP_NUM_THREADS` says. The limit of
wall time is there for what hangs; training on a machine with ten times more work than cores must
not meet it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SECONDS = 1800
HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread of torch, where a test's module has loaded it."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests of this folder that set no limit of their own a longer one than all others."""
    for item in items:
        if HERE in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))
