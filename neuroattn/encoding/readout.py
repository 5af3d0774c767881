"""The contract of every readout: what it is given, what it gives back, how it is stored.

A readout is a class registered in `ENCODERS` under a name, with a schema of its keys. One of
another package comes as a plug-in (docs/plugins.md). The stage ``encode`` knows nothing else
about it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.errors import ArtefactError, ConfigError, NeuroattnError
from neuroattn.encoding.registry import ENCODERS, EncoderConfig
from neuroattn.stats.planted import Truth

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.json"


@runtime_checkable
class Features(Protocol):
    """Stored features of images, layer by layer (`neuroattn.features.store.FeatureStore`)."""

    @property
    def layers(self) -> list[str]:
        """Names of the stored layers."""

    def shape(self, layer: str) -> tuple[int, int, int]:
        """(images, tokens, dim) of a layer."""

    def read(self, layer: str, images: Any = None) -> NDArray[np.float16]:
        """(images, tokens, dim) of these image ids, in this order."""


@dataclass(frozen=True, kw_only=True)
class TrainingSet:
    """All that a readout may learn from: nothing of the test images can be reached from here.

    Parameters
    ----------
    features : the feature store; read it at ``images`` only.
    images : (rows,) image id of each row; an image may stand on several rows.
    responses : (rows, targets) measured responses; of several subjects only if the readout says
        that it can (`Readout`).
    targets : one row per target, in column order.
    seed : seed of this fold; derive named streams from it.
    work : folder for resumable state of this fold, gone when the artefact is done.
    device : ``auto``, ``cpu``, ``cuda``, …
    tracker, open_progress : take metrics, and open a reporter over so many steps; None where
        nobody listens.
    planted : opens the planted truth of a simulation, for the oracle alone; None elsewhere.
    """

    features: Features
    images: NDArray[np.int64]
    responses: NDArray[np.float32]
    targets: pd.DataFrame
    seed: int
    work: Path
    device: str = "auto"
    tracker: Any = None
    open_progress: Callable[[str, int | None], AbstractContextManager[Any]] | None = None
    planted: Callable[[], Truth] | None = None


@runtime_checkable
class FittedReadout(Protocol):
    """A readout after training."""

    def predict(self, features: Features, images: NDArray[np.int64]) -> NDArray[np.float32]:
        """Predicted responses (images, targets) of these image ids."""

    def module(self) -> Any:
        """A torch module from tokens by layer to responses (images, targets), differentiable."""

    def state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Named arrays and a JSON description from which `Readout.restore` makes it again."""

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Further columns (targets,) of ``scores.tsv``, such as the penalty.

        ``r_selection``, r on training images held out to select, is kept fold by fold as well: an
        ensemble weighs by it.
        """


@runtime_checkable
class Attends(Protocol):
    """A fitted readout that can say where it looks."""

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the queries."""

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the tokens."""

    def attention(self, features: Features, images: NDArray[np.int64]) -> NDArray[np.float16]:
        """Weights (images, queries, tokens) over heads; they sum to 1 over tokens."""


@runtime_checkable
class Readout(Protocol):
    """A readout before training; constructed with its own config section.

    One whose attribute ``joint`` is true takes several subjects at once: its responses are then
    `neuroattn.encoding.joint.SubjectResponses`. All others are fitted subject by subject.
    """

    def fit(self, train: TrainingSet) -> FittedReadout:
        """Learn from the training set alone."""

    def restore(self, arrays: dict[str, NDArray[Any]], description: Any) -> FittedReadout:
        """Make a fitted readout from what `FittedReadout.state` gave."""

    def methods(self) -> str:
        """A sentence for the Methods text, without a full stop."""


def write_model(out: ArtefactWriter, folder: str, model: FittedReadout) -> None:
    """Write a fitted readout as ``<folder>/model.safetensors`` and ``<folder>/model.json``."""
    from safetensors.numpy import save_file

    arrays, description = model.state()
    with out.file(f"{folder}/{WEIGHTS}") as path:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, path)
    out.json(f"{folder}/{DESCRIPTION}", description)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Named arrays of a safetensors file."""
    from safetensors.numpy import load_file

    return dict(load_file(path))


def chosen_layers(features: Features, wanted: list[str] | None) -> list[str]:
    """The layers to read, in the order asked for; None asks for all.

    Raises
    ------
    ConfigError : one of them was not stored.
    """
    absent = [name for name in wanted or () if name not in features.layers]
    if absent:
        raise ConfigError(
            f"the backbone stored no layer {', '.join(absent)}",
            expected=" | ".join(features.layers),
            found=", ".join(absent),
            fix="choose encoder.layers among them, or add the layer to backbone.layers",
        )
    return list(features.layers if wanted is None else wanted)


def read_model(config: EncoderConfig, artefact: Artefact, folder: str) -> FittedReadout:
    """The fitted readout that `write_model` put into ``folder`` of an artefact.

    Raises
    ------
    ArtefactError : it was stored in a form that this version does not know.
    """
    readout: Readout = ENCODERS.load(config.name)(config)
    arrays = read_arrays(artefact.path(f"{folder}/{WEIGHTS}"))
    description = artefact.json(f"{folder}/{DESCRIPTION}")
    try:
        return readout.restore(arrays, description)
    except NeuroattnError as error:
        error.file = error.file or str(artefact.folder / folder)
        raise
    except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ArtefactError(
            "this model was stored in another form",
            file=artefact.folder / folder,
            expected=f"what this version of neuroattn writes for encoder={config.name}",
            found=f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            fix="load it with the version of neuroattn that wrote it, or fit it again",
        ) from error
