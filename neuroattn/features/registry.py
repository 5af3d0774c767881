"""Choices of the backbone group and the stage ``features``.

Imported by the command line at start-up, so it names code and never imports it. A further
size of EfficientNet-Lite is a subclass of `EfficientNetLiteConfig` with its own ``name``,
``image_size`` and ``layers``, one entry in `BACKBONES` and one YAML file: the network's table
(`efficientnet_lite.VARIANTS`) and the weights' table (`weights.WHEELS`) already know it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Choice, execution, science
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.stage import Stage
from neuroattn.training.registry import Precision


class Resize(Enum):
    """How a picture that is not square becomes square."""

    squash = "squash"
    crop = "crop"


class Interpolation(Enum):
    """Kernel of the antialiased resize."""

    bilinear = "bilinear"
    bicubic = "bicubic"


@dataclass(kw_only=True)
class BackboneConfig(Choice):
    """Keys that every image backbone has."""

    layers: list[str] = science([], "Layers whose maps are stored, by the backbone's own names.")
    image_size: int = science(
        224,
        "Side of the square picture that the network sees, pixels.",
        check=lambda side: 32 <= side <= 1024,
        must="lie between 32 and 1024",
    )
    pool: int | None = science(
        7,
        "Maps with a larger grid are averaged to this many cells a side; null keeps every cell.",
        check=lambda side: side is None or side >= 1,
        must="be 1 or more, or null",
    )
    resize: Resize = science(
        Resize.squash,
        "squash (the whole picture, as it was shown) or crop (the largest centred square).",
    )
    interpolation: Interpolation = science(
        Interpolation.bilinear, "bilinear (never overshoots) or bicubic; both antialiased."
    )
    precision: Precision = science(
        Precision.fp32, "Arithmetic of the network: fp32, bf16, or fp16 (on a GPU)."
    )
    weights: str | None = execution(
        None,
        "File of weights to use in place of the installed ones; its digest enters the fingerprint.",
    )


def lite_layers(blocks: int) -> Callable[[list[str]], bool]:
    """Predicate: layers of an EfficientNet-Lite with so many blocks, each once, at least one."""
    known = {"stem", *(f"blocks.{index}" for index in range(blocks)), "head", "pooled", "logits"}
    return lambda names: bool(names) and len(set(names)) == len(names) and known.issuperset(names)


@dataclass(kw_only=True)
class EfficientNetLiteConfig(BackboneConfig):
    """EfficientNet-Lite, trained on ImageNet.

    At 224 pixels, blocks 4, 7 and 10 of Lite0 have grids of 28, 14 and 14 cells a side and
    40, 80 and 112 channels. The default ``pool`` of 7 gives them one grid, so that a readout
    can join them cell by cell, in 22.7 kB a picture instead of 138. It is the schema's
    default and not only the YAML's, so that Python and the command line agree.
    """

    name: str = science("efficientnet_lite0", "The choice's name in its registry.")
    layers: list[str] = science(
        ["blocks.4", "blocks.7", "blocks.10"],
        "Layers whose maps are stored: stem, blocks.0 to blocks.15, head, pooled, logits.",
        check=lite_layers(16),
        must="name stem, blocks.0 to blocks.15, head, pooled or logits, each once, at least one",
    )


BACKBONES = Registry(
    "backbone",
    {
        "efficientnet_lite0": Entry(
            EfficientNetLiteConfig, "neuroattn.features.efficientnet_lite:build"
        ),
    },
)

STAGES = (
    Stage(
        name="features",
        version=1,
        about="run a frozen image network over every picture and store its maps as tokens",
        reads=("backbone",),
        parents=lambda _config: ("prepare",),
        leaves="neuroattn.features.weights:leaves",
        run="neuroattn.features.stage:run",
        label=lambda config: str(config.backbone.name),
    ),
)
