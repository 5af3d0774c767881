"""Sampling from a latent diffusion model that embeddings drive.

Every picture has a seed of its own, drawn on the CPU: a picture does not depend on which
others are in its batch, beyond the rounding of batched arithmetic (none to speak of without
guidance by gradients; see the tests in float64).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.generators.autoencoder import from_latents, to_latents
from neuroattn.generators.folders import Folder
from neuroattn.generators.library import diffusers
from neuroattn.generators.parameters import of_scheduler
from neuroattn.generators.places import INDEX
from neuroattn.generators.registry import GUIDANCE

SAMPLERS: Final = {"ddim": "DDIMScheduler", "dpm": "DPMSolverMultistepScheduler"}
_PARTS: Final = {"unet": "UNet2DConditionModel", "vae": "AutoencoderKL"}


def conditions(embeddings: Float[Tensor, "images dim"]) -> Float[Tensor, "images 1 dim"]:
    """Embeddings of unit length as the one token that the network attends to."""
    token: Tensor = embeddings * embeddings.shape[-1] ** 0.5
    return token[:, None]


def to_pixels(decoded: Tensor) -> Tensor:
    """What a decoder gives, in [-1, 1], as pixels in [0, 1]."""
    return ((decoded + 1) / 2).clamp(0, 1)


@dataclass
class LatentDiffusion:
    """A denoising network, the autoencoder around it, and the noising process.

    Parameters
    ----------
    tiny : the cheap decoder for guidance, where there is one.
    """

    unet: Any
    vae: Any
    scheduler: Any
    tiny: Any = None

    def __post_init__(self) -> None:
        of_scheduler(self.scheduler)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a latent."""
        side = int(self.unet.config.sample_size)
        return int(self.unet.config.in_channels), side, side

    @property
    def dim(self) -> int:
        """Numbers of an embedding."""
        return int(self.unet.config.cross_attention_dim)

    def noise(self, seeds: Sequence[int]) -> Float[Tensor, "images channels rows columns"]:
        """Start noise, each picture's from its own seed, drawn on the CPU in single precision."""
        drawn = [
            torch.randn(self.shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds
        ]
        return torch.stack(drawn).to(self.unet.device, self.unet.dtype)

    def solver(self, name: str, steps: int) -> Any:
        """A scheduler over this model's noising process, set to so many steps.

        Raises
        ------
        ConfigError : no such sampler.
        """
        if name not in SAMPLERS:
            raise ConfigError(
                f"there is no sampler {name!r}", expected=" | ".join(SAMPLERS), found=name,
                fix="choose one of these",
            )  # fmt: skip
        made = getattr(diffusers(), SAMPLERS[name]).from_config(self.scheduler.config)
        with warnings.catch_warnings():  # its way to NumPy is about to be renamed
            warnings.simplefilter("ignore", DeprecationWarning)
            made.set_timesteps(steps, device=self.unet.device)
        return made

    def predict(
        self, latents: Tensor, step: Tensor, given: Tensor | None, guidance: float
    ) -> Tensor:
        """The network's word at one step; ``guidance`` above 1 exaggerates the condition."""
        nothing = torch.zeros(len(latents), 1, self.dim, device=latents.device, dtype=latents.dtype)
        if given is None or guidance == 1:
            told = nothing if given is None else given
            out: Tensor = self.unet(latents, step, encoder_hidden_states=told).sample
            return out
        both = self.unet(
            torch.cat([latents, latents]), step, encoder_hidden_states=torch.cat([nothing, given])
        ).sample
        without, with_it = both.chunk(2)
        guided: Tensor = without + guidance * (with_it - without)
        return guided

    @torch.no_grad()
    def sample_latents(
        self,
        embeddings: Float[Tensor, "images dim"] | None,
        *,
        seeds: Sequence[int],
        steps: int = 25,
        guidance: float = GUIDANCE,
        sampler: str = "dpm",
    ) -> Float[Tensor, "images channels rows columns"]:
        """Latents of one picture for each seed; None for ``embeddings`` samples without condition.

        Raises
        ------
        ConfigError : no such sampler, or embeddings of another number or size.
        """
        self._check(embeddings, seeds)
        solver = self.solver(sampler, steps)
        latents = self.noise(seeds) * solver.init_noise_sigma
        given = None if embeddings is None else conditions(embeddings.to(latents))
        for step in solver.timesteps:
            seen = solver.scale_model_input(latents, step)
            said = self.predict(seen, step, given, guidance)
            latents = solver.step(said, step, latents).prev_sample
        final: Tensor = latents
        return final

    def sample(
        self,
        embeddings: Float[Tensor, "images dim"] | None,
        *,
        seeds: Sequence[int],
        steps: int = 25,
        guidance: float = GUIDANCE,
        sampler: str = "dpm",
    ) -> Float[Tensor, "images 3 height width"]:
        """Pixels in [0, 1]; see `sample_latents`."""
        latents = self.sample_latents(
            embeddings, seeds=seeds, steps=steps, guidance=guidance, sampler=sampler
        )
        with torch.no_grad():
            return self.decode(latents)

    def encode(self, pixels: Float[Tensor, "images 3 height width"]) -> Tensor:
        """Latents of pixels in [0, 1], in the generator's units."""
        return to_latents(self.vae, self.vae.encode(2 * pixels - 1).latent_dist.mode())

    def decode(self, latents: Float[Tensor, "images channels rows columns"]) -> Tensor:
        """Pixels in [0, 1] of latents, differentiable inside that range."""
        return to_pixels(self.vae.decode(from_latents(self.vae, latents)).sample)

    def decode_cheaply(self, latents: Float[Tensor, "images channels rows columns"]) -> Tensor:
        """The same by the tiny decoder, for gradients; by the whole one where there is none."""
        if self.tiny is None:
            return self.decode(latents)
        return to_pixels(self.tiny.decode(latents).sample)

    def _check(self, embeddings: Tensor | None, seeds: Sequence[int]) -> None:
        if embeddings is not None and tuple(embeddings.shape) != (len(seeds), self.dim):
            raise ConfigError(
                "the embeddings do not fit the generator",
                expected=f"({len(seeds)}, {self.dim}): one for each seed, of the generator's size",
                found=tuple(embeddings.shape),
                fix="encode with the image-text space that the generator was trained with",
            )


def read_parts(folder: Path, device: torch.device) -> LatentDiffusion:
    """The parts of a model in diffusers' folder form, frozen, in single precision.

    Raises
    ------
    MissingDataError : a part is not there.
    DataError : it cannot be read, or is no network that embeddings of one token drive.
    """
    whole = Folder(folder, device)
    parts = {name: whole.network(name) for name in _PARTS}
    for name, part in parts.items():
        if type(part).__name__ != _PARTS[name]:
            raise DataError(
                f"the part {name} is of a class that embeddings cannot drive here",
                file=folder / INDEX,
                expected=_PARTS[name],
                found=type(part).__name__,
                fix="open the folder as generator=folder generator.model=FOLDER (docs/models.md)",
            )
    tiny = whole.network("tiny") if whole.has("tiny") else None
    return LatentDiffusion(parts["unet"], parts["vae"], whole.read("scheduler"), tiny)
