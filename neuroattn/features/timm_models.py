"""Networks of the timm library behind the contract of `Backbone`.

A folder in the form of the hub (``config.json`` with the architecture and the preprocessing,
``model.safetensors``) says all; nothing is downloaded and no pickle is read. Layers are modules
by timm's own names (``stages.2``, ``blocks.11``, ``norm``); ``blocks.<i>.query|key|value`` are
thirds of a block's joined projection. Tokens before the patches are cut off by timm's own count.
"""

from __future__ import annotations

import json
import re
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError, DataError
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
    third,
)
from neuroattn.features.hub_files import CONFIG, find_folder, weights_file
from neuroattn.features.registry import HubConfig
from neuroattn.features.store import LayerShape

_IMAGENET: Pixels = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class TimmBackbone(Backbone):
    """A frozen network of timm, or the timm trunk of another library's model.

    Parameters
    ----------
    config : layers, picture size.
    network : the loaded network.
    pixels : mean and deviation of each colour that it was trained with.
    methods : what it is.
    """

    def __init__(
        self,
        config: HubConfig,
        network: nn.Module,
        pixels: Pixels,
        device: torch.device,
        methods: str,
    ) -> None:
        super().__init__(config, device)
        self.network: Any = network.eval().requires_grad_(False).to(device)
        self.methods = methods
        self._prefix = int(getattr(network, "num_prefix_tokens", 0) or 0)
        patch = getattr(getattr(network, "patch_embed", None), "patch_size", None)
        check_patches(config.image_size, int(patch[0]) if patch and self._prefix else 0)
        self._normalise = Normalise(pixels).to(device)
        side = config.image_size
        with torch.no_grad():
            self._shapes = map_shapes(self.maps(torch.zeros(1, 3, side, side), self.layers))

    def maps(
        self, pixels: Float[Tensor, "images 3 height width"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Maps of ``layers``, before any pooling."""
        found: dict[str, Tensor] = {}
        named = {layer: self._module(layer) for layer in layers}
        parts = {layer: partial(third, part) for layer, (_, part) in named.items() if part}
        modules = {layer: module for layer, (module, _) in named.items()}
        with listening(modules, found, parts), self.arithmetic():
            self._run(pixels)
        return {layer: self._as_map(found, layer) for layer in layers}

    def native(self, layer: str) -> LayerShape:
        """Shape of a layer's map before any pooling."""
        if layer not in self._shapes:
            self._module(layer)  # says which there are
        return self._shapes[layer]

    def pooled(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dim"]:
        """What the network gives to its classifier."""
        with self.arithmetic():
            out: Tensor = self.network.forward_head(self._run(pixels), pre_logits=True)
        return out.flatten(1).float()

    def _run(self, pixels: Tensor) -> Any:
        inputs = self._normalise(self.fit(pixels))
        try:
            return self.network.forward_features(inputs)
        except AssertionError as error:  # how timm refuses a size
            raise ConfigError(
                "the network does not take pictures of this size",
                expected=str(error) or "the size it was made for",
                found=f"backbone.image_size={self.config.image_size}",
                fix="set backbone.image_size to the one it was made for",
            ) from error

    def _module(self, layer: str) -> tuple[nn.Module, str]:
        """The module that a layer's name means, and which third of what it gives."""
        match = re.fullmatch(r"(.+)\.(query|key|value)", layer)
        name, part = (f"{match[1]}.attn.qkv", match[2]) if match else (layer, "")
        known = dict(self.network.named_modules())
        if not name or name not in known:
            tops = [name for name in known if re.fullmatch(r"\w+(\.\d+)?", name)]
            raise ConfigError(
                f"the network has no layer {layer}",
                expected=", ".join(tops),
                found=layer,
                fix="set backbone.layers=[…] to some of these, or to parts of them",
            )
        return reach(self.network, name), part

    def _as_map(self, found: dict[str, Tensor], layer: str) -> Tensor:
        if layer not in found:
            raise ConfigError(
                f"the network does not call its part {layer}",
                expected="a part that each picture passes through once",
                found=layer,
                fix="choose the block that holds it",
            )
        values, module = found[layer], self._module(layer)[0]
        channels = getattr(module, "output_fmt", getattr(self.network, "output_fmt", "NCHW"))
        if values.ndim == 4 and channels == "NHWC":
            return values.permute(0, 3, 1, 2)
        return patch_map(values, self._prefix, layer)


def library(name: str, extra: str) -> Any:
    """A library that an extra brings, imported when it is first needed.

    Raises
    ------
    ConfigError : it is not installed, or cannot be imported.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except (ImportError, RuntimeError) as error:  # torchvision built for another torch: the latter
        raise ConfigError(
            f"the library {name} cannot be used here",
            expected=f"the extra {extra}, with a torchvision that was built for this torch",
            found=str(error).splitlines()[0],
            fix=f"pip install 'neuroattn[{extra}]'",
        ) from error


def build(config: HubConfig, device: torch.device) -> TimmBackbone:
    """The backbone with its weights, from files of this machine alone.

    Raises
    ------
    MissingDataError, DataError : the model is not here, or its files do not fit together.
    ConfigError : the library is not installed, or a layer or a picture size is wrong.
    """
    timm = library("timm", "timm")
    folder = find_folder(config)
    stated = json.loads((folder / CONFIG).read_text())
    if "architecture" not in stated:
        raise DataError(
            "this model was not saved by timm",
            file=folder / CONFIG,
            expected="the key architecture",
            found=", ".join(stated),
            fix="use the backbone of its own library, such as backbone=dinov2_base",
        )
    with always_the_same_weights():
        network = create(timm, stated)
    if not config.untrained:
        load(network, weights_file(folder))
    described = f"{config.model} ({stated['architecture']} of timm {timm.__version__})"
    return TimmBackbone(config, network, pixels_of(stated), device, described)


def create(timm: Any, stated: dict[str, Any]) -> nn.Module:
    """The architecture that a ``config.json`` describes, with random weights."""
    kept = ("num_classes", "global_pool")
    arguments = {key: stated[key] for key in kept if key in stated} | stated.get("model_args", {})
    name = str(stated["architecture"])
    try:  # position codes that fit themselves to the picture, where the network has any
        made: nn.Module = timm.create_model(name, **(arguments | {"dynamic_img_size": True}))
    except TypeError:
        made = timm.create_model(name, **arguments)
    return made


def load(network: nn.Module, file: Path) -> None:
    """Put weights into a network, all of them or none.

    Raises
    ------
    DataError : they are those of another network.
    """
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(file), strict=True)
    except RuntimeError as error:
        raise DataError(
            "these are no weights of this network",
            file=file,
            expected=type(network).__name__,
            found=str(error).splitlines()[-1].strip(),
            fix="take config.json and the weights from one model",
        ) from error


def pixels_of(stated: dict[str, Any]) -> Pixels:
    """Mean and deviation that the network was trained with, as its file says."""
    source = stated.get("pretrained_cfg", stated)
    mean, deviation = source.get("mean", _IMAGENET[0]), source.get("std", _IMAGENET[1])
    return tuple(map(float, mean)), tuple(map(float, deviation))
