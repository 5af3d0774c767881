"""Training a readout of the whole cortex on the CPU, and what of a step its loader takes.

Both hemispheres of fsaverage, 327,684 targets, each of which reads the query of its parcel (200 in
all), from 256 tokens of 768 channels: the published setting of Hwang et al. 2025 at a coarser grid.
Features and responses lie in mapped files, as the stage ``encode`` hands them over. The stage's own
fitting is called: weights, gradients, two moments, the epoch that is kept and the checkpoint.

Floor of memory: weights, gradients and two moments, 4 bytes each, V (D + 1) weights for V targets:
4.0 GiB of 252 million. Floor of a step: its FLOPs at the speed of a float32 matrix product and 7
passes of the optimiser over the weights at the speed of a copy, see `benchmarks.attention_step`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.harness import Table, milliseconds, peak_mib
from neuroattn.encoding.attention_readout import AttentionReadout
from neuroattn.encoding.readout import TrainingSet
from neuroattn.encoding.registry import AttentionConfig, QueryKind
from neuroattn.encoding.tokens import Shape, TokenSource
from neuroattn.encoding.trained import Network, response_statistics
from neuroattn.training.optimisers import build_optimiser
from neuroattn.training.registry import TrainingConfig

LIMIT_GB = 8


@dataclass(frozen=True)
class Size:
    """One problem; ``images`` are those of a short epoch, a tenth of them held out to select."""

    targets: int = 327_684
    parcels: int = 200
    side: int = 16
    dim: int = 768
    images: int = 72
    batch: int = 16


SIZES = {True: Size(targets=200, parcels=10, side=2, dim=16, images=20, batch=4), False: Size()}


class Mapped:
    """Features of one layer in a mapped file: image id = row."""

    layers = ["all"]  # noqa: RUF012

    def __init__(self, path: Path, size: Size) -> None:
        shape = (size.images, size.side**2, size.dim)
        table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
        rng = np.random.default_rng(0)
        for image in range(size.images):
            table[image] = rng.standard_normal(shape[1:], dtype=np.float32)
        table.flush()
        self.values = np.load(path, mmap_mode="r")

    def shape(self, layer: str) -> tuple[int, int, int]:  # noqa: ARG002
        """(images, tokens, dim)."""
        images, tokens, dim = self.values.shape
        return images, tokens, dim

    def read(self, layer: str, images: Any = None) -> Any:  # noqa: ARG002
        """Rows in the order asked for."""
        return self.values if images is None else np.array(self.values[np.asarray(images)])


def training(folder: Path, size: Size) -> tuple[TrainingSet, AttentionReadout]:
    """A training set in files, and the readout."""
    path = folder / "responses.npy"
    shape = (size.images, size.targets)
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    rng = np.random.default_rng(1)
    for image in range(size.images):
        table[image] = rng.standard_normal(size.targets, dtype=np.float32)
    table.flush()
    side = np.where(np.arange(size.targets) < size.targets // 2, "lh", "rh")
    targets = pd.DataFrame({"hemisphere": side, "rois": ""})
    half = -(-size.targets // size.parcels)
    np.save(folder / "atlas.npy", np.arange(size.targets) // half)
    train = TrainingSet(
        features=Mapped(folder / "features.npy", size), images=np.arange(size.images),
        responses=np.load(path, mmap_mode="r"), targets=targets, seed=0, work=folder / "work",
        device="cpu",
    )  # fmt: skip
    config = AttentionConfig(
        queries=QueryKind.parcels,
        atlas=str(folder / "atlas.npy"),
        parcel_size=1,
        training=TrainingConfig(epochs=1, batch_size=size.batch),
    )
    return train, AttentionReadout(config)


def epoch(tiny: bool) -> Callable[[], object]:
    """One epoch of the stage's fitting, prepared."""
    train, readout = training(Path(mkdtemp()), SIZES[tiny])
    return lambda: readout.fit(train)


def timed(size: Size) -> tuple[float, float]:
    """Seconds of one epoch's steps, and of them in the loader, after one step that warms up.

    A step is what the training loop does with a batch: read, forward, backward, clip, update.
    """
    with TemporaryDirectory() as folder:
        train, readout = training(Path(folder), size)
        shapes = {"all": Shape((size.side, size.side), size.dim)}
        network = Network(shapes, readout.network(readout.plan(train.targets, shapes), shapes))
        network.front.learn(train.features, train.images)
        optimiser = build_optimiser(network, readout.config.training.optimiser)
        mean, sd = response_statistics(train.responses)
        source = TokenSource(
            train.features, ["all"], train.images, train.responses, mean, sd, train.images
        )
        task, stream = readout.task(train.targets), np.random.default_rng(0)
        loader = steps = 0.0
        for start in range(0, size.images - size.batch + 1, size.batch):
            began = time.perf_counter()
            batch = source.batch(np.arange(start, start + size.batch), stream)
            loaded = time.perf_counter()
            optimiser.zero_grad()
            task.loss(network, batch).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 0.1)
            optimiser.step()
            if start:
                loader += loaded - began
                steps += time.perf_counter() - began
        return steps, loader


def run(tiny: bool) -> Table:
    """Peak memory of an epoch, seconds of a step, and the share of its loader."""
    size = SIZES[tiny]
    added = peak_mib("benchmarks.whole_brain:epoch", tiny)
    steps, loader = timed(size)
    count = max(1, size.images // size.batch - 1)
    least = 16 * size.targets * (size.dim + 1) / 2**20
    rows = [
        ["memory of one epoch", f"{added / 1024:.2f} GiB", f"{LIMIT_GB / 1.073741824:.2f} GiB"],
        ["floor: weights, gradients, moments", f"{least / 1024:.2f} GiB", ""],
        ["one step", milliseconds(steps / count), ""],
        ["the loader's share of it", f"{100 * loader / steps:.1f} %", "5 %"],
    ]
    setting = (
        f"{size.parcels} parcels as queries, 16 heads, {size.side**2} tokens of {size.dim}"
        f" channels, batch {size.batch}, float32; {size.images} images, features and responses"
        " in mapped files, which are in the page cache."
    )
    counted = (
        "Memory is the process's own, over the whole fit: the epoch that is kept and the"
        " checkpoint of a resumable run are part of it."
    )
    return Table(
        title=f"Training the whole cortex on the CPU, {size.targets:,} targets",
        columns=("what", "measured", "limit"),
        rows=rows,
        notes=(setting, counted),
    )
