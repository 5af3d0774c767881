"""The image side of an image-text space as a backbone, so that encoders read embeddings.

A linear readout of it is a direction in the space: voxel captions stand on that. A CLIP's
embeddings have lengths of their own, which its captioners know and encoders do not see: those are
stored beside what encoders read.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuroattn.core.errors import ConfigError
from neuroattn.features.backbones import Backbone
from neuroattn.features.registry import SpaceBackboneConfig
from neuroattn.features.store import LayerShape
from neuroattn.generators.loading import load

POOLED, RAW = "pooled", "raw"


class SpaceBackbone(Backbone):
    """One token of unit length for a picture; beside it the same before its length was lost.

    The embedded space has nothing beside: its captioner learned from embeddings of unit length.

    Parameters
    ----------
    space : a `neuroattn.generators.space.ImageText`.
    """

    def __init__(self, config: SpaceBackboneConfig, space: Any, device: torch.device) -> None:
        super().__init__(config, device)
        self.space = space
        self.beside = (RAW,) if hasattr(space, "embed_image") else ()
        self.methods = f"the image-text space {config.model} ({space.dim} numbers, unit length)"

    def maps(
        self,
        pixels: Float[Tensor, "images 3 height width"],
        layers: tuple[str, ...],
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """The embedding as a map of one cell, by `POOLED` and `RAW`."""
        if RAW not in layers:
            return {POOLED: self.pooled(pixels)[:, :, None, None]}
        with self.arithmetic():  # one pass of the network for both
            raw = self.space.embed_image(self.fit(pixels))
            both = {POOLED: functional.normalize(raw, dim=-1), RAW: raw}
        return {layer: both[layer].float()[:, :, None, None] for layer in layers}

    def native(self, layer: str) -> LayerShape:
        """One cell, as many numbers as an embedding has."""
        if layer not in (POOLED, *self.beside):
            raise ConfigError(
                f"an image-text space has no layer {layer}",
                expected=POOLED,
                found=layer,
                fix="set backbone.layers=[pooled]",
            )
        return LayerShape((1, 1), int(self.space.dim))

    def pooled(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dim"]:
        """Embeddings of unit length."""
        with self.arithmetic():
            out: Tensor = self.space.encode_image(self.fit(pixels))
        return out.float()


def build(config: SpaceBackboneConfig, device: torch.device) -> SpaceBackbone:
    """The backbone of a space.

    Raises
    ------
    MissingDataError, DataError : the model is not there, or is no image-text space.
    ConfigError : it sees pictures of another size.
    """
    space = load(config.model, str(device))
    if not hasattr(space, "encode_text"):
        raise ConfigError(
            "this model is no image-text space",
            file=config.model,
            expected="the embedded `space`, or a CLIP of transformers",
            found=type(space).__name__,
            fix="set backbone.model to such a model",
        )
    _check_side(config, space)
    return SpaceBackbone(config, space, device)


def _check_side(config: SpaceBackboneConfig, space: Any) -> None:
    below = getattr(space, "backbone", None)
    side = int(space.side if below is None else below.config.image_size)
    if config.image_size != side:
        raise ConfigError(
            "the image-text space sees pictures of another size",
            file=config.model,
            expected=f"backbone.image_size={side}",
            found=config.image_size,
            fix=f"set backbone.image_size={side}",
        )
