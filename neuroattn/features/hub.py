"""Pretrained networks of the transformers library behind the contract of `Backbone`.

Layers are named alike in every family: ``blocks.<i>`` is the output of a transformer block,
``blocks.<i>.query|key|value`` a projection inside its attention with the heads joined (the
token source of Adeli, Sun & Kriegeskorte 2025 is the query projection of DINOv2), ``norm`` the
tokens after the last normalisation, ``stages.<i>`` the map after a stage of a convolutional
network. Class and register tokens are never patches: they are cut off by the model's own count.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.features.backbones import Backbone
from neuroattn.features.hub_files import CONFIG, PREPROCESSOR, find_folder
from neuroattn.features.registry import HubConfig
from neuroattn.features.store import LayerShape

_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
_HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
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
    pixels: tuple[tuple[float, ...], tuple[float, ...]] = _IMAGENET
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
        pixels: tuple[tuple[float, ...], tuple[float, ...]],
        device: torch.device,
    ) -> None:
        super().__init__(config, device)
        self.network = network.eval().requires_grad_(False).to(device)
        self.family = family
        settings: Any = network.config
        self._prefix = family.prefix + int(getattr(settings, "num_register_tokens", 0) or 0)
        self._patch = int(getattr(settings, "patch_size", 0) or 0) if family.attention else 0
        self._check_size(config.image_size)
        mean, deviation = (torch.tensor(part).reshape(1, 3, 1, 1) for part in pixels)
        self._mean, self._deviation = mean.to(device), deviation.to(device)
        side = config.image_size
        with torch.no_grad():
            seen = self.maps(torch.zeros(1, 3, side, side), self.layers)
        self._shapes = {
            layer: LayerShape((found.shape[2], found.shape[3]), found.shape[1])
            for layer, found in seen.items()
        }
        self.methods = f"{config.model} ({family.model} of transformers, {_version()})"

    def maps(
        self, pixels: Float[Tensor, "images 3 height width"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Maps of ``layers``, before any pooling."""
        found: dict[str, Tensor] = {}
        with self._listening(layers, found), self.arithmetic():
            self._run(pixels)
        return {layer: self._as_map(found[layer]) for layer in layers}

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
        inputs = (self.fit(pixels) - self._mean) / self._deviation
        extra = {"interpolate_pos_encoding": True} if self.family.interpolates else {}
        return self.network(pixel_values=inputs, **extra)

    @contextmanager
    def _listening(self, layers: tuple[str, ...], found: dict[str, Tensor]) -> Iterator[None]:
        def keep(layer: str) -> Any:
            def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
                found[layer] = output[0] if isinstance(output, tuple) else output

            return hook

        handles = [self._module(layer).register_forward_hook(keep(layer)) for layer in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _module(self, layer: str) -> nn.Module:
        """The module whose output a layer's name means."""
        family = self.family
        blocks: Any = _reach(self.network, family.blocks)
        kind = "blocks" if family.attention else "stages"
        match = re.fullmatch(rf"{kind}\.(\d+)(?:\.(query|key|value))?", layer)
        if layer == "norm" and family.norm:
            return _reach(self.network, family.norm)
        if match and int(match[1]) < len(blocks) and (family.attention or not match[2]):
            block: nn.Module = blocks[int(match[1])]
            return _reach(block, f"{family.attention}.{_PARTS[match[2]]}") if match[2] else block
        parts = " | blocks.<i>.query | .key | .value" if family.attention else ""
        raise ConfigError(
            f"{self.config.name} has no layer {layer}",
            expected=f"{kind}.0 to {kind}.{len(blocks) - 1}{parts}{' | norm' * bool(family.norm)}",
            found=layer,
            fix="set backbone.layers=[…] to some of these",
        )

    def _as_map(self, values: Tensor) -> Tensor:
        if values.ndim == 4:
            return values
        patches = values[:, self._prefix :]
        side = self.config.image_size // self._patch
        return patches.transpose(1, 2).reshape(len(values), -1, side, side)

    def _check_size(self, side: int) -> None:
        if self._patch and side % self._patch:
            nearest = max(self._patch, round(side / self._patch) * self._patch)
            raise ConfigError(
                "the picture does not divide into patches",
                expected=f"backbone.image_size as a multiple of {self._patch}",
                found=side,
                fix=f"set backbone.image_size={nearest}",
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
    kind = str(json.loads((folder / CONFIG).read_text()).get("model_type"))
    family = FAMILIES.get(_ALIASES.get(kind, kind))
    if family is None:
        raise DataError(
            "no adapter knows this architecture",
            file=folder / CONFIG,
            expected=" | ".join(FAMILIES),
            found=kind,
            fix="write a backbone as a plug-in (docs/plugins.md)",
        )
    network = getattr(transformers, family.model).from_pretrained(
        folder, local_files_only=True, use_safetensors=True
    )
    if config.untrained:
        network = _untrained(type(network), network.config)
    return HubBackbone(config, network, family, _pixels(folder, family), device)


def _untrained(kind: Any, settings: Any) -> nn.Module:
    """The same architecture with random weights, the same ones every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made: nn.Module = kind(settings)
    return made


def _pixels(folder: Path, family: Family) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation that the model was trained with, from its own file where it has one."""
    file = folder / PREPROCESSOR
    stated = json.loads(file.read_text()) if file.is_file() else {}
    mean, deviation = stated.get("image_mean"), stated.get("image_std")
    if not mean or not deviation:
        return family.pixels
    return tuple(map(float, mean)), tuple(map(float, deviation))


def _reach(module: nn.Module, path: str) -> nn.Module:
    found: Any = reduce(getattr, path.split("."), module)
    return found  # type: ignore[no-any-return]


def _version() -> str:
    from importlib.metadata import version

    return version("transformers")
