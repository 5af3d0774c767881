"""Batches: dicts of tensors read from cached features, with or without reader processes.

A frozen model never runs in a training loop: a source reads what the features stage wrote.
Random numbers for a batch come with the request for it, so neither the number of readers
nor a resumed run changes them.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from neuroattn.core.errors import DataError
from neuroattn.training.sampler import Indices, Sampler
from neuroattn.training.signals import held_stop_signals, ignore_stop_signals

Batch = dict[str, Tensor]


class BatchSource(Protocol):
    """Training or selection data: reads any set of samples in one go.

    With readers (``workers > 0``) the source is copied into other processes: it opens its
    files in `batch`, not before.
    """

    def __len__(self) -> int:
        """Number of samples."""

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Samples ``indices`` as CPU tensors whose first axis is the sample.

        ``rng`` belongs to this batch alone: equal in every run with the same seed.
        """


class TensorSource:
    """A source over tensors in memory, all with one row per sample.

    Raises
    ------
    DataError : the tensors have different numbers of rows.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.tensors = dict(tensors)
        lengths = {name: len(tensor) for name, tensor in self.tensors.items()}
        if len(set(lengths.values())) != 1:
            raise DataError(
                "tensors of one source have different numbers of rows",
                expected="one row per sample in each",
                found=lengths,
                fix="select the same images for every tensor",
            )
        self._length = next(iter(lengths.values()))

    def __len__(self) -> int:
        return self._length

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:  # noqa: ARG002
        """Rows ``indices`` of every tensor."""
        rows = torch.from_numpy(np.array(indices))
        return {name: tensor[rows] for name, tensor in self.tensors.items()}


@dataclass(frozen=True)
class Reader(Dataset[Batch]):
    """Reads batches of a source by (epoch, batch number); this is what goes to the readers."""

    source: BatchSource
    sampler: Sampler

    def __getitem__(self, key: tuple[int, int]) -> Batch:
        return self.source.batch(self.sampler.indices(*key), self.sampler.stream(*key))


def usable_workers(asked: int) -> int:
    """Reader processes that can run at once here; more of them only wait for each other."""
    available = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    return min(asked, available)


def read(
    reader: Reader, epoch: int, batches: Iterable[int], *, workers: int = 0, pin: bool = False
) -> Generator[Batch, None, None]:
    """Yield the given batches of one epoch in order; close the iterator to stop the readers."""
    keys = [(epoch, number) for number in batches]
    if workers == 0:
        yield from (reader[key] for key in keys)
        return
    loader: DataLoader[Batch] = DataLoader(
        reader,
        sampler=keys,
        batch_size=None,
        num_workers=usable_workers(workers),
        pin_memory=pin,
        worker_init_fn=ignore_stop_signals,
        generator=torch.Generator(),  # without it every epoch would draw from the global stream
    )
    with held_stop_signals():
        iterator = iter(loader)
    yield from iterator


class EvaluationLoader:
    """All batches of a source in order, on the model's device; can be walked through repeatedly.

    Parameters
    ----------
    source : the selection set.
    batch_size : samples of one batch.
    device : where the tensors go.
    workers : reader processes.
    """

    def __init__(
        self, source: BatchSource, batch_size: int, device: torch.device, workers: int = 0
    ) -> None:
        self.device, self.workers = device, workers
        self.reader = Reader(source, Sampler(len(source), batch_size, shuffle=False))

    def __len__(self) -> int:
        return self.reader.sampler.batches

    def __iter__(self) -> Iterator[Batch]:
        pin = self.device.type == "cuda"
        for batch in read(self.reader, 0, range(len(self)), workers=self.workers, pin=pin):
            yield to_device(batch, self.device)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on ``device``; from pinned memory the copy overlaps with computing."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def describe_non_finite(batch: Batch) -> str:
    """Which tensors of a batch hold NaN or infinity, and how many; empty where none does."""
    counts = {
        name: int((~torch.isfinite(tensor)).sum())
        for name, tensor in batch.items()
        if tensor.is_floating_point()
    }
    return ", ".join(
        f"'{name}' holds {count} non-finite values" for name, count in counts.items() if count
    )
