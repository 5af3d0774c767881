"""Distance between pictures as a frozen image network sees them: LPIPS without learned weights.

Pixel errors alone make an autoencoder spend its few latent numbers on large smooth areas; things
come out as stains. Zhang et al. 2018 (arXiv:1801.03924, equation 1): at each place of a layer,
features of unit length are compared, places are averaged, layers as well.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuroattn.features.backbones import Backbone

#: Of EfficientNet-Lite0 at 64 pixels: cells of 4, 8 and 16 pixels.
LAYERS = ("blocks.2", "blocks.4", "blocks.10")


def perceptual_distance(
    backbone: Backbone,
    out: Float[Tensor, "images 3 side side"],
    pixels: Float[Tensor, "images 3 side side"],
    layers: tuple[str, ...] = LAYERS,
) -> Float[Tensor, ""]:
    """Mean squared difference of unit-length features of pictures in [0, 1]; 4 at most."""
    ours, theirs = backbone.maps(out, layers), backbone.maps(pixels, layers)
    parts = [
        (functional.normalize(ours[name], dim=1) - functional.normalize(theirs[name], dim=1))
        .square()
        .sum(dim=1)
        .mean()
        for name in layers
    ]
    total: Tensor = sum(parts[1:], start=parts[0])
    return total / len(parts)
