from __future__ import annotations

import math
import pickle
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from neuroattn.core.errors import DataError
from neuroattn.training.ledger import BrokenStepError, Entry, Ledger, Row


def fake(device: str = "cuda", scale: float | None = None) -> Any:
    scaler = None if scale is None else SimpleNamespace(get_scale=lambda: scale)
    return SimpleNamespace(device=torch.device(device), num_processes=1, scaler=scaler)


def entry(step: int, loss: float = 1.0, norm: float | None = None) -> Entry:
    tensor = None if norm is None else torch.tensor(norm)
    return Entry(step, epoch=2, batch=step, loss=torch.tensor(loss), norm=tensor)


def test_on_a_gpu_losses_are_fetched_together() -> None:
    ledger = Ledger(fake(), every=3)
    assert ledger.add(entry(1, 0.5)) == []
    assert ledger.add(entry(2, 0.25)) == []
    assert ledger.add(entry(3, 2.0)) == [Row(1, 0.5, None), Row(2, 0.25, None), Row(3, 2.0, None)]
    assert ledger.settle() == []


def test_on_a_cpu_they_are_fetched_at_once() -> None:
    assert Ledger(fake("cpu"), every=3).add(entry(1, 0.5, 4.0)) == [Row(1, 0.5, 4.0)]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_broken_loss_is_named_with_its_step_although_it_is_seen_later(value: float) -> None:
    ledger = Ledger(fake(), every=4)
    for step, loss in ((1, 1.0), (2, value), (3, value)):
        ledger.add(entry(step, loss))
    with pytest.raises(DataError, match=rf"the loss is {value} at step 2 \(epoch 3\)") as caught:
        ledger.settle()
    assert isinstance(caught.value, BrokenStepError)
    assert caught.value.batch == (2, 2)
    assert "optimiser.lr" in str(caught.value.fix)


def test_a_broken_gradient_is_named_unless_the_loss_scale_handles_it() -> None:
    with pytest.raises(DataError, match="the gradient's norm is inf at step 1"):
        Ledger(fake("cpu"), every=1).add(entry(1, norm=math.inf))
    assert Ledger(fake("cpu", scale=1024.0), 1).add(entry(1, norm=math.inf)) == [Row(1, 1.0, None)]


def test_a_loss_scale_that_collapsed_is_an_error() -> None:
    with pytest.raises(DataError, match="gradient"):
        Ledger(fake("cpu", scale=2.0**-15), every=1).add(entry(1, norm=math.inf))


def test_the_error_crosses_processes() -> None:
    with pytest.raises(BrokenStepError) as caught:
        Ledger(fake("cpu"), every=1).add(entry(7, math.nan))
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (str(copy), copy.batch) == (str(caught.value), (2, 7))
