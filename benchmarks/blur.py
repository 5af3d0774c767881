"""Blur levels and priors beside going without: the bank's cost, and an epoch's.

**Stage.** The stage ``features`` with three levels (the original and two blurs) against three times
the stage with the original alone: the same files, code and store. The aim is 1.0 and no more. What
is done once for all levels, decoding and hashing files above all, pays for what a level adds: two
products with a matrix a channel (25 MFLOP at 128 pixels).

**Bank.** The same without files and store: three blurs and the original against four passes of the
bare network, so 1.0 is a floor that nothing reaches.

**Epoch.** A prior replaces one gather of target rows by another, and scatters one number a pair
into its state. The aim: within 5 % of an epoch with ``prior=none``.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from benchmarks.harness import Spent, Table, milliseconds, ratio, spend_turns
from neuroattn.cli.compose import compose
from neuroattn.data.generated import generate
from neuroattn.decoding.losses import info_nce, unit
from neuroattn.decoding.prior import Bank
from neuroattn.decoding.prior_schemas import PRIORS, NoPriorConfig, PriorConfig, UbpPriorConfig
from neuroattn.features.blur import Blur
from neuroattn.features.blur_schemas import BlurConfig
from neuroattn.features.registry import BACKBONES, EfficientNetLiteConfig
from neuroattn.features.stage import unit_pixels
from neuroattn.pipeline.build import run_stage

CPU = torch.device("cpu")
LEVELS = [7.1, 8.0, 8.9]
STAGE_LEVELS = [8.0, 8.9]  # beside the original: three levels
GROUP = 8


class Space:
    """Random embeddings of pictures at each level."""

    def __init__(self, images: int, dim: int) -> None:
        self.strengths = (0.0, *LEVELS)
        shape = (len(self.strengths), images, dim)
        self.values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)

    def read(self, images: ArrayLike, strength: float = 0.0) -> NDArray[np.float32]:
        """Rows of a level."""
        return self.values[self.strengths.index(strength), np.asarray(images)]


def bank(groups: int, side: int) -> tuple[Any, Any]:
    """Four passes with blur, and one pass four times over."""
    config = EfficientNetLiteConfig(image_size=side, blur=BlurConfig(levels=LEVELS))
    backbone = BACKBONES.load("efficientnet_lite0")(config, CPU)
    pictures = np.random.default_rng(0).integers(0, 256, (GROUP, side, side, 3), dtype=np.uint8)
    blur = Blur(config.blur, side, CPU)

    def passes(number_of: Any) -> None:
        with torch.inference_mode():
            for _ in range(groups):
                pixels = unit_pixels(pictures, CPU)
                for number in range(len(LEVELS) + 1):
                    backbone.tokens(number_of(pixels, number))

    return lambda: passes(blur), lambda: passes(lambda pixels, _: pixels)


def stages(home: Path, images: int, side: int) -> tuple[Any, Any]:
    """The stage with three levels, and with the original alone, each run in a folder of its own."""
    data = generate(home / "data", images=images, targets=2, repeats=1)
    number = itertools.count()

    def configured(*words: str) -> Any:
        root = home / f"run-{next(number)}"
        places = [f"dataset.root={data}", f"paths.root={root}", "runtime.device=cpu"]
        return compose([*places, f"backbone.image_size={side}", *words])

    prepared = run_stage("prepare", configured()).folder

    def stage(levels: list[float]) -> None:
        config = configured("backbone.blur.kind=uniform", f"backbone.blur.levels={levels}")
        config.use = {"prepare": str(prepared)}
        run_stage("features", config)

    return lambda: stage(STAGE_LEVELS), lambda: stage([])


def epoch(config: PriorConfig, rows: int, dim: int, inputs: int) -> Any:
    """One epoch of a linear decoder under this prior, in batches of 1,024."""
    where = Bank(
        Space(rows, dim), np.arange(rows), np.zeros(rows, np.int64), blur={"kind": "fovea"}
    )
    prior = PRIORS.load(config.name)(config, where)
    brains = torch.randn(rows, inputs)
    layers = torch.nn.Linear(inputs, dim), torch.nn.GELU(), torch.nn.Linear(dim, dim)
    network = torch.nn.Sequential(*layers)
    optimiser = torch.optim.AdamW(network.parameters())

    def run() -> None:
        for batch in torch.randperm(rows).split(1024):
            target = unit(prior.targets_for(batch))
            similar = unit(network(brains[batch])) @ target.T
            info_nce(14.0 * similar, torch.arange(len(batch))).backward()
            prior.observe(batch, similar.detach().diagonal())
            optimiser.step()
            optimiser.zero_grad()
        prior.end_epoch()

    return run


def run(tiny: bool) -> Table:
    """All, in turns with what they are held against."""
    side, groups, turns, images = (64, 1, 1, 8) if tiny else (128, 8, 5, 480)
    rows, dim, inputs = (2048, 64, 100) if tiny else (16_384, 512, 4250)
    with tempfile.TemporaryDirectory() as folder:
        three, one = stages(Path(folder), images, side)
        whole = spend_turns({"ours": three, "floor": one}, turns, warmups=0 if tiny else 1)
    passes = len(STAGE_LEVELS) + 1
    whole["floor"] = Spent(passes * whole["floor"].wall, passes * whole["floor"].processor)
    ours, floor = bank(groups, side)
    first = spend_turns({"ours": ours, "floor": floor}, turns)
    priors = {"ours": UbpPriorConfig(), "floor": NoPriorConfig()}
    second = spend_turns({k: epoch(one, rows, dim, inputs) for k, one in priors.items()}, turns)
    told = {
        f"features, three levels, against three times one level, {images} pictures": whole,
        f"bank of four levels, against its floor of four passes, {GROUP * groups} pictures": first,
        f"epoch with prior=ubp, {rows:,} pairs, {inputs:,} inputs, {dim} wide": second,
    }
    return Table(
        title=f"Blur levels and the blur prior, {side} pixels",
        columns=("what", "time", "held against", "ratio", "ratio of processor time"),
        rows=[_row(name, found["ours"], found["floor"]) for name, found in told.items()],
        notes=(
            "Held against: three times the stage with the original; four bare passes; prior=none.",
            f"{turns} turns. The aims are 1.00, 1.00 a pass, and 1.05.",
        ),
    )


def _row(name: str, ours: Spent, floor: Spent) -> tuple[str, ...]:
    times = (milliseconds(ours.wall), milliseconds(floor.wall), ratio(ours.wall, floor.wall))
    return (name, *times, ratio(ours.processor, floor.processor))
