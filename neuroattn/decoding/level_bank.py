"""Target embeddings of the training pictures at every blur level, and what lies between two.

The image network never runs here: levels come from the stage ``features``. A bank of 16,540
pictures, 1,024 numbers each, three levels and the original holds 271 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.errors import ConfigError

if TYPE_CHECKING:
    from neuroattn.decoding.prior import Reads

ORIGINAL = 0.0


@dataclass(frozen=True)
class Levels:
    """Which blur levels there are.

    Parameters
    ----------
    kind : of the blur: uniform, lowres, fovea; empty where only originals are there.
    strengths : ascending; 0, the original, first.
    """

    kind: str
    strengths: tuple[float, ...]

    def __post_init__(self) -> None:
        rising = all(low < high for low, high in pairwise(self.strengths))
        if self.strengths[:1] != (ORIGINAL,) or not rising:
            raise ConfigError(
                "these are no blur levels",
                expected="different strengths, ascending from 0",
                found=", ".join(f"{one:g}" for one in self.strengths),
                fix="run the stage features again with other backbone.blur.levels",
            )

    @property
    def strongest(self) -> float:
        """Strength of the last level."""
        return self.strengths[-1]

    def check(self, strength: float, key: str) -> float:
        """``strength``, where the bank reaches so far.

        Raises
        ------
        ConfigError : it does not.
        """
        if not 0 <= strength <= self.strongest:
            raise ConfigError(
                "a blur beyond the levels that were computed",
                expected=f"{key} between 0 and {self.strongest:g}",
                found=f"{strength:g}",
                fix=f"set backbone.blur.levels so that they end with {strength:g} or more",
            )
        return strength


def interpolate(
    values: Float[Tensor, "levels images dim"],
    known: Float[Tensor, " levels"],
    images: Int[Tensor, " rows"],
    strengths: Float[Tensor, " rows"],
) -> Float[Tensor, "rows dim"]:
    """Embeddings of pictures, each at its own strength; linear between two levels.

    Bytes: two rows of ``values`` for each, or one where all strengths are those of levels; then
    they are the level's own bits.
    """
    last = len(known) - 1
    lower = (torch.searchsorted(known, strengths, right=True) - 1).clamp(0, last)
    upper = (lower + 1).clamp(max=last)
    step = (known[upper] - known[lower]).clamp(min=torch.finfo(known.dtype).tiny)
    share = ((strengths - known[lower]) / step).clamp(0, 1)
    below = values[lower, images]
    if not bool(share.any()):
        return below
    return torch.lerp(below, values[upper, images], share[:, None])


def level_values(
    space: Reads, images: NDArray[np.int64], strengths: tuple[float, ...]
) -> Float[Tensor, "levels images dim"]:
    """Embeddings of ``images`` at each strength.

    Raises
    ------
    ConfigError : two levels have the same embeddings.
    """
    values = [torch.from_numpy(space.read(images, strength=one)) for one in strengths]
    for weaker, stronger in pairwise(range(len(strengths))):
        if torch.equal(values[weaker], values[stronger]):
            raise ConfigError(
                "two blur levels have the same embeddings",
                expected="levels that the image network tells apart",
                found=f"{strengths[weaker]:g} and {strengths[stronger]:g}",
                fix="set backbone.blur.levels to strengths that lie further apart",
            )
    return torch.stack(values)


def embeddings(
    space: Reads, images: NDArray[np.int64], strength: float
) -> Float[Tensor, "images dim"]:
    """Embeddings of any pictures at one strength; linear between two levels."""
    known = np.array(space.strengths, dtype=np.float64)
    lower = int(np.clip(np.searchsorted(known, strength, side="right") - 1, 0, len(known) - 1))
    below = torch.from_numpy(space.read(images, strength=float(known[lower])))
    if known[lower] == strength or lower == len(known) - 1:
        return below
    share = (strength - known[lower]) / (known[lower + 1] - known[lower])
    above = torch.from_numpy(space.read(images, strength=float(known[lower + 1])))
    return torch.lerp(below, above, float(share))
