"""Opening a generator: the family is read from the folder, and the parts must fit each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.generators.cards import CARD, read_card
from neuroattn.generators.contract import Generator, Identity
from neuroattn.generators.families import texts
from neuroattn.generators.families.common import EncodeTexts, LatentGenerator, Parts
from neuroattn.generators.families.embedded import EmbeddedGenerator, ImageVariation, by_space
from neuroattn.generators.families.stable_diffusion import (
    Consistency,
    StableDiffusion,
    StableDiffusionXL,
)
from neuroattn.generators.families.stable_diffusion_3 import StableDiffusion3
from neuroattn.generators.folders import Folder, tiny_decoder
from neuroattn.generators.places import INDEX, find_folder, find_tiny, leaves
from neuroattn.generators.registry import FolderGeneratorConfig, GeneratorChoice
from neuroattn.training.registry import Precision

_DTYPES: Final = {
    Precision.fp32: torch.float32,
    Precision.bf16: torch.bfloat16,
    Precision.fp16: torch.float16,
}


@dataclass(frozen=True)
class Family:
    """One family of generators.

    Parameters
    ----------
    make : the adapter over the parts.
    network : name of the part that predicts.
    texts : how it encodes texts; None where it reads none.
    """

    name: str
    make: Callable[[Parts, GeneratorChoice], LatentGenerator]
    network: str = "unet"
    texts: Callable[[Folder, Sequence[str]], dict[str, Tensor]] | None = None
    encoders: tuple[str, ...] = ()
    few_steps: bool = False


_SD = Family("stable_diffusion", lambda parts, _: StableDiffusion(parts), texts=texts.plain,
             encoders=("",))  # fmt: skip
_SDXL = Family("sdxl", lambda parts, _: StableDiffusionXL(parts), texts=texts.double,
               encoders=("", "_2"))  # fmt: skip
_SD3 = Family("sd3", lambda parts, _: StableDiffusion3(parts), "transformer", texts.triple,
              encoders=("", "_2"))  # fmt: skip
_LCM = Family("lcm", lambda parts, config: Consistency(parts, config.distilled_scale),
              texts=texts.plain, encoders=("",), few_steps=True)  # fmt: skip
_EMBEDDED = Family("embedded", lambda parts, _: EmbeddedGenerator(parts), texts=by_space)
_VARIATION = Family("image_variation", lambda parts, _: ImageVariation(parts))
#: By the class of pipeline that wrote the folder.
FAMILIES: Final[dict[str, Family]] = {
    "DiffusionPipeline": _EMBEDDED,
    "StableDiffusionPipeline": _SD,
    "StableDiffusionSAGPipeline": _SD,
    "StableDiffusionXLPipeline": _SDXL,
    "StableDiffusion3Pipeline": _SD3,
    "LatentConsistencyModelPipeline": _LCM,
    "StableDiffusionImageVariationPipeline": _VARIATION,
}


def open_generator(
    config: GeneratorChoice,
    device: torch.device | str = "cpu",
    *,
    digests: Mapping[str, str] | None = None,
) -> Generator:
    """The generator of a choice of ``generator=``, frozen, with its null prompt cached.

    Parameters
    ----------
    digests : of its files, where they are known already; else every file is hashed.

    Raises
    ------
    MissingDataError : it is not on this machine, or a part is not there.
    ArtefactError : an embedded model has other bytes than its card says.
    DataError : nobody knows this family, a part cannot be read, or the parts do not fit.
    ConfigError : an unknown prediction type or scheduler, or fp16 on a CPU.
    """
    place = torch.device(device)
    _check_precision(config, place)
    path = find_folder(config)
    folder = Folder(path, place, _DTYPES[config.precision], config.variant)
    family = _family(folder)
    identity = _identity(config, family, path, digests)
    parts = _parts(folder, family, config, identity)
    made = family.make(parts, config)
    check_fit(made, path)
    return made


def open_folder(folder: str | Path, device: torch.device | str = "cpu") -> Generator:
    """The generator in a folder, with the settings that its choice would have by default."""
    return open_generator(FolderGeneratorConfig(model=str(folder)), device)


def check_fit(made: LatentGenerator, path: Path) -> None:
    """Refuse parts of different models.

    Raises
    ------
    DataError : latents or conditions of another size.
    """
    parts, wide = made.parts, made.condition(1).tensors["encoder_hidden_states"].shape[-1]
    config = parts.network.config
    wanted = config.get("cross_attention_dim") or config.get("joint_attention_dim")
    pairs = {
        "the decoder reads another number of channels": (
            config.in_channels, parts.vae.config.latent_channels,
        ),
        "the text encoder has another hidden size": (wanted, wide),
    }  # fmt: skip
    if parts.tiny is not None:
        found = parts.tiny.config.latent_channels
        pairs["the tiny decoder reads another number of channels"] = (config.in_channels, found)
    for problem, (expected, got) in pairs.items():
        if expected != got:
            raise DataError(
                f"the parts of the generator do not fit: {problem}",
                file=path,
                expected=f"{expected}, as the network has it",
                found=got,
                fix="take all parts from one model",
            )


def _family(folder: Folder) -> Family:
    kind = str(folder.index.get("_class_name", ""))
    if kind not in FAMILIES:
        raise DataError(
            "nobody knows this family of generators",
            file=folder.path / INDEX,
            expected=" | ".join(FAMILIES),
            found=kind or "no _class_name",
            fix="take a model of these families, or write an adapter (docs/models.md)",
        )
    return FAMILIES[kind]


def _identity(
    config: GeneratorChoice, family: Family, path: Path, digests: Mapping[str, str] | None
) -> Identity:
    if digests is None and (path / CARD).is_file():
        digests = {name: str(one["sha256"]) for name, one in read_card(path)["files"].items()}
    if digests is None:
        digests = {name: file_digest(file) for name, file in leaves(config).items()}
    few = config.few_steps or family.few_steps
    return Identity(config.name, family.name, config.model, config.revision, digests, few_steps=few)


def _parts(folder: Folder, family: Family, config: GeneratorChoice, identity: Identity) -> Parts:
    for part in (family.network, "vae", "scheduler"):
        folder.needs(part)
    for end in family.encoders:
        folder.needs(f"tokenizer{end}")
        folder.needs(f"text_encoder{end}")
    encode: EncodeTexts | None = None
    if family.texts is not None:
        encode_texts = family.texts

        def encode(text: Sequence[str]) -> dict[str, Tensor]:
            return encode_texts(folder, text)

    vae = folder.network("vae", torch.float32)
    return Parts(
        network=folder.network(family.network),
        vae=vae,
        scheduler=folder.read("scheduler"),
        identity=identity,
        tiny=_tiny(folder, config),
        texts=encode,
        size=_size(config, vae),
        checkpointing=config.checkpointing,
    )


def _tiny(folder: Folder, config: GeneratorChoice) -> Any:
    if config.tiny:
        return tiny_decoder(find_tiny(config), folder.device)
    return folder.network("tiny", torch.float32) if folder.has("tiny") else None


def _size(config: GeneratorChoice, vae: Any) -> tuple[int, int] | None:
    if config.size is None:
        return None
    reduction = 2 ** (len(vae.config.block_out_channels) - 1)
    if config.size % reduction:
        raise ConfigError(
            "the generator cannot make pictures of this size",
            expected=f"a multiple of {reduction} pixels",
            found=config.size,
            fix=f"set generator.size={config.size // reduction * reduction or reduction}",
        )
    return config.size // reduction, config.size // reduction


def _check_precision(config: GeneratorChoice, device: torch.device) -> None:
    if config.precision is Precision.fp16 and device.type == "cpu":
        raise ConfigError(
            "fp16 arithmetic needs a GPU",
            expected="generator.precision=fp32 or bf16 on a CPU",
            found="generator.precision=fp16",
            fix="set generator.precision=fp32",
        )
