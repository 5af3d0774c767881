"""An epoch of a contrastive decoder beside its matrix floor, and beside encoding images anew.

27,000 trials of 15,724 voxels against embeddings of 9,000 images, width 1,024. FLOPs of a trial
with W voxels, width H, B residual blocks and D dimensions, forward and backward:

    first layer   4 W H       (its input needs no gradient)
    blocks        12 B H^2
    head          6 H D
    logits        6 b D       (a batch of b brains and as many images)

Floor: these at the speed of a float32 matrix product of the shapes of the first layer, which has
nearly all of them. The loop that re-encodes pictures is the public one: it passes every picture
of a batch through the image network at every step; here that is EfficientNet-Lite0, which is a
thousandth of the ViT-bigG that it is there, and its time is added to the same step.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.harness import Table, milliseconds, ratio, take_turns
from neuroattn.decoding.decoder import DecodingSet, SubjectRows
from neuroattn.decoding.decoder_schemas import Pool, Scale
from neuroattn.decoding.inputs import SubjectInput
from neuroattn.decoding.network import DecoderNetwork
from neuroattn.decoding.network_schemas import RidgeMlpConfig
from neuroattn.decoding.prior import Plain
from neuroattn.decoding.ridge_mlp import RidgeMlpDecoder
from neuroattn.decoding.targets import Block, TargetSpace
from neuroattn.decoding.task import DecodingTask
from neuroattn.decoding.trained import bank_of
from neuroattn.training.optimisers import build_optimiser
from neuroattn.training.sampler import Sampler

HIDDEN, BLOCKS, DIM = 1024, 2, 768


@dataclass(frozen=True)
class Size:
    """One problem."""

    trials: int = 27_000
    voxels: int = 15_724
    images: int = 9_000
    batch: int = 512

    @property
    def flops(self) -> float:
        """Of a trial, forward and backward, as in the module's docstring."""
        inside = 12 * BLOCKS * HIDDEN**2 + 6 * HIDDEN * DIM + 6 * self.batch * DIM
        return 4 * self.voxels * HIDDEN + inside

    @property
    def steps(self) -> int:
        """Of an epoch."""
        return -(-self.trials // self.batch)


FULL, TINY = Size(), Size(trials=96, voxels=64, images=32, batch=32)


class Store:
    """Random embeddings of images; reads like a feature store of one layer."""

    def __init__(self, images: int) -> None:
        self.table = np.random.default_rng(0).standard_normal((images, 1, DIM), dtype=np.float32)
        self.levels, self.blur = {0.0: ""}, dict[str, Any]()

    def read(self, layer: str, images: Any = None) -> NDArray[np.float32]:  # noqa: ARG002
        """(images, 1, dim)."""
        return self.table[np.asarray(images)]


def training_side(size: Size, folder: Path) -> DecodingSet:
    """A table of inputs in a file, as the stage leaves it, and a target space."""
    random = np.random.default_rng(1)
    shape = (size.trials, size.voxels)
    table = np.lib.format.open_memmap(
        folder / "inputs.npy", mode="w+", dtype=np.float32, shape=shape
    )
    for start in range(0, size.trials, 1000):
        rows = min(1000, size.trials - start)
        table[start : start + rows] = random.standard_normal((rows, size.voxels), dtype=np.float32)
    none, one = np.zeros(DIM, np.float32), np.ones(DIM, np.float32)
    block = Block("random", Store(size.images), "random", 1.0, DIM, none, one)  # type: ignore[arg-type]
    space = TargetSpace([block], Pool.mean, Scale.none, [])
    scale = np.ones(size.voxels, np.float32)
    given = SubjectInput(np.arange(size.voxels), 1, 0 * scale, scale)
    images = np.arange(size.trials) % size.images
    return DecodingSet(
        subjects=[SubjectRows("", given, table, images)], space=space,
        selection=("held_out", np.empty(0, np.int64)), forbidden=np.empty(0, np.int64),
        make_prior=Plain, seed=0, work=folder, device="cpu",
    )  # fmt: skip


class Epoch:
    """The steps of the training loop, without its checkpoints."""

    def __init__(self, size: Size, side: DecodingSet) -> None:
        self.config = RidgeMlpConfig(hidden=HIDDEN, blocks=BLOCKS)
        decoder = RidgeMlpDecoder(self.config)
        self.source, _ = decoder._sources(side)
        self.network = DecoderNetwork(
            decoder.encoder(side), DIM, 1, self.config, Plain(bank_of(side.space, self.source))
        )
        space = side.space
        self.task = DecodingTask(self.network, self.config.loss, space.slices, space.shares, 1)
        self.optimiser = build_optimiser(self.network, self.config.training.optimiser)
        self.sampler = Sampler(len(self.source), size.batch)

    def __call__(self, steps: int) -> None:
        """So many steps."""
        self.network.train()
        for step in range(steps):
            number = step % self.sampler.batches
            rows = self.sampler.indices(0, number)
            batch = self.source.batch(rows, self.sampler.stream(0, number))
            self.task.loss(self.network, batch).backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimiser.step()
            self.optimiser.zero_grad()


def floor(size: Size) -> float:
    """Seconds of an epoch at the measured speed of the first layer's product."""
    left, right = torch.randn(size.batch, size.voxels), torch.randn(size.voxels, HIDDEN)
    taken = take_turns({"product": lambda: left @ right}, 5)["product"]
    return size.trials * size.flops * taken / (2 * size.batch * size.voxels * HIDDEN)


def encoding_anew(size: Size) -> float:
    """Seconds of an epoch's passes of Lite0 over the pictures of its batches."""
    from neuroattn.features.efficientnet_lite_network import VARIANTS, EfficientNetLite

    count, side = (4, 32) if size is TINY else (16, 224)
    network = EfficientNetLite(next(iter(VARIANTS.values()))).eval()
    pictures = torch.rand(count, 3, side, side)

    def forward() -> None:
        with torch.no_grad():
            network(pictures, ("pooled",))

    return size.trials / count * take_turns({"pictures": forward}, 3)["pictures"]


def what(size: Size) -> str:
    """The problem in words."""
    return (
        f"{size.trials:,} trials of {size.voxels:,} voxels, {size.images:,} images, batch"
        f" {size.batch}, width {HIDDEN}, {BLOCKS} blocks, {DIM} dimensions, float32:"
        f" {size.trials * size.flops / 1e12:.2f} TFLOP."
    )


def run(tiny: bool) -> Table:
    """An epoch, its floor, and a loop that encodes pictures at every step."""
    size = TINY if tiny else FULL
    with TemporaryDirectory() as folder:
        epoch = Epoch(size, training_side(size, Path(folder)))
        steps = size.steps if tiny else 12
        taken = take_turns({"steps": lambda: epoch(steps)}, 1)["steps"] * size.steps / steps
    least, pictures = floor(size), encoding_anew(size)
    rows = [
        ["neuroattn, ridge_mlp", milliseconds(taken), f"{least / taken:.2f}", "1.00"],
        ["floor (matrix products)", milliseconds(least), "1.00", ratio(least, taken)],
        ["with pictures encoded anew (Lite0)", milliseconds(taken + pictures), "",
         ratio(taken + pictures, taken)],
    ]  # fmt: skip
    return Table(
        title="An epoch of contrastive decoding",
        columns=("contender", "an epoch", "share of the floor's speed", "relative to ours"),
        rows=rows,
        notes=(
            what(size),
            "Inputs are gathered from a mapped file.",
            f"Ours: {steps} of {size.steps} steps, scaled to an epoch.",
            "The image network here has 0.77 GFLOP a picture; a ViT-bigG a thousand times that.",
        ),
    )
