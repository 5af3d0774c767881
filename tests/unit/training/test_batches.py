from __future__ import annotations

import os
import signal
from contextlib import closing

import numpy as np
import pytest
import torch

from neuroattn.core.errors import DataError
from neuroattn.training.batches import (
    Batch,
    EvaluationLoader,
    Reader,
    TensorSource,
    describe_non_finite,
    read,
    usable_workers,
)
from neuroattn.training.sampler import Indices, Sampler
from neuroattn.training.signals import STOP_SIGNALS

from .training_toy import ToySource

MAIN = os.getpid()


class StoppedReader(ToySource):
    """Sends every stop signal to its own process, if that is a reader."""

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        if os.getpid() != MAIN:
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
                os.kill(os.getpid(), number)
        return super().batch(indices, rng)


def test_readers_give_the_same_batches_as_none() -> None:
    reader = Reader(ToySource(), Sampler(40, 6, seed=5))
    alone = list(read(reader, 2, range(1, 7)))
    helped = list(read(reader, 2, range(1, 7), workers=2))
    assert len(alone) == 6
    for left, right in zip(alone, helped, strict=True):
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_readers_leave_the_global_streams_alone() -> None:
    before = torch.get_rng_state()
    reader = Reader(ToySource(), Sampler(40, 6))
    list(read(reader, 0, range(2), workers=1))
    assert torch.equal(torch.get_rng_state(), before)


def test_readers_outlive_stop_signals() -> None:
    reader = Reader(StoppedReader(), Sampler(40, 6))
    assert len(list(read(reader, 0, range(7), workers=1))) == 7


class HandlerSource(ToySource):
    """Says in its batches whether stop signals are ignored where it is read."""

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        handlers = [signal.getsignal(number) for number in STOP_SIGNALS]
        return {"ignored": torch.tensor([handler == signal.SIG_IGN for handler in handlers])}


def test_readers_ignore_stop_signals_and_the_main_process_does_not() -> None:
    reader = Reader(HandlerSource(), Sampler(40, 6))
    (batch,) = read(reader, 0, range(1), workers=1)
    assert batch["ignored"].tolist() == [True, True, True]
    (batch,) = read(reader, 0, range(1))
    assert batch["ignored"].tolist() == [False, False, False]


def test_a_closed_stream_ends_its_readers() -> None:
    reader = Reader(ToySource(), Sampler(40, 6))
    with closing(read(reader, 0, range(7), workers=1)) as batches:
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_no_more_readers_are_started_than_can_run() -> None:
    assert usable_workers(0) == 0
    assert 1 <= usable_workers(10_000) <= (os.cpu_count() or 1)


def test_tensors_in_memory_are_a_source() -> None:
    source = TensorSource({"x": torch.arange(10), "y": torch.arange(20).reshape(10, 2)})
    batch = source.batch(np.array([3, 1]), np.random.default_rng())
    assert batch["x"].tolist() == [3, 1]
    assert batch["y"].tolist() == [[6, 7], [2, 3]]
    assert len(source) == 10


def test_tensors_of_different_length_are_refused() -> None:
    with pytest.raises(DataError, match="different numbers of rows"):
        TensorSource({"x": torch.zeros(3), "y": torch.zeros(4)})


def test_an_evaluation_loader_can_be_walked_twice_in_order() -> None:
    loader = EvaluationLoader(
        TensorSource({"x": torch.arange(5)}), batch_size=2, device=torch.device("cpu")
    )
    walks = [[batch["x"].tolist() for batch in loader] for _ in range(2)]
    assert walks == [[[0, 1], [2, 3], [4]]] * 2
    assert len(loader) == 3


def test_non_finite_values_are_named_with_their_tensor() -> None:
    batch = {"x": torch.tensor([1.0, float("nan"), float("inf")]), "image": torch.tensor([1])}
    assert describe_non_finite(batch) == "'x' holds 2 non-finite values"
    assert describe_non_finite({"x": torch.zeros(3)}) == ""
