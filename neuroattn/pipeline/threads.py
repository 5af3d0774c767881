"""`runtime.threads`: one number for torch, BLAS and OpenMP while a stage runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Read by a library when it is loaded, which a stage may do late.
VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Hold torch, BLAS and OpenMP at ``count`` threads for the length of the block.

    None leaves them alone. Libraries that are loaded inside the block read the environment
    and keep the number; those that were there before get theirs back.
    """
    if count is None:
        yield
        return
    from threadpoolctl import threadpool_limits

    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, str(count)))
    try:
        with threadpool_limits(limits=count), _torch_threads(count):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    """As above for torch, if it is loaded: a report must not pay for its import."""
    if "torch" not in sys.modules:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
