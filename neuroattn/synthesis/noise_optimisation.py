"""Ascent on the start noise of a few-step generator (ReNO: Eyring et al. 2024, section 4).

The whole short trajectory and the decoder are in the graph. The noise is kept near the norm that
unit noise has by the negative log likelihood of its norm, |z|^2 / 2 - (d - 1) ln |z|.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.synthesis.drawing import (
    Drawn,
    Method,
    Scene,
    norms_of,
    only,
    pulled_back,
    sound,
)
from neuroattn.synthesis.guidance_schemas import NoiseOptimisationConfig


class NoiseOptimisation:
    """The noise whose picture had the highest value on the way, for each picture by itself."""

    def __init__(self, config: NoiseOptimisationConfig) -> None:
        self.config = config

    def unguided(self) -> Method:
        """The pictures of the first noise."""
        return NoiseOptimisation(replace(self.config, iterations=1, scale=0.0, likelihood=0.0))

    def draw(self, scene: Scene, seeds: Sequence[int]) -> Drawn:
        """One picture for each seed; an ascent that leaves the numbers is failed."""
        noise = scene.generator.latents(seeds)
        speed, norms = torch.zeros_like(noise), []
        best, highest = noise, noise.new_full((len(seeds),), -torch.inf)
        failed = torch.zeros(len(seeds), dtype=torch.bool, device=noise.device)
        for _ in range(self.config.iterations):
            values, gradient = self._ascent(scene, noise, seeds)
            failed = failed | ~sound(gradient) | ~torch.isfinite(values)
            better = (values > highest) & ~failed
            best = torch.where(better.view(-1, 1, 1, 1), noise, best)
            highest = torch.where(better, values, highest)
            gradient = only(gradient, ~failed)
            norms.append(norms_of(gradient))
            noise, speed = self._moved(noise, speed, gradient)
        with torch.no_grad():
            pixels = self._pixels(scene, best, seeds, final=True)
        failed = failed | ~sound(pixels)
        return Drawn(only(pixels, ~failed), failed, torch.stack(norms, 1))

    def _ascent(
        self, scene: Scene, noise: Tensor, seeds: Sequence[int]
    ) -> tuple[Float[Tensor, " images"], Tensor]:
        """Values, and the gradient of what is minimised."""
        config = self.config
        if config.scale == 0 and config.likelihood == 0:
            return noise.new_zeros(len(noise)), torch.zeros_like(noise)
        with torch.enable_grad():
            start = noise.detach().requires_grad_()
            pixels = self._pixels(scene, start, seeds)
            values = scene.measure(pixels)
            raised = pulled_back(-config.scale * values.to(start), pixels, start)
            odd = config.likelihood * unlikelihood(start)
            (kept,) = torch.autograd.grad(odd.sum(), start)
        scene.backward()
        return values.detach(), raised + kept

    def _moved(self, noise: Tensor, speed: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """A step of SGD with Nesterov momentum on clipped gradients."""
        config = self.config
        shrunk = (config.clip / norms_of(gradient).clamp(min=1e-12)).clamp(max=1)
        gradient = gradient * shrunk.view(-1, 1, 1, 1)
        speed = config.momentum * speed + gradient
        return noise - config.lr * (gradient + config.momentum * speed), speed

    def _pixels(
        self, scene: Scene, noise: Tensor, seeds: Sequence[int], *, final: bool = False
    ) -> Tensor:
        config, condition = self.config, scene.condition(len(noise))
        schedule = scene.generator.schedule(config.steps, config.sampler, seeds=seeds)
        latents = schedule.start(noise)
        for level in schedule.levels:
            latents = schedule.step(scene.predict(latents, level, condition), level, latents)
        return scene.decode(latents) if final else scene.decode(latents, config.decoder)


def unlikelihood(noise: Tensor) -> Float[Tensor, " images"]:
    """Negative log likelihood of the norm of unit noise, but for a constant."""
    norm, size = norms_of(noise), noise[0].numel()
    return norm.square() / 2 - (size - 1) * norm.log()
