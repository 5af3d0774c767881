"""A toy regression whose training draws on every random stream; seconds for a whole run."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.checkpoint import CheckpointStore
from neuroattn.training.registry import OptimiserConfig, TrainingConfig
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import SelectionSet, TrainingData

SAMPLES, INPUTS, OUTPUTS = 40, 6, 3


class ToyModel(nn.Module):
    """Two layers with dropout and batch norm, and a buffer that the task writes to."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.first = nn.Linear(INPUTS, width)
        self.norm = nn.BatchNorm1d(width)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(width, OUTPUTS)
        self.register_buffer("blur", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        hidden: Tensor = torch.relu(self.norm(self.first(x)))
        return self.last(self.drop(hidden))


class ToySource:
    """Rows of fixed random data; noise of the batch's own stream is added while reading."""

    def __init__(self, samples: int = SAMPLES, noise: float = 0.1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.x = rng.standard_normal((samples, INPUTS)).astype(np.float32)
        self.y = 2 * self.x[:, :OUTPUTS]
        self.noise = noise

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        noise = rng.standard_normal((len(indices), INPUTS)).astype(np.float32)
        x = torch.from_numpy(self.x[indices] + self.noise * noise)
        return {"x": x, "y": torch.from_numpy(self.y[indices])}


class ToyTask:
    """Squared error; touches the streams of Python and NumPy and counts its steps."""

    def __init__(self, at_step: Callable[[int], None] | None = None) -> None:
        self.at_step, self.calls = at_step, 0

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        if model.training:
            self.calls += 1
            if self.at_step is not None:
                self.at_step(self.calls)
            gain = 1 + 0.1 * random.random() + 0.1 * np.random.rand()  # noqa: NPY002
            batch = {**batch, "x": batch["x"] * gain}
        return nn.functional.mse_loss(model(batch["x"]), batch["y"])

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        losses = [float(self.loss(model, batch)) for batch in loader]
        return {"loss": sum(losses) / len(losses), "draw": random.random()}

    def on_epoch(self, model: nn.Module, epoch: int) -> None:
        # Depends on what was there before: a second call within an epoch would show.
        model.get_buffer("blur").add_(1.0 + epoch)


class Rows:
    """A tracker in memory."""

    def __init__(self) -> None:
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self.rows.append((step, dict(metrics)))

    def rewind(self, step: int) -> None:
        self.rows = [row for row in self.rows if row[0] is None or row[0] <= step]


def toy_model(width: int = 8, seed: int = 0) -> ToyModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ToyModel(width)


def toy_data(selection: bool = True, **source: Any) -> TrainingData:
    chosen = SelectionSet("selection", np.arange(100, 112), ToySource(12, seed=1))
    return TrainingData(
        train=ToySource(**source),
        train_images=np.arange(SAMPLES),
        selection=chosen if selection else None,
        test_images=np.arange(200, 210),
    )


def toy_config(**keys: Any) -> TrainingConfig:
    defaults: dict[str, Any] = {
        "epochs": 4,
        "batch_size": 6,
        "log_every": 3,
        "clip_norm": 1.0,
        "optimiser": OptimiserConfig(lr=0.02),
    }
    return TrainingConfig(**{**defaults, **keys})


def digest(value: Any) -> str:
    """SHA-256 of tensors and plain values, nested as they may be; equal only for equal bits."""
    total = hashlib.sha256()
    for part in _parts(value):
        total.update(part)
    return total.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, Tensor):
        yield value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            yield str(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _parts(item)
    else:
        yield repr(value).encode()


def final_state(folder: Path) -> str:
    """Digest of everything in the newest checkpoint: weights, optimiser, streams, best so far."""
    found = CheckpointStore(folder / "checkpoints").newest()
    assert found is not None
    return digest([found[1].weights, found[1].state, found[1].facts])


def scramble() -> None:
    """Put the global random streams anywhere: a run must not depend on where they stand."""
    value = int.from_bytes(np.random.default_rng().bytes(4), "big")
    random.seed(value)
    np.random.seed(value)  # noqa: NPY002
    torch.manual_seed(value)


def names(folder: Path) -> list[str]:
    """Checkpoints below a run's folder."""
    return sorted(path.name for path in (folder / "checkpoints").iterdir())
