"""Learning-rate schedules as pure functions of the step.

A schedule holds no state, so resuming needs nothing but the step, and a plot of it needs no
model. Every function returns a factor on the learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from neuroattn.training.registry import ScheduleConfig, ScheduleKind

Schedule = Callable[[int], float]


def cosine(share: float, final: float) -> float:
    """Half a cosine from 1 to ``final`` over ``share`` in [0, 1] (SGDR, 2017, equation 5)."""
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * share))


def linear(share: float, final: float) -> float:
    """A straight line from 1 to ``final`` over ``share`` in [0, 1]."""
    return 1 - (1 - final) * share


def exponential(share: float, final: float) -> float:
    """Geometric decay from 1 to ``final`` (above 0) over ``share`` in [0, 1]."""
    return float(final**share)


def warmup(step: int, steps: int) -> float:
    """Rise from ``1 / steps`` at step 0 to 1 at step ``steps - 1``; no step is spent at 0."""
    return 1.0 if step >= steps else (step + 1) / steps


_CURVES: dict[ScheduleKind, Callable[[float, float], float]] = {
    ScheduleKind.cosine: cosine,
    ScheduleKind.linear: linear,
    ScheduleKind.exponential: exponential,
}


def factor(step: int, config: ScheduleConfig, steps_per_epoch: int, total: int) -> float:
    """Factor on the learning rate of optimiser step ``step`` (counted from 0) out of ``total``.

    Curves begin after the warm-up and would reach ``final`` at step ``total``, one past the
    last. Drops of ``step`` are counted from the first epoch, and the warm-up multiplies them.
    """
    warm = round(config.warmup * steps_per_epoch)
    rise = warmup(step, warm)
    if config.kind is ScheduleKind.constant:
        return rise
    if config.kind is ScheduleKind.step:
        drops = step // steps_per_epoch // config.step_every
        return float(rise * config.step_factor**drops)
    share = min(1.0, max(0, step - warm) / max(1, total - warm))
    return rise * _CURVES[config.kind](share, config.final)


def build_schedule(config: ScheduleConfig, steps_per_epoch: int, epochs: int) -> Schedule:
    """The schedule of one run as a function of the optimiser step, counted from 0."""
    return partial(
        factor, config=config, steps_per_epoch=steps_per_epoch, total=steps_per_epoch * epochs
    )
