"""Methods that go through the noise levels and steer the generator's prediction at each.

They differ in three things: where the gradient is taken (the one-step estimate of the clean
latent, or BrainDiVE's blend of it with the noisy one), at which steps, and how it is weighed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import hypot
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.generators.contract import Attending, Condition, Level
from neuroattn.synthesis.attending import self_attention_guided
from neuroattn.synthesis.drawing import (
    Drawn,
    Look,
    Method,
    Scene,
    finished,
    norms_of,
    only,
    push,
    sized,
    sound,
)
from neuroattn.synthesis.guidance_schemas import (
    BrainDiveConfig,
    DenoisedConfig,
    FlowConfig,
    Gradient,
    SteeredConfig,
    UnguidedConfig,
    WindowedConfig,
)

C = TypeVar("C", bound=SteeredConfig)


class Unguided:
    """The generator alone."""

    def __init__(self, config: DenoisedConfig) -> None:
        self.config = config

    def draw(self, scene: Scene, seeds: Sequence[int]) -> Drawn:
        """One picture for each seed."""
        latents = denoised(scene, seeds, self.config)
        return finished(scene, latents, torch.zeros_like(latents[:, 0, 0, 0], dtype=torch.bool), [])

    def unguided(self) -> Method:
        """Itself."""
        return self


@torch.no_grad()
def denoised(scene: Scene, seeds: Sequence[int], config: DenoisedConfig) -> Tensor:
    """Clean latents, unguided."""
    generator, condition = scene.generator, scene.condition(len(seeds))
    schedule = generator.schedule(config.steps, config.sampler, seeds=seeds)
    latents = schedule.start(generator.latents(seeds))
    for level in schedule.levels:
        latents = schedule.step(scene.predict(latents, level, condition), level, latents)
    return latents


class Steered(Generic[C]):
    """Denoising with a gradient in the prediction: x0, and what the others change of it."""

    reuses: ClassVar[bool] = True  # the pass with a gradient also gives the prediction

    def __init__(self, config: C) -> None:
        self.config = config

    def unguided(self) -> Method:
        """The same solver without gradient."""
        config = self.config
        return Unguided(UnguidedConfig(steps=config.steps, sampler=config.sampler))

    def draw(self, scene: Scene, seeds: Sequence[int]) -> Drawn:
        """One picture for each seed; one whose gradient is no number goes on unguided, failed."""
        generator, condition = scene.generator, scene.condition(len(seeds))
        schedule = generator.schedule(self.config.steps, self.config.sampler, seeds=seeds)
        latents = schedule.start(generator.latents(seeds))
        failed = torch.zeros(len(seeds), dtype=torch.bool, device=latents.device)
        norms = []
        for level in schedule.levels:
            said, gradient = self._said(scene, latents, level, condition)
            good = sound(gradient) & ~failed
            failed = ~good
            gradient = only(gradient, good)
            norms.append(norms_of(gradient))
            with torch.no_grad():
                if gradient.any():
                    said = generator.steered(said, self._sized(gradient, level), level)
                latents = schedule.step(said, level, latents)
        return finished(scene, latents, failed, norms)

    def _said(
        self, scene: Scene, latents: Tensor, level: Level, condition: Condition
    ) -> tuple[Tensor, Tensor]:
        """The prediction and the gradient, which is zero at steps that are not guided."""
        if self.config.scale == 0 or not self.guides(level):
            return self._plain(scene, latents, level, condition), torch.zeros_like(latents)
        look = Look(self.estimate, self.config.decoder, self.shift())
        said, gradient = push(scene, latents, level, condition, look)
        if not self.reuses:
            said = self._plain(scene, latents, level, condition)
        return said, gradient

    def _sized(self, gradient: Tensor, level: Level) -> Tensor:
        weight = self.config.scale * self.weight(level)
        if self.config.gradient is Gradient.unit:
            # A raw gradient shrinks as k-diffusion's latents grow; one of size 1 has to be told.
            weight *= level.scale
        return weight * sized(gradient, self.config.gradient)

    @torch.no_grad()
    def _plain(self, scene: Scene, latents: Tensor, level: Level, condition: Condition) -> Tensor:
        return scene.predict(latents, level, condition)

    # What methods change.

    def estimate(self, clean: Tensor, noisy: Tensor, level: Level) -> Tensor:  # noqa: ARG002
        """What is decoded for the guide."""
        return clean

    def guides(self, level: Level) -> bool:
        """Whether this step is guided; pure noise says nothing of a picture."""
        return level.signal > 0

    def weight(self, level: Level) -> float:  # noqa: ARG002
        """Factor on the scale at this step."""
        return 1.0

    def shift(self) -> float:
        """Farthest shift of what the guide is shown, as a share of its side."""
        return 0.0


class X0(Steered[SteeredConfig]):
    """The gradient at the pure estimate, at every step."""


class BrainDive(Steered[BrainDiveConfig]):
    """The published recipe (Luo et al. 2023): blend, a pass of its own, attention guidance."""

    reuses = False

    def estimate(self, clean: Tensor, noisy: Tensor, level: Level) -> Tensor:
        """The estimate with as much of the noisy latent as there is signal already.

        With s = sqrt(1 - alpha_bar): s * clean + (1 - s) * noisy. Noisy latents of k-diffusion are
        brought to unit variance first.
        """
        size = hypot(level.signal, level.noise)
        share = level.noise / size
        return share * clean + (1 - share) * noisy / size

    @torch.no_grad()
    def _plain(self, scene: Scene, latents: Tensor, level: Level, condition: Condition) -> Tensor:
        if self.config.attention == 0:
            return scene.predict(latents, level, condition)
        if not isinstance(scene.generator, Attending):
            raise ConfigError(
                "self-attention guidance needs a network whose attention can be read",
                expected="a generator with a UNet",
                found=scene.generator.identity.family,
                fix="set guidance.attention=0",
            )
        return self_attention_guided(scene, latents, level, condition, self.config.attention)

    def unguided(self) -> Method:
        """The same with its attention guidance and without the encoder's gradient."""
        return BrainDive(replace(self.config, scale=0.0))


class Windowed(Steered[WindowedConfig]):
    """The pure estimate in a window of the trajectory, at every k-th step of it."""

    def guides(self, level: Level) -> bool:
        """Whether the step stands in the window, at a multiple from its first step."""
        first, last = self.config.window
        inside = first <= level.index < last and (level.index - first) % self.config.every == 0
        return inside and level.signal > 0

    def weight(self, level: Level) -> float:  # noqa: ARG002
        """As many times the scale as steps go by for each guided one."""
        return float(self.config.every)

    def shift(self) -> float:
        """As configured."""
        return self.config.shift


class Flow(Steered[FlowConfig]):
    """The pure estimate for flow matching, capped where the ratio of noise to signal diverges."""

    def weight(self, level: Level) -> float:
        """1, and less where the ratio is above the cap."""
        return min(1.0, self.config.cap * level.signal / level.noise)
