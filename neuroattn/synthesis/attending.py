"""Self-attention guidance (Hong et al. 2023): away from what blurring the attended parts gives."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from neuroattn.generators.contract import Attending, Condition, Level
from neuroattn.synthesis.drawing import Scene

_KERNEL, _SIGMA = 9, 1.0  # of the blur, in cells of the latent
_ATTENDED = 1.0  # places above the mean, which is 1


@torch.no_grad()
def self_attention_guided(
    scene: Scene, latents: Tensor, level: Level, condition: Condition, scale: float
) -> Tensor:
    """The prediction, exaggerated against the one for latents whose attended places are blurred.

    Both sides of that difference are without classifier-free guidance: it is added to what the
    text makes of the prediction, and does not undo it.
    """
    generator = scene.generator
    scene.account.network += 2
    plain, attention = cast("Attending", generator).predict_attended(latents, level, condition)
    clean = generator.x0(latents, plain, level)
    epsilon = generator.epsilon(latents, plain, level)
    noisy = generator.noised(degraded(clean, attention), epsilon, level)
    without = generator.predict(noisy, level, condition)
    said = plain if scene.guidance == 1 else scene.predict(latents, level, condition)
    return said + scale * (plain - without)


def degraded(clean: Tensor, attention: Tensor) -> Tensor:
    """Clean latents, blurred where ``attention`` (images, rows, columns) is above its mean."""
    mask = (attention > _ATTENDED).to(clean.dtype)[:, None]
    mask = functional.interpolate(mask, clean.shape[-2:], mode="nearest")
    return mask * blur(clean) + (1 - mask) * clean


def blur(latents: Tensor) -> Tensor:
    """A Gaussian blur, channel by channel, mirrored at the edges."""
    reach = min(_KERNEL // 2, latents.shape[-1] - 1, latents.shape[-2] - 1)
    places = torch.arange(-reach, reach + 1, dtype=latents.dtype, device=latents.device)
    kernel = torch.exp(-0.5 * (places / _SIGMA) ** 2)
    kernel = kernel / kernel.sum()
    channels = latents.shape[1]
    padded = functional.pad(latents, (reach,) * 4, mode="reflect")
    rows = kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    down = functional.conv2d(padded, rows, groups=channels)
    return functional.conv2d(down, columns, groups=channels)
