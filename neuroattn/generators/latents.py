"""Scenes as latents of the autoencoder, computed once, in the generator's units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroattn.generators.autoencoder import to_latents
from neuroattn.generators.chunks import Arrays, gathered
from neuroattn.generators.scenes import SceneSet, SceneSource, to_unit
from neuroattn.training.batches import Batch
from neuroattn.training.sampler import Indices

_GROUP = 32  # pictures in one call of the encoder


def scene_latents(one: SceneSet, vae: Any, name: str, chunk: int) -> Arrays:
    """``mean`` and ``sd`` (scenes, channels, rows, columns) of each scene's latents, fp16.

    Parameters
    ----------
    name : tells this autoencoder from others in the cache.
    """

    def make(rows: range) -> dict[str, NDArray[Any]]:
        means, deviations = [], []
        for start in range(rows.start, rows.stop, _GROUP):
            pixels = to_unit(one.pixels[start : min(start + _GROUP, rows.stop)])
            with torch.no_grad():
                found = vae.encode(2 * pixels.to(vae.device) - 1).latent_dist
            means.append(to_latents(vae, found.mode()).cpu().half().numpy())
            deviations.append((found.std * vae.config.scaling_factor).cpu().half().numpy())
        return {"mean": np.concatenate(means), "sd": np.concatenate(deviations)}

    return gathered(one.folder / f"latents-{name}", len(one), make, chunk=chunk)


class WithRows:
    """A source of scenes whose batches also hold rows of further arrays, as float32.

    Parameters
    ----------
    more : name in the batch -> array with one row per scene of ``source``.
    """

    def __init__(self, source: SceneSource, more: Mapping[str, NDArray[Any]]) -> None:
        self.source, self.more = source, dict(more)

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """Scenes ``indices``."""
        rows = np.asarray(indices)
        added = {name: torch.from_numpy(values[rows]).float() for name, values in self.more.items()}
        return {**self.source.batch(indices, rng), **added}
