"""Figures of an image-text space: retrieval both ways, and naming things untrained."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.phrases import PICTURE_OF, with_article
from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.generators.caption_scores import nouns

if TYPE_CHECKING:
    from neuroattn.generators.scenes import SceneSet
    from neuroattn.generators.space import ImageText


def retrieval(
    image: Float[Tensor, "pairs dim"],
    text: Float[Tensor, "pairs dim"],
    among: tuple[int, ...] = (1, 10),
) -> dict[str, float]:
    """Share of pairs whose other side is among the nearest, both ways, and chance.

    Ties count against: a space that gives everything one embedding scores 0.
    """
    cosine = image @ text.T
    found: dict[str, float] = {}
    for way, matrix in (("image_to_text", cosine), ("text_to_image", cosine.T)):
        own = matrix.diagonal()[:, None]
        rank = (matrix >= own).sum(dim=1) - 1
        for number in among:
            found[f"{way}.r{number}"] = float((rank < number).float().mean())
    return found | {f"chance.r{number}": min(1.0, number / len(image)) for number in among}


def zero_shot(
    space: ImageText, image: Float[Tensor, "scenes dim"], scenes: SceneSet
) -> dict[str, float]:
    """Accuracy of the nearest prompt on scenes with one thing: its noun, and its category."""
    single = np.flatnonzero(scenes.presence.sum(axis=1) == 1)
    if not len(single):
        return {}
    known = list(nouns().items())
    prompts = [PICTURE_OF.format(with_article(noun)) for noun, _ in known]
    said = (image[torch.from_numpy(single)] @ space.encode_text(prompts).cpu().T).argmax(dim=1)
    category = scenes.presence[single].argmax(axis=1)
    kind = scenes.kinds[single, category]
    right = [known[number] for number in said.tolist()]
    return {
        "zero_shot.kind": float(
            np.mean([noun == k for (noun, _), k in zip(right, kind, strict=True)])
        ),
        "zero_shot.category": float(
            np.mean([of == CATEGORIES[c] for (_, of), c in zip(right, category, strict=True)])
        ),
        "chance.kind": 1 / len(known),
        "chance.category": 1 / len(CATEGORIES),
    }
