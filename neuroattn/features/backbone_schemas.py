"""Keys that every backbone has: how pictures come to it, and what of its maps is kept."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Choice, execution, science, section
from neuroattn.core.errors import ConfigError
from neuroattn.features.blur_schemas import BlurConfig
from neuroattn.training.registry import Precision


class Resize(Enum):
    """How a picture that is not square becomes square."""

    squash = "squash"
    crop = "crop"
    pad = "pad"  # as it is, at the top left, on the mean colour of photographs


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
        "squash (the whole picture, as it was shown), crop (the largest centred square) or pad (at"
        " its own size, top left, the rest in the mean colour; a larger one is shrunk).",
    )
    crop_fraction: float = science(
        1.0,
        "Share of that square's side that a crop keeps; networks are often tested with 0.875.",
        check=lambda share: 0 < share <= 1,
        must="be above 0 and at most 1",
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
    blur: BlurConfig = section(BlurConfig, "Blurred pictures, stored beside the originals.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.crop_fraction < 1 and self.resize is not Resize.crop:
            raise ConfigError(
                "a share of the centre is kept only by a crop",
                expected="backbone.resize=crop beside backbone.crop_fraction below 1",
                found=f"backbone.resize={self.resize.value}",
                fix="set backbone.resize=crop, or leave backbone.crop_fraction out",
            )
