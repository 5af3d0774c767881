"""Stable Diffusion 1 and 2, their turbo form, latent consistency models, and SDXL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from neuroattn.generators.families.common import Parts, UNetGenerator


class StableDiffusion(UNetGenerator):
    """Versions 1 and 2: one CLIP, whose last state is the condition."""


class Consistency(UNetGenerator):
    """A latent consistency model: guidance was distilled in, and the network is told how much.

    Parameters
    ----------
    scale : guidance that it is told of, where there is a text; 1, none, for the null prompt.
    """

    def __init__(self, parts: Parts, scale: float) -> None:
        self.scale = scale
        super().__init__(parts)

    def _texts_of(self, text: Sequence[str], count: int) -> dict[str, Tensor]:
        return self._with_scale(super()._texts_of(text, count), self.scale, count)

    def _null(self, count: int) -> dict[str, Tensor]:
        return self._with_scale(super()._null(count), 1.0, count)

    def _with_scale(self, told: dict[str, Tensor], scale: float, count: int) -> dict[str, Tensor]:
        width = self.parts.network.config.time_cond_proj_dim
        if width is None:
            return told
        row = scale_embedding(scale, int(width)).to(self.device, self.parts.network.dtype)
        return told | {"timestep_cond": row.expand(count, -1)}


class StableDiffusionXL(UNetGenerator):
    """SDXL: two CLIPs, a pooled vector, and the size of the picture."""

    def _added(self, told: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The pooled vector, and original size, crop and target size: whole and uncut."""
        added = super()._added(told)
        text = added["text_embeds"]
        reduction = 2 ** (len(self.parts.vae.config.block_out_channels) - 1)
        height, width = (reduction * side for side in self.shape[1:])
        sizes = text.new_tensor([[height, width, 0, 0, height, width]])
        return added | {"time_ids": sizes.expand(len(text), -1)}


def scale_embedding(scale: float, width: int) -> Tensor:
    """Sines and cosines of the guidance beyond 1, as latent consistency models read it."""
    half = width // 2
    rates = torch.exp(-torch.log(torch.tensor(10000.0)) / (half - 1) * torch.arange(half))
    angles = 1000 * (scale - 1) * rates
    found = torch.cat([angles.sin(), angles.cos()])
    return torch.nn.functional.pad(found, (0, width - 2 * half))[None]
