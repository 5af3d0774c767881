"""Pictures of texts, by any generator that texts drive and its own solver; nothing steers them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.generators.contract import Generator


@torch.no_grad()
def prompted(
    generator: Generator,
    texts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int,
    guidance: float,
    sampler: str | None = None,
) -> Float[Tensor, "images 3 height width"]:
    """A picture of each text, in [0, 1].

    Parameters
    ----------
    texts, seeds : one for each picture.
    guidance : classifier-free, by the text; 1 is none.
    sampler : as of ``Generator.schedule``; None takes the model's own.

    Raises
    ------
    ConfigError : texts do not drive this generator, or the sampler is not its.
    """
    condition = generator.condition(len(seeds), text=list(texts))
    schedule = generator.schedule(steps, sampler, seeds=seeds)
    latents = schedule.start(generator.latents(seeds))
    for level in schedule.levels:
        said = generator.predict(latents, level, condition, guidance)
        latents = schedule.step(said, level, latents)
    return generator.decode(latents).float().clamp(0, 1)
