"""Which samples make which batch: a pure function of the seed, the epoch and the batch number.

Nothing is drawn from a global stream and nothing is remembered, so a run resumes in the
middle of an epoch from two integers, and batches are the same for any number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.seeding import generator

Indices = NDArray[np.int64]


@lru_cache(maxsize=4)
def permutation(size: int, seed: int, epoch: int) -> Indices:
    """Order of ``size`` samples in one epoch, (size,); read-only, for it is shared."""
    order = generator(seed, "training.order", epoch).permutation(size)
    order.setflags(write=False)
    return order


@dataclass
class Position:
    """The batch that comes next; all that a checkpoint must hold of the sampler."""

    epoch: int = 0
    batch: int = 0

    def state_dict(self) -> dict[str, int]:
        """The position as JSON values."""
        return {"epoch": self.epoch, "batch": self.batch}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go to a position that `state_dict` gave."""
        self.epoch, self.batch = int(state["epoch"]), int(state["batch"])


@dataclass(frozen=True)
class Sampler:
    """Epochs over ``size`` samples, each a fresh permutation, cut into batches and steps.

    Parameters
    ----------
    size : number of samples.
    batch_size : samples of one batch over all processes.
    accumulate : batches of one optimiser step; the last step of an epoch may have fewer.
    seed : the run's seed.
    shuffle : False keeps the order of the samples.
    drop_last : leave out a smaller last batch.
    rank, world : this process and the number of processes. Each takes every ``world``-th
        sample of a batch; a batch is cut to a multiple of ``world``, so that the mean over
        processes is the mean over samples.

    Raises
    ------
    DataError : an epoch would have no batch.
    ConfigError : a batch has fewer samples than there are processes.
    """

    size: int
    batch_size: int
    accumulate: int = 1
    seed: int = 0
    shuffle: bool = True
    drop_last: bool = False
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch_size < self.world:
            raise ConfigError(
                "a batch has fewer samples than there are processes",
                expected=f"a batch size of at least {self.world}",
                found=self.batch_size,
                fix="raise training.batch_size or start fewer processes",
            )
        if self.batches == 0:
            raise DataError(
                "there are too few samples for one batch",
                expected=f"at least {self.batch_size if self.drop_last else self.world}",
                found=self.size,
                fix="lower training.batch_size, or set training.drop_last=false",
            )

    @property
    def batches(self) -> int:
        """Number of batches in an epoch."""
        full, rest = divmod(self.size, self.batch_size)
        return full + int(rest >= self.world and not self.drop_last)

    @property
    def steps(self) -> int:
        """Number of optimiser steps in an epoch."""
        return -(-self.batches // self.accumulate)

    def samples(self, batch: int) -> int:
        """Number of samples in a batch, over all processes."""
        rows = min(self.batch_size, self.size - batch * self.batch_size)
        return rows - rows % self.world

    def step_batches(self, batch: int) -> range:
        """The batches of the optimiser step that begins with ``batch``."""
        return range(batch, min(batch + self.accumulate, self.batches))

    def order(self, epoch: int) -> Indices:
        """All samples in the order of one epoch, (size,)."""
        if not self.shuffle:
            return np.arange(self.size, dtype=np.int64)
        return permutation(self.size, self.seed, epoch)

    def indices(self, epoch: int, batch: int) -> Indices:
        """Samples of one batch that this process reads, (samples / world,)."""
        start = batch * self.batch_size
        rows = self.order(epoch)[start : start + self.samples(batch)]
        return rows[self.rank :: self.world]

    def stream(self, epoch: int, batch: int) -> np.random.Generator:
        """Random numbers that belong to one batch, for augmentation while reading it."""
        return generator(self.seed, "training.batch", epoch, batch, self.rank)
