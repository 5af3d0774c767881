from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from omegaconf import OmegaConf

from neuroattn.core.config import science_values, walk
from neuroattn.core.errors import ConfigError
from neuroattn.training.registry import (
    OptimiserConfig,
    Precision,
    ScheduleConfig,
    ScheduleKind,
    StoppingConfig,
    TrainingConfig,
)

HEAVY = ("torch", "accelerate", "safetensors", "numpy", "pandas", "scipy")


def test_the_registry_needs_no_heavy_package() -> None:
    blocked = "; ".join(f"sys.modules[{name!r}] = None" for name in HEAVY)
    code = f"import sys; {blocked}; import neuroattn.training.registry as r; r.TrainingConfig()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_every_key_says_what_it_is_and_what_it_changes() -> None:
    keys = list(walk(TrainingConfig()))
    assert all(key.doc.endswith(".") and key.role in {"science", "execution"} for key in keys)
    execution = {key.path for key in keys if key.role == "execution"}
    assert execution == {"checkpoint_every", "log_every", "deterministic"}


def test_values_are_typed_as_a_user_types_them() -> None:
    typed = OmegaConf.from_dotlist(
        ["precision=bf16", "schedule.kind=step", "stopping.patience=5", "clip_norm=0.1"]
    )
    merged = OmegaConf.merge(OmegaConf.structured(TrainingConfig), typed)
    config: Any = OmegaConf.to_object(merged)
    assert config.precision is Precision.bf16
    assert config.schedule.kind is ScheduleKind.step
    assert (config.stopping.patience, config.clip_norm) == (5, 0.1)


def test_precision_is_science_and_checkpointing_is_not() -> None:
    config = TrainingConfig(precision=Precision.bf16, checkpoint_every=7, log_every=1)
    changed = {
        key.path for key in walk(config) if key.role == "science" and key.value != key.default
    }
    assert changed == {"precision"}
    assert science_values(walk(config), ("checkpoint_every", "log_every")) == {}


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (TrainingConfig, {"epochs": 0}),
        (TrainingConfig, {"batch_size": 0}),
        (TrainingConfig, {"accumulate": 0}),
        (TrainingConfig, {"clip_norm": 0.0}),
        (TrainingConfig, {"epochs": 2, "schedule": ScheduleConfig(warmup=2.0)}),
        (OptimiserConfig, {"lr": 0.0}),
        (OptimiserConfig, {"betas": [0.9, 1.0]}),
        (OptimiserConfig, {"betas": [0.9]}),
        (ScheduleConfig, {"kind": ScheduleKind.exponential}),
        (StoppingConfig, {"patience": 0}),
    ],
)
def test_values_that_cannot_be_run_are_refused(kind: type, keys: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        kind(**keys)
