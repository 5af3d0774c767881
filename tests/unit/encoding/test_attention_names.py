"""Each region's attention stands under its own name: a quadrant is planted for each query."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from neuroattn.core.stage import StageContext
from neuroattn.data.registry import SplitConfig, SplitKind
from neuroattn.encoding import stage
from neuroattn.encoding.registry import AttentionConfig, Norm, Place
from neuroattn.features.registry import EfficientNetLiteConfig
from neuroattn.training.registry import (
    Mode,
    OptimiserConfig,
    StoppingConfig,
    TrainingConfig,
)

from .conftest import IMAGES, TARGETS, Store

Array = np.ndarray[Any, Any]
SIDE, DIM = 4, 3
# The one target that reads each query alone, and the quadrant planted for it.
PLANTED = {"lh.V1": (0, 0), "lh.V2": (2, 1), "lh.rest": (4, 2), "rh.rest": (3, 3), "rh.V4": (5, 0)}


class Quadrants(Store):
    """Tokens on a grid of 4 x 4, and responses that read one quadrant each."""

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(5)
        self.layers = ["late"]
        tokens = rng.normal(size=(IMAGES, SIDE * SIDE, DIM))
        self.values = {"late": tokens.astype(np.float16)}
        rows, columns = np.divmod(np.arange(SIDE * SIDE), SIDE)
        self.quadrant = 2 * (rows >= SIDE // 2) + (columns >= SIDE // 2)
        self.signal = np.zeros((IMAGES, TARGETS))
        for target, quadrant in PLANTED.values():
            means = tokens[:, self.quadrant == quadrant].mean(1)
            self.signal[:, target] = means @ rng.normal(size=DIM)
        self.signal[:, 1] = rng.normal(size=IMAGES)  # reads two queries: no map is its own

    def responses(self, trials: Any, _: Array) -> Array:
        return self.signal[trials["image"].to_numpy() - 10].astype(np.float32)


def test_each_map_peaks_in_the_quadrant_planted_for_its_name(
    context_for: Callable[..., StageContext],
) -> None:
    training = TrainingConfig(
        epochs=50, optimiser=OptimiserConfig(lr=0.05),
        stopping=StoppingConfig(monitor="r", mode=Mode.max),
    )  # fmt: skip
    encoder = AttentionConfig(
        heads=1, hidden=0, dropout=0.0, norm=Norm.none, place=Place.free, training=training
    )
    store = Quadrants()
    context = context_for(
        "quadrants", encoder=encoder, features=store, change=store.responses,
        split=SplitConfig(kind=SplitKind.random),
    )  # fmt: skip
    context.config.backbone = EfficientNetLiteConfig()  # of which pictures would be kept
    stage.run(context)
    with h5py.File(context.out.folder / "attention.h5") as file:
        names = [str(name) for name in file.attrs["queries"]]
        maps = file["fold-0/attention"][:].astype(np.float64).mean(0)
        grid = tuple(file.attrs["grid"])
    assert grid == (SIDE, SIDE)
    found = {
        name: int(np.argmax([maps[names.index(name)][store.quadrant == q].sum() for q in range(4)]))
        for name in PLANTED
    }
    assert found == {name: quadrant for name, (_, quadrant) in PLANTED.items()}
