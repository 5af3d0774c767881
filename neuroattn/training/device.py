"""Device, precision and processes, through accelerate, which is kept quiet and stateless here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, GradientAccumulationPlugin
from torch import nn

from neuroattn.core.errors import ConfigError
from neuroattn.training.registry import Precision

_MIXED = {Precision.fp32: "no", Precision.bf16: "bf16", Precision.fp16: "fp16"}
_PROCESSES = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
_PATCHED = ("forward", "_original_forward", "_is_accelerate_prepared")


def mixed_precision(precision: Precision) -> str:
    """The word that accelerate has for a precision; fp32 is ``"no"``."""
    return _MIXED[precision]


def check_device(device: str) -> None:
    """Refuse a device that is not there.

    Raises
    ------
    ConfigError : the device has no valid name or this machine has none of its kind.
    """
    if device == "auto":
        return
    try:
        kind = torch.device(device).type
        there = kind == "cpu" or torch.get_device_module(kind).is_available()
    except (RuntimeError, AttributeError):
        there = False
    if not there:
        raise ConfigError(
            "the device is not there",
            expected="auto, cpu, cuda, cuda:<n> or mps, as this machine has it",
            found=device,
            fix="set runtime.device=auto",
        )


@contextmanager
def _chosen(device: str) -> Iterator[None]:
    """Tell accelerate which device to take; under a launcher each process has its own already."""
    if device == "auto" or "LOCAL_RANK" in os.environ:
        yield
        return
    before = os.environ.get("ACCELERATE_TORCH_DEVICE")
    os.environ["ACCELERATE_TORCH_DEVICE"] = device
    try:
        yield
    finally:
        del os.environ["ACCELERATE_TORCH_DEVICE"]
        if before is not None:
            os.environ["ACCELERATE_TORCH_DEVICE"] = before


def build_accelerator(precision: Precision, device: str = "auto") -> Accelerator:
    """An accelerator for one run.

    accelerate keeps the settings of the first accelerator of a process for ever; they are
    dropped here, so that runs of different precision can follow each other. A process group
    that a launcher made is kept. Gradient accumulation is the loop's own affair.

    Raises
    ------
    ConfigError : the device is not there, fp16 is asked for on a CPU (accelerate would
        compute in fp32 without a word), or the launcher asks for sharded training.
    """
    check_device(device)
    AcceleratorState._reset_state(reset_partial_state=not torch.distributed.is_initialized())
    with _chosen(device):
        PartialState(cpu=device == "cpu")
        _check_precision(precision, PartialState().device)
        accelerator = Accelerator(
            cpu=device == "cpu",
            mixed_precision=mixed_precision(precision),
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        )
    if accelerator.distributed_type not in _PROCESSES:
        raise ConfigError(
            "sharded training is not supported",
            expected="one process, or data-parallel processes",
            found=accelerator.distributed_type.value,
            fix="launch with plain data parallelism: accelerate launch --multi_gpu",
        )
    return accelerator


def _check_precision(precision: Precision, device: torch.device) -> None:
    if precision is Precision.fp16 and device.type == "cpu":
        raise ConfigError(
            "fp16 training needs a GPU",
            expected="training.precision=fp32 or bf16 on a CPU",
            found="training.precision=fp16",
            fix="set training.precision=bf16, or runtime.device=cuda on a machine with a GPU",
        )


@contextmanager
def unpatched_after(model: nn.Module) -> Iterator[None]:
    """Take accelerate's precision wrapper off ``model`` when the block ends.

    Its own unwrapping would strip every other decorator of ``forward`` as well.
    """
    before = {name: model.__dict__[name] for name in _PATCHED if name in model.__dict__}
    try:
        yield
    finally:
        for name in _PATCHED:
            model.__dict__.pop(name, None)
        model.__dict__.update(before)


@contextmanager
def repeatable_kernels(device: torch.device, wanted: bool) -> Iterator[None]:
    """Ask a GPU for kernels that give the same bits each time; a CPU does so by itself.

    Operations without such a kernel still run: the result is then equal up to rounding.
    """
    if device.type != "cuda" or not wanted:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.are_deterministic_algorithms_enabled()
    lenient = torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*deterministic.*", category=UserWarning)
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=lenient)
