"""Image sides of open_clip's models behind the contract of `Backbone`.

A folder in open_clip's own form (``open_clip_config.json``, ``open_clip_model.safetensors``)
says all; nothing is downloaded and no pickle is read. ``blocks.<i>`` is the output of a
transformer block, ``blocks.<i>.query|key|value`` a projection of its attention with the heads
joined. A model whose image side comes from timm has timm's layers.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

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
    third,
)
from neuroattn.features.hub_files import OPEN_CLIP, find_folder, weights_file
from neuroattn.features.registry import HubConfig
from neuroattn.features.store import LayerShape
from neuroattn.features.timm_models import TimmBackbone, library

PREFIX = 1  # the class token; open_clip's own transformer has no registers


class OpenClipBackbone(Backbone):
    """The frozen image side of a model of open_clip.

    Parameters
    ----------
    config : layers, picture size.
    network : its ``visual``.
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
        self._normalise = Normalise(pixels).to(device)
        side = config.image_size
        with torch.no_grad():
            self._shapes = map_shapes(self.maps(torch.zeros(1, 3, side, side), self.layers))

    def maps(
        self, pixels: Float[Tensor, "images 3 height width"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Maps of ``layers``, before any pooling."""
        found: dict[str, Tensor] = {}
        named = {layer: self._block(layer) for layer in layers}
        # The projections are one matrix of the attention, and no module: what enters is projected.
        modules = {layer: block.ln_1 if part else block for layer, (block, part) in named.items()}
        parts = {
            layer: partial(project, block.attn, part)
            for layer, (block, part) in named.items()
            if part
        }
        with listening(modules, found, parts), self.arithmetic():
            self.network(self._normalise(self.fit(pixels)))
        return {layer: patch_map(found[layer], PREFIX, layer) for layer in layers}

    def native(self, layer: str) -> LayerShape:
        """Shape of a layer's map before any pooling."""
        if layer not in self._shapes:
            self._block(layer)  # says which there are
        return self._shapes[layer]

    def pooled(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dim"]:
        """The picture's place in the space that it shares with texts, not normalised."""
        with self.arithmetic():
            out: Any = self.network(self._normalise(self.fit(pixels)))
        vector: Tensor = out[0] if isinstance(out, tuple) else out
        return vector.float()

    def _block(self, layer: str) -> tuple[Any, str]:
        blocks: Any = self.network.transformer.resblocks
        match = re.fullmatch(r"blocks\.(\d+)(?:\.(query|key|value))?", layer)
        if match and int(match[1]) < len(blocks):
            return blocks[int(match[1])], match[2] or ""
        raise ConfigError(
            f"the model has no layer {layer}",
            expected=f"blocks.0 to blocks.{len(blocks) - 1} | blocks.<i>.query | .key | .value",
            found=layer,
            fix="set backbone.layers=[…] to some of these",
        )


def project(attention: Any, part: str, values: Tensor) -> Tensor:
    """Query, key or value of what enters torch's own attention."""
    joined = functional.linear(values, attention.in_proj_weight, attention.in_proj_bias)
    return third(part, joined)


def build(config: HubConfig, device: torch.device) -> Backbone:
    """The backbone with its weights, from files of this machine alone.

    Raises
    ------
    MissingDataError, DataError : the model is not here, or its files do not fit together.
    ConfigError : the library is not installed, or a layer or a picture size is wrong.
    """
    open_clip = library("open_clip", "open_clip")
    folder = find_folder(config, OPEN_CLIP)
    stated = json.loads((folder / OPEN_CLIP).read_text())
    side = config.image_size
    check_patches(side, int(stated["model_cfg"]["vision_cfg"].get("patch_size") or 0))
    with always_the_same_weights(), _no_warning_of_what_follows():
        model = open_clip.create_model(
            f"local-dir:{folder}", load_weights=False, pretrained_text=False, force_image_size=side
        )
    if not config.untrained:
        _load(open_clip, model, weights_file(folder, "open_clip_model.safetensors"))
    described = f"{config.model} (image side, open_clip {open_clip.__version__})"
    pixels = _pixels(open_clip, stated)
    if hasattr(model.visual, "trunk"):
        return TimmBackbone(config, model.visual.trunk, pixels, device, described)
    if not hasattr(model.visual, "transformer"):
        raise DataError(
            "no adapter knows this image side",
            file=folder / OPEN_CLIP,
            expected="a vision transformer, or a network of timm",
            found=type(model.visual).__name__,
            fix="choose another model, or write a backbone as a plug-in (docs/plugins.md)",
        )
    return OpenClipBackbone(config, model.visual, pixels, device, described)


@contextmanager
def _no_warning_of_what_follows() -> Iterator[None]:
    """Keep open_clip from logging that weights are random, for they are loaded next."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _load(open_clip: Any, model: nn.Module, file: Path) -> None:
    """Weights of both sides; position codes of another grid are interpolated."""
    try:
        open_clip.factory.load_checkpoint(model, str(file), strict=True, device="cpu")
    except RuntimeError as error:
        raise DataError(
            "these are no weights of this model",
            file=file,
            expected=type(model).__name__,
            found=str(error).splitlines()[-1].strip(),
            fix="take the configuration and the weights from one model",
        ) from error


def _pixels(open_clip: Any, stated: dict[str, Any]) -> Pixels:
    pixels = stated.get("preprocess_cfg", {})
    mean = pixels.get("mean") or open_clip.OPENAI_DATASET_MEAN
    deviation = pixels.get("std") or open_clip.OPENAI_DATASET_STD
    return tuple(map(float, mean)), tuple(map(float, deviation))
