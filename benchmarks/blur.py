"""Blur levels and priors beside going without: the bank's cost, and an epoch's.

**Bank.** Three blur levels and the original are four passes of the network; pictures are decoded
once, and a level's own blur is two products with a matrix a channel (25 MFLOP at 128 pixels). The
aim: no more than four times one pass, so a ratio of 1.0 to that floor.

**Epoch.** A prior replaces one gather of target rows by another, and scatters one number a pair
into its state. The aim: within 5 % of an epoch with ``prior=none``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from benchmarks.harness import Table, milliseconds, ratio, take_turns
from neuroattn.decoding.losses import info_nce, unit
from neuroattn.decoding.prior import Bank
from neuroattn.decoding.prior_schemas import PRIORS, NoPriorConfig, PriorConfig, UbpPriorConfig
from neuroattn.features.blur import Blur
from neuroattn.features.blur_schemas import BlurConfig
from neuroattn.features.registry import BACKBONES, EfficientNetLiteConfig
from neuroattn.features.stage import unit_pixels

CPU = torch.device("cpu")
LEVELS = [7.1, 8.0, 8.9]
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
    """Both, in turns with what they are held against."""
    side, groups, turns = (64, 1, 1) if tiny else (128, 8, 5)
    rows, dim, inputs = (2048, 64, 100) if tiny else (16_384, 512, 4250)
    ours, floor = bank(groups, side)
    first = take_turns({"ours": ours, "floor": floor}, turns)
    priors = {"ours": UbpPriorConfig(), "floor": NoPriorConfig()}
    second = take_turns({k: epoch(one, rows, dim, inputs) for k, one in priors.items()}, turns)
    told = {
        f"bank of four levels, against its floor of four passes, {GROUP * groups} pictures": first,
        f"epoch with prior=ubp, {rows:,} pairs, {inputs:,} inputs, {dim} wide": second,
    }
    return Table(
        title="Blur levels and the blur prior",
        columns=("what", "time", "held against", "ratio"),
        rows=[
            (name, milliseconds(found["ours"]), milliseconds(found["floor"]),
             ratio(found["ours"], found["floor"]))
            for name, found in told.items()
        ],
        notes=(
            "The bank is held against four passes of the network, the epoch against prior=none.",
            f"{turns} turns. The aims are 1.00 a pass, and 1.05.",
        ),
    )  # fmt: skip
