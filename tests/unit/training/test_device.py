from __future__ import annotations

import functools
import os
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError
from neuroattn.training.device import (
    build_accelerator,
    check_device,
    mixed_precision,
    repeatable_kernels,
    unpatched_after,
)
from neuroattn.training.registry import Precision

CPU = torch.device("cpu")


class Probe(nn.Module):
    """Notes the dtype of its hidden layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.hidden: torch.dtype | None = None

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.layer(x)
        self.hidden = hidden.dtype
        result: Tensor = hidden
        return result


@pytest.mark.parametrize(
    ("precision", "word"),
    [(Precision.fp32, "no"), (Precision.bf16, "bf16"), (Precision.fp16, "fp16")],
)
def test_each_precision_has_its_word(precision: Precision, word: str) -> None:
    assert mixed_precision(precision) == word


@pytest.mark.parametrize(
    ("precision", "hidden"), [(Precision.fp32, torch.float32), (Precision.bf16, torch.bfloat16)]
)
def test_precision_reaches_the_forward_pass_and_not_the_weights(
    precision: Precision, hidden: torch.dtype
) -> None:
    probe = Probe()
    accelerator = build_accelerator(precision, "cpu")
    with unpatched_after(probe):
        model = accelerator.prepare(probe)
        output = model(torch.zeros(1, 3))
    assert (probe.hidden, output.dtype) == (hidden, torch.float32)
    assert probe.layer.weight.dtype == torch.float32


def test_fp16_on_a_cpu_is_refused_rather_than_computed_in_fp32() -> None:
    with pytest.raises(ConfigError, match="fp16 training needs a GPU") as caught:
        build_accelerator(Precision.fp16, "cpu")
    assert "bf16" in str(caught.value.fix)


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="device is not there"):
        build_accelerator(Precision.fp32, "cuda")


@pytest.mark.parametrize("device", ["gpu", "tpu:0", ""])
def test_a_word_that_is_no_device_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match="device is not there"):
        check_device(device)


def test_runs_of_different_precision_can_follow_each_other() -> None:
    for precision in (Precision.bf16, Precision.fp32, Precision.bf16):
        accelerator = build_accelerator(precision, "cpu")
        assert accelerator.mixed_precision == mixed_precision(precision)
        assert accelerator.device == CPU


def test_accumulation_set_by_a_launcher_does_not_divide_the_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    assert build_accelerator(Precision.fp32, "cpu").gradient_accumulation_steps == 1


def test_the_environment_is_left_as_it_was() -> None:
    before = dict(os.environ)
    build_accelerator(Precision.fp32, "cpu")
    assert dict(os.environ) == before


def test_the_precision_wrapper_comes_off_and_other_wrappers_stay() -> None:
    calls: list[str] = []

    class Decorated(Probe):
        @staticmethod
        def noting(forward: Any) -> Any:
            @functools.wraps(forward)
            def wrapped(*args: Any) -> Any:
                calls.append("decorator")
                return forward(*args)

            return wrapped

        forward = noting(Probe.forward)

    model = Decorated()
    with unpatched_after(model):
        build_accelerator(Precision.bf16, "cpu").prepare(model)
    model(torch.zeros(1, 3))
    assert calls == ["decorator"]
    assert model.hidden == torch.float32
    assert "_is_accelerate_prepared" not in model.__dict__


def test_kernels_on_a_cpu_need_no_asking() -> None:
    with repeatable_kernels(CPU, wanted=True):
        assert not torch.are_deterministic_algorithms_enabled()
