"""Baselines without a gradient: the best of several unguided pictures, and real pictures."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from neuroattn.core.seeding import derive_seed
from neuroattn.synthesis.drawing import Drawn, Method, Scene
from neuroattn.synthesis.guidance_schemas import BestOfNConfig, RetrievalConfig, UnguidedConfig
from neuroattn.synthesis.steering import Unguided


class BestOfN:
    """Of several unguided pictures the one that the guide puts highest.

    The first draw is the picture of the seed itself, so a row of unguided pictures of the same
    seeds is what was begun with.
    """

    def __init__(self, config: BestOfNConfig) -> None:
        self.config = config
        self._alone = Unguided(UnguidedConfig(steps=config.steps, sampler=config.sampler))

    def unguided(self) -> Method:
        """One draw of each seed."""
        return self._alone

    def draw(self, scene: Scene, seeds: Sequence[int]) -> Drawn:
        """The best of the draws of each seed."""
        best = self._alone.draw(scene, seeds)
        values = self._values(scene, best)
        for number in range(1, self.config.draws):
            other = self._alone.draw(scene, [derive_seed(seed, "draw", number) for seed in seeds])
            found = self._values(scene, other)
            better = found > values
            pixels = torch.where(better.view(-1, 1, 1, 1), other.pixels, best.pixels)
            failed = torch.where(better, other.failed, best.failed)
            best, values = Drawn(pixels, failed, best.norms), torch.maximum(values, found)
        return best

    @staticmethod
    @torch.no_grad()
    def _values(scene: Scene, drawn: Drawn) -> torch.Tensor:
        return scene.measure(drawn.pixels).masked_fill(drawn.failed, -torch.inf)


class Retrieval:
    """Real pictures; the stage takes them from the encoder's own test pictures."""

    def __init__(self, config: RetrievalConfig) -> None:
        self.config = config
