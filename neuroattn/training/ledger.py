"""Losses of past steps, fetched from the device in batches.

Reading a loss makes the processor wait for the accelerator. So losses are kept on the device
and looked at together; the ledger still names the step at which one went wrong. It must be
settled before a checkpoint, so that no broken weights are ever saved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor

from neuroattn.core.errors import DataError

FIX = (
    "lower optimiser.lr, set clip_norm, use precision=fp32 or bf16, "
    "or look for NaN in the features and responses"
)
# A loss scale starts at 2^16 and halves with each overflow: this is 30 overflows in a row.
LOWEST_SCALE = 2.0**-14


@dataclass(frozen=True)
class Entry:
    """One optimiser step: its number (from 1), epoch and first batch (from 0), and its figures."""

    step: int
    epoch: int
    batch: int
    loss: Tensor
    norm: Tensor | None


@dataclass(frozen=True)
class Row:
    """An `Entry` with its figures fetched; ``norm`` is None where nothing was clipped."""

    step: int
    loss: float
    norm: float | None


class BrokenStepError(DataError):
    """A step whose loss or gradient is not finite; ``batch`` is its first (epoch, batch)."""

    batch: tuple[int, int] = (0, 0)


class Ledger:
    """Entries that were not looked at yet.

    Parameters
    ----------
    accelerator : fetches, and averages over processes.
    every : entries to wait for on an accelerator device; on the CPU waiting gains nothing.
    """

    def __init__(self, accelerator: Accelerator, every: int) -> None:
        self._accelerator = accelerator
        self._every = 1 if accelerator.device.type == "cpu" else every
        self._entries: list[Entry] = []

    def add(self, entry: Entry) -> list[Row]:
        """Take one step; returns the rows fetched now, often none."""
        self._entries.append(entry)
        return self.settle() if len(self._entries) >= self._every else []

    def settle(self) -> list[Row]:
        """Fetch all entries, in order.

        Raises
        ------
        BrokenStepError : a loss or a gradient is NaN or infinite, at the step it names.
        """
        entries, self._entries = self._entries, []
        if not entries:
            return []
        losses = self._fetch([entry.loss for entry in entries])
        norms: list[float | None] = [None] * len(entries)
        if entries[0].norm is not None:  # clipping is on for the whole run or not at all
            norms = list(self._fetch([entry.norm for entry in entries if entry.norm is not None]))
        rows = [self._row(*columns) for columns in zip(entries, losses, norms, strict=True)]
        self._check_scale(entries[-1])
        return rows

    def _row(self, entry: Entry, loss: float, norm: float | None) -> Row:
        if not math.isfinite(loss):
            raise broken("loss", loss, entry)
        if norm is not None and not math.isfinite(norm):
            if self._accelerator.scaler is None:
                raise broken("gradient's norm", norm, entry)
            norm = None  # fp16 overflowed: the step was skipped and the loss scale halved
        return Row(entry.step, loss, norm)

    def _fetch(self, scalars: list[Tensor]) -> list[float]:
        stacked = torch.stack([scalar.detach().float().reshape(()) for scalar in scalars])
        if self._accelerator.num_processes > 1:
            stacked = self._accelerator.reduce(stacked, "mean")
        return [float(value) for value in stacked.cpu()]

    def _check_scale(self, last: Entry) -> None:
        scaler = self._accelerator.scaler
        if scaler is not None and scaler.get_scale() < LOWEST_SCALE:
            raise broken("gradient's norm", math.inf, last)


def broken(what: str, value: float, entry: Entry) -> BrokenStepError:
    """The error of a step whose loss or gradient is not finite."""
    error = BrokenStepError(
        f"the {what} is {value} at step {entry.step} (epoch {entry.epoch + 1})",
        expected="a finite number",
        found=value,
        fix=FIX,
    )
    error.batch = (entry.epoch, entry.batch)
    return error
