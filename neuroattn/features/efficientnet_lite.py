"""EfficientNet-Lite behind the contract of `Backbone`: preprocessing, layers, weights.

Pixels enter as ``(value - 127) / 128`` of their 8-bit values, as in training; ImageNet's mean
and deviation, the habit of other networks, would give plausible and wrong maps.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.features.backbones import Backbone
from neuroattn.features.efficientnet_lite_network import (
    VARIANTS,
    EfficientNetLite,
    load_weights,
)
from neuroattn.features.registry import EfficientNetLiteConfig
from neuroattn.features.store import LayerShape
from neuroattn.features.weights import WHEELS, find_weights, verify_weights

PIXEL_CENTRE = 127.0
PIXEL_SCALE = 128.0


def normalise(
    pixels: Float[Tensor, "images 3 height width"],
) -> Float[Tensor, "images 3 height width"]:
    """Pixels in [0, 1] as the published weights expect them; not ImageNet's mean and deviation."""
    # In place after the first step: one copy of the pictures, and the same bits.
    return (pixels * 255.0).sub_(PIXEL_CENTRE).div_(PIXEL_SCALE)


class EfficientNetLiteBackbone(Backbone):
    """EfficientNet-Lite behind the contract of `Backbone`."""

    def __init__(
        self, config: EfficientNetLiteConfig, network: EfficientNetLite, device: torch.device
    ) -> None:
        super().__init__(config, device)
        network.eval().requires_grad_(False).to(device)
        # On a CPU this layout makes the network about twice as fast.
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network = network
        self._shapes = network.shapes(config.image_size)
        for layer in self.layers:
            self.native(layer)
        size = config.name.removeprefix("efficientnet_").capitalize()
        self.methods = (
            f"EfficientNet-{size} (Tan and Le 2019; TensorFlow team 2020), trained on ImageNet, "
            f"weights from {weights_source(config)}"
        )

    def maps(
        self, pixels: Float[Tensor, "images 3 height width"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Maps of ``layers``, before any pooling."""
        inputs = normalise(self.fit(pixels)).contiguous(memory_format=torch.channels_last)
        with self.arithmetic():
            found: dict[str, Tensor] = self.network(inputs, layers)
        return found

    def native(self, layer: str) -> LayerShape:
        """Shape of a layer's map before any pooling."""
        if layer not in self._shapes:
            raise ConfigError(
                f"{self.config.name} has no layer {layer}",
                expected=", ".join(self._shapes),
                found=layer,
                fix="set backbone.layers=[…] to some of these",
            )
        return self._shapes[layer]

    def pooled(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dim"]:
        """Mean of the head's map: (images, 1280), what the classifier sees."""
        return self.maps(pixels, ("pooled",))["pooled"].flatten(1).float()

    def logits(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images classes"]:
        """Scores of the 1,000 ImageNet classes."""
        return self.maps(pixels, ("logits",))["logits"].flatten(1).float()


def build(config: EfficientNetLiteConfig, device: torch.device) -> EfficientNetLiteBackbone:
    """The backbone with its weights.

    Raises
    ------
    MissingDataError : the weights are not there.
    DataError : the file is damaged or holds another network.
    ConfigError : a layer that the network does not have.
    """
    path = find_weights(config.name, config.weights)
    if config.weights is None:
        verify_weights(config.name, path)
    with torch.device("meta"):  # random numbers would be drawn only to be overwritten
        network = EfficientNetLite(VARIANTS[config.name])
    load_weights(network, path)
    return EfficientNetLiteBackbone(config, network, device)


def weights_source(config: EfficientNetLiteConfig) -> str:
    """Where the weights are from, for the Methods text."""
    if config.weights is not None:
        return f"the file {Path(config.weights).name}"
    return f"the package {WHEELS[config.name].requirement}"
