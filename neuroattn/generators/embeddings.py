"""Scenes as embeddings of the image-text space, computed once."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from neuroattn.generators.chunks import Arrays, gathered
from neuroattn.generators.scenes import SceneSet, to_unit
from neuroattn.generators.space import ImageText

_GROUP = 32  # pictures in one call


def embeddings(one: SceneSet, space: ImageText, name: str, chunk: int) -> Arrays:
    """``image`` (scenes, dim) and ``text`` (scenes, captions, dim), fp16, of unit length.

    Parameters
    ----------
    name : tells this space from others in the cache.
    """

    def make(rows: range) -> dict[str, NDArray[Any]]:
        image = []
        for start in range(rows.start, rows.stop, _GROUP):
            pixels = to_unit(one.pixels[start : min(start + _GROUP, rows.stop)])
            with torch.no_grad():
                image.append(space.encode_image(pixels).cpu().half().numpy())
        captions = one.captions[rows.start : rows.stop]
        text = space.encode_text(captions.ravel().tolist()).cpu().half().numpy()
        return {
            "image": np.concatenate(image),
            "text": text.reshape(*captions.shape, space.dim),
        }

    return gathered(one.folder / f"space-{name}", len(one), make, chunk=chunk)
