"""The contract of every decoder: what it is given, what it gives back, how it is stored.

A decoder is a class registered in `DECODERS` under a name, with a schema of its keys. The stage
``decode`` knows nothing else about it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.decoding.inputs import SubjectInput
from neuroattn.decoding.partial import Split
from neuroattn.decoding.prior import Bank
from neuroattn.decoding.targets import TargetSpace

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"
Rows = NDArray[np.float32]
Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SubjectRows:
    """The training rows of one subject.

    Parameters
    ----------
    subject : its name; empty where there is one.
    input : how responses became inputs.
    table : (rows, trs x width) inputs; mapped from a file.
    images : (rows,) image id of each; an image may stand on several rows.
    parcels : (targets,) name of each input's parcel, for decoders that ask for them.
    people : (rows,) number of the person of each row, where several share their targets.
    unpaired : (rows, trs x width) inputs of responses whose images are on neither side, or None.
    """

    subject: str
    input: SubjectInput
    table: Rows
    images: Ids
    parcels: NDArray[Any] | None = None
    people: Ids | None = None
    unpaired: Rows | None = None


@dataclass(frozen=True, kw_only=True)
class DecodingSet:
    """All that a decoder may learn from: nothing of the test side can be reached from here.

    Parameters
    ----------
    subjects : their training rows.
    space : of the targets; read it at training images only.
    selection : name of the set that chooses the best epoch, and its image ids.
    forbidden : image ids of the test side, so that using one is refused.
    make_prior : from the training side to the prior of the config.
    blurs : whether that is another than none.
    seed : derive named streams from it.
    work : folder for resumable state, gone when the artefact is done.
    """

    subjects: Sequence[SubjectRows]
    space: TargetSpace
    selection: tuple[str, Ids]
    forbidden: Ids
    make_prior: Callable[[Bank], Any]
    seed: int
    work: Path
    blurs: bool = False
    device: str = "auto"
    tracker: Any = None
    open_progress: Callable[[str, int | None], AbstractContextManager[Any]] | None = None


@runtime_checkable
class FittedDecoder(Protocol):
    """A decoder after training."""

    def embed(self, subject: int, inputs: Rows) -> Rows:
        """Embeddings (rows, dim) that are retrieved with, of inputs (rows, trs x width)."""

    def module(self, subject: int) -> Callable[[Any], Any]:
        """The same on torch tensors, differentiable."""

    def split(self, subject: int) -> Split | None:
        """The decoder cut behind its first layer, where that is one linear map; else None."""

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Named arrays and a JSON description from which `Decoder.restore` makes it again."""

    def gallery(self, images: Ids) -> Rows:
        """Embeddings (images, dim) in which pictures are looked for."""


@runtime_checkable
class Decoder(Protocol):
    """A decoder before training; constructed with its own config section."""

    def fit(self, train: DecodingSet) -> FittedDecoder:
        """Learn from the training side alone."""

    def methods(self) -> str:
        """A sentence for the Methods text, without a full stop."""


def write_decoder(out: ArtefactWriter, model: FittedDecoder) -> None:
    """Write a fitted decoder as ``model.safetensors`` and ``model.json``."""
    arrays, description = model.state()
    write_arrays(out, WEIGHTS, arrays)
    out.json(DESCRIPTION, description)


def write_arrays(out: ArtefactWriter, name: str, arrays: dict[str, NDArray[Any]]) -> None:
    """Write a sidecar of arrays by name."""
    from safetensors.numpy import save_file

    with out.file(name) as path:
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, path)
