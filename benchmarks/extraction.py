"""Feature extraction: the stage ``features`` against the bare network on the same batches.

For each picture the stage hashes and decodes the file, fits it to 224 x 224, runs the network
(0.49 GFLOP up to ``blocks.10``), pools, rounds to fp16, hashes the row, and writes 22.7 kB. Only
the network is work that a peer must do as well, so the floor is the network alone: the same
groups of eight pictures, already decoded in memory, as many groups at once as the stage takes.
The aim is a ratio of 1.3.
"""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Table, ratio, take_turns
from neuroattn.cli.compose import compose
from neuroattn.core.sections import RuntimeConfig
from neuroattn.data.dataset import open_dataset
from neuroattn.data.generated import generate
from neuroattn.features.backbones import Backbone
from neuroattn.features.images import fit_picture
from neuroattn.features.parallel import ordered_map
from neuroattn.features.registry import BACKBONES
from neuroattn.features.stage import fixed_groups, groups_at_once, one_thread_a_group, unit_pixels
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.config import RootConfig

CPU = torch.device("cpu")


def configured(data: Path, root: Path, tiny: bool) -> RootConfig:
    """The config of a run below ``root``."""
    small = ["backbone.image_size=64"] if tiny else []
    return compose([f"dataset.root={data}", f"paths.root={root}", "runtime.device=cpu", *small])


def network_alone(config: RootConfig) -> object:
    """Pictures in memory through the network, in the groups and threads of the stage."""
    backbone: Backbone = BACKBONES.load(config.backbone.name)(config.backbone, CPU)
    stimuli, side = open_dataset(config.dataset).stimuli, config.backbone.image_size
    pictures = np.stack([fit_picture(stimuli.read(int(i)), side) for i in stimuli.ids])
    groups = [
        unit_pixels(pictures[rows.start : rows.stop], CPU)
        for rows in fixed_groups(len(pictures), backbone.group)
    ]

    def compute(group: torch.Tensor) -> int:
        with torch.inference_mode():
            return len(backbone.tokens(group))

    def run() -> None:
        with one_thread_a_group() as threads:
            workers = groups_at_once(RuntimeConfig(), CPU, threads)
            for _ in ordered_map(compute, groups, workers):
                pass

    return run


def run(tiny: bool) -> Table:
    """Time both on generated pictures."""
    images, turns = (8, 1) if tiny else (960, 3)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        data = generate(home / "data", images=images, targets=2, repeats=1)
        prepared = run_stage("prepare", configured(data, home / "prepared", tiny)).folder
        number = itertools.count()

        def stage() -> None:
            config = configured(data, home / f"run-{next(number)}", tiny)
            config.use = {"prepare": str(prepared)}
            run_stage("features", config)

        bare = network_alone(configured(data, home, tiny))
        seconds = take_turns({"stage": stage, "bare": bare}, turns)  # type: ignore[dict-item]
    names = {"stage": "the stage features, file to store", "bare": "floor: the network alone"}
    return Table(
        title=f"Feature extraction, EfficientNet-Lite0 to blocks.10, {images} pictures",
        columns=("contender", "pictures a second", "time relative to the network"),
        rows=[
            (names[key], f"{images / value:.1f}", ratio(value, seconds["bare"]))
            for key, value in seconds.items()
        ],
        notes=(
            "The stage includes planning, digests, loading the weights and the records of a run.",
            f"{turns} turns. The aim is 1.30.",
        ),
    )
