"""Target embeddings of the training pictures at every blur level, and what lies between two.

The image network never runs here: levels come from the stage ``features``. A bank of 16,540
pictures, 1,024 numbers each, three levels and the original holds 271 MB.
"""

from __future__ import annotations

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
