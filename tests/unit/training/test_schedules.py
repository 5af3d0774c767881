from __future__ import annotations

import math

import pytest
import torch

from neuroattn.training.registry import ScheduleConfig, ScheduleKind
from neuroattn.training.schedules import build_schedule


def course(epochs: int = 10, per_epoch: int = 10, **keys: object) -> list[float]:
    schedule = build_schedule(ScheduleConfig(**keys), per_epoch, epochs)
    return [schedule(step) for step in range(epochs * per_epoch)]


def test_known_values_of_each_curve() -> None:
    assert course(kind=ScheduleKind.constant) == [1.0] * 100
    cosine = course(kind=ScheduleKind.cosine)
    assert cosine[0] == 1.0
    assert cosine[25] == pytest.approx(0.5 * (1 + math.sqrt(0.5)))
    assert cosine[50] == pytest.approx(0.5)
    linear = course(kind=ScheduleKind.linear, final=0.2)
    assert linear[50] == pytest.approx(0.6)
    assert linear[99] == pytest.approx(0.208)
    exponential = course(kind=ScheduleKind.exponential, final=0.25)
    assert exponential[50] == pytest.approx(0.5)


def test_cosine_agrees_with_torch() -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([weight], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=100, eta_min=0.1)
    for ours in course(kind=ScheduleKind.cosine, final=0.1):
        assert ours == pytest.approx(theirs.get_last_lr()[0], abs=1e-9)
        optimiser.step()
        theirs.step()


def test_step_drops_at_the_start_of_its_epochs() -> None:
    factors = course(kind=ScheduleKind.step, step_every=4, step_factor=0.5)
    assert factors[39] == 1.0
    assert factors[40] == 0.5
    assert factors[79:81] == [0.5, 0.25]


def test_warmup_rises_from_the_first_step_and_the_curve_follows() -> None:
    factors = course(kind=ScheduleKind.cosine, warmup=0.5)
    assert factors[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert factors[5] == 1.0  # the curve begins where the warm-up ends
    assert factors[5:] == sorted(factors[5:], reverse=True)
    assert factors[-1] > 0


@pytest.mark.parametrize("kind", list(ScheduleKind))
def test_every_factor_is_between_0_and_1(kind: ScheduleKind) -> None:
    for warmup in (0.0, 0.3, 9.99):
        assert all(0 < factor <= 1 for factor in course(kind=kind, warmup=warmup, final=0.1))
