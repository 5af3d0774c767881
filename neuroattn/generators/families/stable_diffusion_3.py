"""Stable Diffusion 3: flow matching over a transformer, latents scaled and shifted."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from neuroattn.generators.families.common import LatentGenerator


class StableDiffusion3(LatentGenerator):
    """The network predicts noise minus clean latent; three text encoders tell it what to draw."""

    def _prediction(self) -> str:
        return "flow"

    def _call(self, latents: Tensor, time: Tensor, told: Mapping[str, Tensor]) -> Tensor:
        out: Tensor = self.parts.network(
            hidden_states=latents,
            timestep=time.expand(len(latents)),
            encoder_hidden_states=told["encoder_hidden_states"],
            pooled_projections=told["pooled_projections"],
        ).sample
        return out
