"""The contract of priors: which embedding of its picture a brain is matched with, row by row.

A prior is a module, kept inside the network that is trained: whatever it remembers is a
persistent buffer, and whatever it learns a parameter, so that a resumed run knows both. Its code
is made by ``PRIORS.load(name)(config, bank)``. During training, and only then,

- `targets_for` is asked for the embeddings of a batch,
- `observe` is told how similar the pairs of this batch were, those of mixed trials left out,
- `end_epoch` is called when all rows were seen, before the first batch of the next epoch.

With several processes all of them are told the same rows in the same order, so their states agree.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn


class Reads(Protocol):
    """What gives embeddings of pictures by blur: `neuroattn.decoding.targets.TargetSpace`."""

    @property
    def strengths(self) -> Sequence[float]:
        """Stored blur strengths, ascending; 0 is the original."""

    def read(self, images: ArrayLike, strength: float = 0.0) -> NDArray[np.float32]:
        """Embeddings (images, dim) of these image ids, on the scale that is trained on."""


@dataclass(frozen=True, eq=False)
class Bank:
    """All that a prior may know of the training side.

    Parameters
    ----------
    space : gives embeddings at each strength.
    images : (rows,) image id of each training row.
    subjects : (rows,) number of each row's subject, from 0.
    reliability : gives (rows,) how well the repeats of a row's image agree, NaN where unknown.
    blur : kind and parameters of the stored blur; empty where only originals are stored.
    """

    space: Reads
    images: NDArray[np.int64]
    subjects: NDArray[np.int64]
    reliability: Callable[[], NDArray[np.float64]] | None = None
    blur: dict[str, Any] | None = None


@runtime_checkable
class Prior(Protocol):
    """What a decoder's training asks; see the module's text for when."""

    def targets_for(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows dim"]:
        """Embeddings that these training rows are to be matched with now."""

    def observe(self, rows: Int[Tensor, " rows"], similarities: Float[Tensor, " rows"]) -> None:
        """Take in how similar each row's embedding was to its target, without gradient."""

    def end_epoch(self) -> None:
        """All rows were seen."""

    def gallery(self, images: NDArray[np.int64]) -> Float[Tensor, "images dim"]:
        """Embeddings in which pictures are looked for when the decoder is tested."""


class Plain(nn.Module):
    """The picture as it was shown: ``prior=none``.

    Parameters
    ----------
    bank : of the training side.
    """

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self.space = bank.space
        ids, place = np.unique(bank.images, return_inverse=True)
        self.register_buffer("table", torch.from_numpy(bank.space.read(ids)), persistent=False)
        self.register_buffer("place", torch.from_numpy(place.astype(np.int64)), persistent=False)
        self.table: Tensor
        self.place: Tensor

    def targets_for(self, rows: Int[Tensor, " rows"]) -> Float[Tensor, "rows dim"]:
        """The original's embedding of each row."""
        return self.table[self.place[rows]]

    def observe(self, rows: Int[Tensor, " rows"], similarities: Float[Tensor, " rows"]) -> None:
        """Nothing depends on it."""

    def end_epoch(self) -> None:
        """Nothing changes."""

    def gallery(self, images: NDArray[np.int64]) -> Float[Tensor, "images dim"]:
        """The originals' embeddings."""
        return torch.from_numpy(self.space.read(images))
