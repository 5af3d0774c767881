"""What of a layer a closed form reads: all tokens, their mean over places, or its one vector.

A view of a feature store: everything after it (scalers, Gram matrices, coefficients) sees layers
with one token, so that ``linear_pool`` and ``linear_cls`` are ridge and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.readout import Features
from neuroattn.encoding.registry import Inputs

POOLED = "pooled"  # the layer that is a network's own vector for a picture


@dataclass(frozen=True)
class MeanTokens:
    """A feature store whose layers are means over tokens, in float32."""

    features: Features

    @property
    def layers(self) -> list[str]:
        """Names of the stored layers."""
        return self.features.layers

    def shape(self, layer: str) -> tuple[int, int, int]:
        """(images, 1, dim) of a layer."""
        images, _, dim = self.features.shape(layer)
        return images, 1, dim

    def read(self, layer: str, images: Any = None) -> NDArray[Any]:
        """Means (images, 1, dim) of these image ids."""
        tokens = self.features.read(layer, images)
        return np.asarray(tokens.mean(1, dtype=np.float32, keepdims=True))


def view(features: Features, inputs: Inputs) -> Features:
    """The store as a closed form with ``inputs`` sees it."""
    return MeanTokens(features) if inputs is Inputs.mean else features


def single_layers(features: Features, wanted: list[str] | None) -> list[str]:
    """The layers that hold one vector for a picture; None takes all of them.

    A corner of the grid is no class token: a layer with more tokens than one is refused.

    Raises
    ------
    ConfigError : there is none, or a wanted one has more tokens.
    """
    single = [name for name in features.layers if features.shape(name)[1] == 1]
    chosen = single if wanted is None else wanted
    several = [name for name in chosen if name in features.layers and name not in single]
    if several or not chosen:
        raise ConfigError(
            "encoder.inputs=cls reads layers with one vector for a picture",
            expected=" | ".join(single) or f"a layer such as {POOLED} in backbone.layers",
            found=", ".join(several or features.layers),
            fix=f"add {POOLED} to backbone.layers, or set encoder.inputs=mean",
        )
    return list(chosen)


def flat(tokens: Tensor, inputs: Inputs) -> Tensor:
    """Tokens (images, tokens, dim) as the features (images, features) that are weighted."""
    return tokens.mean(1) if inputs is Inputs.mean else tokens.flatten(1)
