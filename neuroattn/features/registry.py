"""Choices of the backbone group and the stage ``features``.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroattn.core.config import execution, science
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.stage import Stage
from neuroattn.features.backbone_schemas import BackboneConfig, Interpolation, Resize
from neuroattn.features.source_schemas import (
    ArraysSourceConfig,
    CaptionsSourceConfig,
    SourceConfig,
    SpaceBackboneConfig,
    SpaceCaptionsConfig,
)

__all__ = [  # keys stand in files of their own
    "ArraysSourceConfig",
    "BackboneConfig",
    "CaptionsSourceConfig",
    "Interpolation",
    "Resize",
    "SourceConfig",
    "SpaceBackboneConfig",
    "SpaceCaptionsConfig",
]


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


_LITE_DEEPER = "stem, blocks.0 to blocks.20, head, pooled, logits"


@dataclass(kw_only=True)
class EfficientNetLite1Config(EfficientNetLiteConfig):
    """EfficientNet-Lite1: another opinion than Lite0's, to judge what was made with Lite0.

    Blocks 6, 10 and 14 end the stages that blocks 4, 7 and 10 of Lite0 end.
    """

    name: str = science("efficientnet_lite1", "The choice's name in its registry.")
    image_size: int = science(240, "Side of the square picture that the network sees, pixels.")
    layers: list[str] = science(
        ["blocks.6", "blocks.10", "blocks.14"],
        f"Layers whose maps are stored: {_LITE_DEEPER}.",
        check=lite_layers(21),
        must=f"name some of {_LITE_DEEPER}, each once, at least one",
    )


@dataclass(kw_only=True)
class EfficientNetLite2Config(EfficientNetLite1Config):
    """EfficientNet-Lite2: wider than Lite1, with as many blocks."""

    name: str = science("efficientnet_lite2", "The choice's name in its registry.")
    image_size: int = science(260, "Side of the square picture that the network sees, pixels.")


@dataclass(kw_only=True)
class GaborConfig(BackboneConfig):
    """Energy of Gabor filters: a model of V1's complex cells, and a baseline for any network."""

    name: str = science("gabor", "The choice's name in its registry.")
    layers: list[str] = science(
        ["pyramid"],
        "pyramid (all frequencies on one grid), or scale.0, scale.1, … (a grid for each).",
        check=lambda names: bool(names) and len(set(names)) == len(names),
        must="name pyramid or scales, each once, at least one",
    )
    frequencies: list[float] = science(
        [1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        "Spatial frequencies, cycles per picture; per degree where `degrees` is set.",
        check=lambda found: bool(found) and min(found) > 0 and len(set(found)) == len(found),
        must="be positive and different, at least one",
    )
    degrees: float | None = science(
        None,
        "Side of the picture in degrees of visual angle; null counts cycles per picture.",
        check=lambda side: side is None or side > 0,
        must="be above 0, or null",
    )
    orientations: int = science(
        8,
        "Orientations, evenly spaced over 180 degrees; the first is horizontal.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )
    bandwidth: float = science(
        1.0,
        "Width of a filter at half its height, octaves; it sets the size of its envelope.",
        check=lambda octaves: 0 < octaves <= 3,
        must="be above 0 and at most 3",
    )
    colour: bool = science(
        False, "Filter the red-green and blue-yellow differences too, not luminance alone."
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


@dataclass(kw_only=True)
class TimmConfig(HubConfig):
    """Any network of the timm library, from a folder with its ``config.json``."""

    name: str = science("timm", "The choice's name in its registry.")
    model: str = execution(
        "timm/vit_base_patch14_reg4_dinov2.lvd142m", "Local folder or hub id of the model."
    )
    layers: list[str] = science(
        ["blocks.11"], "Modules by timm's own names; blocks.<i> also .query, .key or .value."
    )
    pool: int | None = science(None, "Cells a side to average to; null keeps every token.")


@dataclass(kw_only=True)
class OpenClipConfig(HubConfig):
    """Image side of any model of the open_clip library, from a folder with its own config."""

    name: str = science("open_clip", "The choice's name in its registry.")
    model: str = execution(
        "laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "Local folder or hub id of the model."
    )
    layers: list[str] = science(
        ["blocks.10"], "blocks.0, blocks.1, …, each also .query, .key or .value."
    )
    pool: int | None = science(None, "Cells a side to average to; null keeps every token.")


def _lite(schema: type) -> Entry:
    return Entry(
        schema,
        "neuroattn.features.efficientnet_lite:build",
        leaves="neuroattn.features.weights:leaves",
    )


def _hub(schema: type, module: str = "hub", files: str = "leaves") -> Entry:
    return Entry(
        schema,
        f"neuroattn.features.{module}:build",
        leaves=f"neuroattn.features.hub_files:{files}",
    )


BACKBONES = Registry(
    "backbone",
    {
        "efficientnet_lite0": _lite(EfficientNetLiteConfig),
        "efficientnet_lite1": _lite(EfficientNetLite1Config),
        "efficientnet_lite2": _lite(EfficientNetLite2Config),
        "gabor": Entry(GaborConfig, "neuroattn.features.gabor:build"),
        "dinov2_base": _hub(Dinov2BaseConfig),
        "dinov2_registers_base": _hub(Dinov2RegistersBaseConfig),
        "clip_vit_l14": _hub(ClipLargeConfig),
        "siglip2_base": _hub(Siglip2BaseConfig),
        "resnet50": _hub(ResNet50Config),
        "convnext_tiny": _hub(ConvNextTinyConfig),
        "timm": _hub(TimmConfig, "timm_models"),
        "arrays": Entry(
            ArraysSourceConfig,
            "neuroattn.features.sources:build",
            leaves="neuroattn.features.arrays_source:leaves",
        ),
        "captions": Entry(CaptionsSourceConfig, "neuroattn.features.sources:build"),
        "open_clip": _hub(OpenClipConfig, "open_clip_models", "open_clip_leaves"),
        "space": Entry(  # it stands above this room: named here, imported by nothing here
            SpaceBackboneConfig,
            "neuroattn.generators.backbone:build",
            leaves="neuroattn.generators.loading:space_leaves",
        ),
        "space_captions": Entry(
            SpaceCaptionsConfig,
            "neuroattn.features.sources:build",
            leaves="neuroattn.generators.caption_source:leaves",
        ),
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
