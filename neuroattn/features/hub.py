"""Pretrained networks of the transformers library behind the contract of `Backbone`.

Layers are named alike in every family: ``blocks.<i>`` is the output of a transformer block,
``blocks.<i>.query|key|value`` a projection inside its attention with the heads joined (the
token source of Adeli, Sun & Kriegeskorte 2025 is the query projection of DINOv2), ``norm`` the
tokens after the last normalisation, ``stages.<i>`` the map after a stage of a convolutional
network. Class and register tokens are never patches: they are cut off by the model's own count.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.data.files import read_json_input
from neuroattn.features.backbones import Backbone
from neuroattn.features.hooks import (
    Normalise,
    Pixels,
    always_the_same_weights,
    check_patches,
    listening,
    map_shapes,
    patch_map,
    reach,
)
from neuroattn.features.hub_files import CONFIG, PREPROCESSOR, find_folder
from neuroattn.features.pretrained import read_network
from neuroattn.features.registry import HubConfig
from neuroattn.features.store import LayerShape

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_SPARE = ("mask_token",)  # for pretraining alone
_PARTS = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}


@dataclass(frozen=True)
class Family:
    """How one architecture of the library names its parts.

    Parameters
    ----------
    model : class in ``transformers``; for image-text models the image side alone.
    blocks : list of transformer blocks, or of convolutional stages.
    attention : within a block, the module that holds the projections; empty without.
    norm : last normalisation over all tokens; empty where there is none.
    pixels : mean and deviation where the folder has no preprocessor file.
    prefix : tokens before the patches, besides registers.
    interpolates : whether positions must be asked to fit another grid.
    """

    model: str
    blocks: str
    attention: str = ""
    norm: str = ""
    pixels: Pixels = _IMAGENET
    prefix: int = 0
    interpolates: bool = False


FAMILIES: Mapping[str, Family] = {
    "dinov2": Family("Dinov2Model", "encoder.layer", "attention", "layernorm", prefix=1),
    "dinov2_with_registers": Family(
        "Dinov2WithRegistersModel", "encoder.layer", "attention", "layernorm", prefix=1
    ),
    "clip": Family(
        "CLIPVisionModel", "encoder.layers", "self_attn", pixels=_CLIP, prefix=1, interpolates=True
    ),
    "siglip": Family(
        "SiglipVisionModel", "encoder.layers", "self_attn", "post_layernorm", pixels=_HALF,
        interpolates=True,
    ),
    "resnet": Family("ResNetModel", "encoder.stages"),
    "convnext": Family("ConvNextModel", "encoder.stages"),
}  # fmt: skip
POOLED = "pooled"  # the network's own vector for a picture, as a layer with one token
_ALIASES = {"clip_vision_model": "clip", "siglip_vision_model": "siglip"}


class HubBackbone(Backbone):
    """A frozen network of the transformers library.

    Parameters
    ----------
    config : which model, layers, picture size.
    network, family : the loaded model and how its parts are named.
    pixels : mean and deviation of each colour that the network was trained with.
    """

    def __init__(
        self,
        config: HubConfig,
        network: nn.Module,
        family: Family,
        pixels: Pixels,
        device: torch.device,
    ) -> None:
        super().__init__(config, device)
        self.network = network.eval().requires_grad_(False).to(device)
        self.family = family
        settings: Any = network.config
        self._prefix = family.prefix + int(getattr(settings, "num_register_tokens", 0) or 0)
        self._patch = int(getattr(settings, "patch_size", 0) or 0) if family.attention else 0
        check_patches(config.image_size, self._patch)
        self._normalise = Normalise(pixels).to(device)
        side = config.image_size
        with torch.no_grad():
            self._shapes = map_shapes(self.maps(torch.zeros(1, 3, side, side), self.layers))
        self.methods = f"{config.model} ({family.model} of transformers, {_version()})"

    def maps(
        self, pixels: Float[Tensor, "images 3 height width"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Maps of ``layers``, before any pooling."""
        found: dict[str, Tensor] = {}
        modules = {layer: self._module(layer) for layer in layers if layer != POOLED}
        with listening(modules, found), self.arithmetic():
            out = self._run(pixels)
        maps = {layer: patch_map(found[layer], self._prefix, layer) for layer in modules}
        if POOLED in layers:  # one cell; never the first patch
            maps[POOLED] = out.pooler_output.flatten(1)[:, :, None, None]
        return {layer: maps[layer] for layer in layers}

    def native(self, layer: str) -> LayerShape:
        """Shape of a layer's map before any pooling."""
        if layer not in self._shapes:
            self._module(layer)  # says which there are
        return self._shapes[layer]

    def pooled(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dim"]:
        """The network's own pooled output."""
        with self.arithmetic():
            out: Tensor = self._run(pixels).pooler_output
        return out.flatten(1).float()

    def _run(self, pixels: Tensor) -> Any:
        inputs = self._normalise(self.fit(pixels))
        extra = {"interpolate_pos_encoding": True} if self.family.interpolates else {}
        return self.network(pixel_values=inputs, **extra)

    def _module(self, layer: str) -> nn.Module:
        """The module whose output a layer's name means."""
        family = self.family
        blocks: Any = reach(self.network, family.blocks)
        kind = "blocks" if family.attention else "stages"
        match = re.fullmatch(rf"{kind}\.(\d+)(?:\.(query|key|value))?", layer)
        if layer == "norm" and family.norm:
            return reach(self.network, family.norm)
        if match and int(match[1]) < len(blocks) and (family.attention or not match[2]):
            block: nn.Module = blocks[int(match[1])]
            return reach(block, f"{family.attention}.{_PARTS[match[2]]}") if match[2] else block
        parts = " | blocks.<i>.query | .key | .value" if family.attention else ""
        others = f"{' | norm' * bool(family.norm)} | {POOLED}"
        raise ConfigError(
            f"{self.config.name} has no layer {layer}",
            expected=f"{kind}.0 to {kind}.{len(blocks) - 1}{parts}{others}",
            found=layer,
            fix="set backbone.layers=[…] to some of these",
        )


def build(config: HubConfig, device: torch.device) -> HubBackbone:
    """The backbone with its weights, from files of this machine alone.

    Raises
    ------
    MissingDataError, DataError : the model is not here, or is of a family that is not known.
    ConfigError : a layer or a picture size that it does not have.
    """
    import transformers

    folder = find_folder(config)
    kind = str(read_json_input(folder / CONFIG).get("model_type"))
    family = FAMILIES.get(_ALIASES.get(kind, kind))
    if family is None:
        raise DataError(
            "no adapter knows this architecture",
            file=folder / CONFIG,
            expected=" | ".join(FAMILIES),
            found=kind,
            fix="write a backbone as a plug-in (docs/plugins.md)",
        )
    network = read_network(getattr(transformers, family.model), folder, spare=_SPARE)
    if config.untrained:
        network = _untrained(type(network), network.config)
    return HubBackbone(config, network, family, _pixels(folder, family), device)


def _untrained(kind: Any, settings: Any) -> nn.Module:
    """The same architecture with random weights, the same ones every time."""
    with always_the_same_weights():
        made: nn.Module = kind(settings)
    return made


def _pixels(folder: Path, family: Family) -> Pixels:
    """Mean and deviation that the model was trained with, from its own file where it has one."""
    file = folder / PREPROCESSOR
    stated = read_json_input(file) if file.is_file() else {}
    mean, deviation = stated.get("image_mean"), stated.get("image_std")
    if not mean or not deviation:
        return family.pixels
    return tuple(map(float, mean)), tuple(map(float, deviation))


def _version() -> str:
    from importlib.metadata import version

    return version("transformers")
