"""Memory of training a transformer readout, against the number of images.

Features and responses lie in mapped files, as the stage ``encode`` hands them over; only a batch
and blocks of fixed size are in memory, so what is added must not grow with the images.

Floor: weights, gradients and the two moments of the optimiser, 4 bytes each, and the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import Table, peak_mib, ratio
from neuroattn.encoding.attention_readout import AttentionReadout
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import AttentionConfig
from neuroattn.encoding.tokens import Shape
from neuroattn.training.registry import TrainingConfig

COUNTS = {True: (40, 80), False: (1000, 10_000)}
TOKENS, DIM, TARGETS, BATCH = 49, 64, 2000, 16


class Mapped:
    """A feature store in a mapped file: image id = row."""

    layers = ["all"]  # noqa: RUF012

    def __init__(self, path: Path, images: int) -> None:
        self.values = np.lib.format.open_memmap(
            path, mode="w+", dtype=np.float16, shape=(images, TOKENS, DIM)
        )
        rng = np.random.default_rng(0)
        for start in range(0, images, 500):
            part = self.values[start : start + 500]
            part[:] = rng.normal(size=part.shape)

    def shape(self, layer: str) -> tuple[int, int, int]:  # noqa: ARG002
        """(images, tokens, dim)."""
        images, tokens, dim = self.values.shape
        return images, tokens, dim

    def read(self, layer: str, images: Any = None) -> Any:  # noqa: ARG002
        """Rows in the order asked for."""
        return self.values if images is None else self.values[np.asarray(images)]


def training(images: int) -> Callable[[], object]:
    """One epoch, prepared."""
    folder = Path(mkdtemp())
    store = Mapped(folder / "features.npy", images)
    responses = np.lib.format.open_memmap(
        folder / "responses.npy", mode="w+", dtype=np.float32, shape=(images, TARGETS)
    )
    rng = np.random.default_rng(1)
    for start in range(0, images, 500):
        part = responses[start : start + 500]
        part[:] = rng.normal(size=part.shape)
    train = TrainingSet(
        features=store, images=np.arange(images), responses=responses, targets=targets(), seed=0,
        work=folder / "work", device="cpu",
    )  # fmt: skip
    return lambda: readout().fit(train)


def targets() -> pd.DataFrame:
    """Targets of ten regions."""
    names = [f"R{index % 10}" for index in range(TARGETS)]
    return pd.DataFrame({"hemisphere": "lh", "rois": names})


def readout() -> AttentionReadout:
    """A small transformer readout."""
    training = TrainingConfig(epochs=1, batch_size=BATCH)
    return AttentionReadout(AttentionConfig(heads=4, hidden=64, training=training))


def floor() -> float:
    """MiB of weights, gradients, moments and a batch."""
    shapes = {"all": Shape((7, 7), DIM)}
    ours = readout()
    network = ours.network(ours.plan(targets(), shapes), shapes)
    weights = sum(weight.numel() for weight in network.parameters())
    return (16 * weights + 4 * BATCH * (TOKENS * DIM + TARGETS)) / 2**20


def run(tiny: bool) -> Table:
    """Peak memory for few and for many images."""
    few, many = COUNTS[tiny]
    added = {count: peak_mib("benchmarks.training_memory:training", count) for count in (few, many)}
    rows = [
        [f"{count:,}", f"{count * TARGETS * 4 / 2**20:.0f} MiB",
         f"{count * TOKENS * DIM * 2 / 2**20:.0f} MiB", f"{mib:.0f} MiB", ratio(mib, added[few])]
        for count, mib in added.items()
    ]  # fmt: skip
    rows.append(["floor", "", "", f"{floor():.0f} MiB", ratio(floor(), added[few])])
    return Table(
        title="Memory of training a transformer readout",
        columns=("images", "responses", "features", "memory added", "relative to the first"),
        rows=rows,
        notes=(
            f"One epoch, batch 16, {TOKENS} tokens of {DIM} channels, {TARGETS:,} targets.",
            "Memory is the process's own; pages of mapped files belong to the page cache.",
        ),
    )
