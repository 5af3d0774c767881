"""All embedded models at a size that trains in a second each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from neuroattn.core.config import restore
from neuroattn.generators.build import build
from neuroattn.generators.registry import MODELS, ModelConfig

SCENES = {"small": 24, "large": 0, "held": 8, "chunk": 16}
BOTH = {**SCENES, "large": 12}
DRAWN = {**SCENES, "small": 0, "near": 24}
TRAINING = {"epochs": 2, "batch_size": 8, "optimiser": {"lr": 2e-3}}
AUTOENCODER = {"widths": [8, 8, 8, 8], "latent_channels": 4, "norm_groups": 4}

TINY: dict[str, dict[str, Any]] = {
    "referee": {
        "scenes": {**BOTH, "near": 12, "stream": "referee"}, "side": 32, "widths": [8, 8, 16],
    },
    "space": {
        "scenes": BOTH, "image_size": 32, "dim": 16, "hidden": 16, "text_width": 16,
        "text_layers": 1, "text_heads": 2,
    },
    "captioner": {"scenes": BOTH, "prefix": 2, "width": 16, "layers": 1, "heads": 2},
    "autoencoder": {"scenes": SCENES, **AUTOENCODER},
    "tiny_autoencoder": {"scenes": SCENES, "width": 8},
    "generator": {
        "scenes": DRAWN, "widths": [8, 16], "blocks": 1, "heads": 2,
        "norm_groups": 4, "steps": 2, "judged": 4, "ema": 0.5,
    },
}  # fmt: skip


def tiny_config(name: str, **more: Any) -> ModelConfig:
    """The tiny configuration of a model."""
    values = {"training": TRAINING, **TINY[name], **more}
    made: ModelConfig = restore(MODELS[name].schema, values)
    return made


def build_all(root: Path) -> Path:
    """All six models in ``root``."""
    torch.set_num_threads(1)
    for name in MODELS:
        build(name, root, tiny_config(name), "cpu")
    return root
