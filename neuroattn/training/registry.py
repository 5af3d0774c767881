"""Configuration of training, without torch: composing and validating a config imports none of it.

Encoders, decoders and generators nest `TrainingConfig` in their own schemas and pass it to
`neuroattn.training.loop.fit`. Enum members are lower-case because they are what a user types:
``training.schedule.kind=cosine``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Section, execution, science, section
from neuroattn.core.errors import ConfigError


class Precision(Enum):
    """Arithmetic of the forward and backward pass; weights and optimiser state stay fp32."""

    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"


class OptimiserKind(Enum):
    """Update rules."""

    adamw = "adamw"


class Decay(Enum):
    """Which parameters are decayed: those with two or more axes, or all."""

    matrices = "matrices"
    all = "all"


class ScheduleKind(Enum):
    """Course of the learning rate after the warm-up."""

    constant = "constant"
    cosine = "cosine"
    linear = "linear"
    exponential = "exponential"
    step = "step"


class Mode(Enum):
    """Whether a smaller or a greater monitored metric is better."""

    min = "min"
    max = "max"


@dataclass(kw_only=True)
class OptimiserConfig(Section):
    """AdamW (Loshchilov and Hutter 2019, Algorithm 2)."""

    kind: OptimiserKind = science(OptimiserKind.adamw, "The update rule: adamw.")
    lr: float = science(
        3e-4, "Learning rate at its height.", check=lambda x: x > 0, must="be above 0"
    )
    weight_decay: float = science(
        1e-4,
        "Decoupled weight decay, per unit of learning rate.",
        check=lambda x: x >= 0,
        must="be 0 or more",
    )
    betas: list[float] = science(
        [0.9, 0.999],
        "Decay rates of the running mean and the running square of the gradient.",
        check=lambda pair: len(pair) == 2 and all(0 <= x < 1 for x in pair),
        must="be two numbers, each at least 0 and below 1",
    )
    eps: float = science(
        1e-8, "Added to the root of the running square.", check=lambda x: x > 0, must="be above 0"
    )
    decay: Decay = science(
        Decay.matrices,
        "What is decayed: matrices (no biases, norms or scalars) or all.",
    )


@dataclass(kw_only=True)
class ScheduleConfig(Section):
    """Learning rate over the run, as a factor on ``optimiser.lr``."""

    kind: ScheduleKind = science(
        ScheduleKind.cosine, "constant, cosine, linear, exponential or step."
    )
    warmup: float = science(
        0.0,
        "Linear warm-up from 0, in epochs; fractions are allowed.",
        check=lambda x: x >= 0,
        must="be 0 or more",
    )
    final: float = science(
        0.0,
        "Factor at the end of cosine, linear and exponential (which needs it above 0).",
        check=lambda x: 0 <= x <= 1,
        must="be from 0 to 1",
    )
    step_every: int = science(
        10, "Epochs between two drops of step.", check=lambda n: n >= 1, must="be 1 or more"
    )
    step_factor: float = science(
        0.5, "Factor of each drop of step.", check=lambda x: 0 < x <= 1, must="be above 0, up to 1"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind is ScheduleKind.exponential and self.final == 0:
            raise ConfigError(
                "an exponential schedule never reaches 0",
                expected="final above 0",
                found=self.final,
                fix="set schedule.final, as in schedule.final=0.5",
            )


@dataclass(kw_only=True)
class StoppingConfig(Section):
    """When to stop, and which moment is the best one; judged on the selection set."""

    monitor: str = science("loss", "Name of the metric that the task's evaluation returns.")
    mode: Mode = science(Mode.min, "min where a smaller metric is better, else max.")
    patience: int | None = science(
        None,
        "Stop after so many evaluations in a row without improvement; None never stops early.",
        check=lambda n: n is None or n >= 1,
        must="be 1 or more, or null",
    )
    min_delta: float = science(
        0.0,
        "An improvement must exceed this; an equal value is none, so the earliest best is kept.",
        check=lambda x: x >= 0,
        must="be 0 or more",
    )


@dataclass(kw_only=True)
class TrainingConfig(Section):
    """One training run."""

    epochs: int = science(
        15, "Passes over the training images.", check=lambda n: n >= 1, must="be 1 or more"
    )
    batch_size: int = science(
        64,
        "Samples of one forward pass, over all processes together.",
        check=lambda n: n >= 1,
        must="be 1 or more",
    )
    accumulate: int = science(
        1,
        "Batches whose gradients make one optimiser step, weighted by their samples.",
        check=lambda n: n >= 1,
        must="be 1 or more",
    )
    drop_last: bool = science(False, "Leave out the last batch of an epoch where it is smaller.")
    clip_norm: float | None = science(
        None,
        "Largest norm of the whole gradient; None does not clip.",
        check=lambda x: x is None or x > 0,
        must="be above 0, or null",
    )
    precision: Precision = science(
        Precision.fp32, "Arithmetic: fp32, bf16 or fp16 (GPU only, with loss scaling)."
    )
    evaluate_every: int = science(
        1,
        "Epochs between two evaluations; the last epoch is always evaluated.",
        check=lambda n: n >= 1,
        must="be 1 or more",
    )
    optimiser: OptimiserConfig = section(OptimiserConfig, "The update rule.")
    schedule: ScheduleConfig = section(ScheduleConfig, "The learning rate over the run.")
    stopping: StoppingConfig = section(StoppingConfig, "Early stopping and the best checkpoint.")
    checkpoint_every: int = execution(
        500,
        "Optimiser steps between two checkpoints; a new best and a stop signal save at once.",
        check=lambda n: n >= 1,
        must="be 1 or more",
    )
    log_every: int = execution(
        50,
        "Optimiser steps between two rows of training metrics.",
        check=lambda n: n >= 1,
        must="be 1 or more",
    )
    deterministic: bool = execution(
        True, "Ask a GPU for kernels that repeat bit by bit; slower by some per cent."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.schedule.warmup >= self.epochs:
            raise ConfigError(
                "the warm-up fills the whole training",
                expected=f"schedule.warmup below epochs ({self.epochs})",
                found=self.schedule.warmup,
                fix="shorten schedule.warmup or raise epochs",
            )
