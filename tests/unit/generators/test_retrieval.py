from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.generators.caption_scores import nouns
from neuroattn.generators.retrieval import retrieval, zero_shot


def test_perfect_and_shifted_pairs() -> None:
    image = torch.eye(20)
    assert retrieval(image, image)["image_to_text.r1"] == 1
    shifted = retrieval(image, image.roll(1, dims=0))
    assert (shifted["image_to_text.r1"], shifted["text_to_image.r1"]) == (0, 0)


def test_the_two_ways_are_told_apart() -> None:
    image = torch.tensor([[1.0, 0], [1.1, 1]])
    text = torch.tensor([[1.0, 0], [0.9, 0.5]])
    found = retrieval(image, text, (1,))
    cosine = image @ text.T
    assert found["image_to_text.r1"] == float((cosine.argmax(1) == torch.arange(2)).float().mean())
    assert found["text_to_image.r1"] == float((cosine.argmax(0) == torch.arange(2)).float().mean())
    assert found["image_to_text.r1"] != found["text_to_image.r1"]


def test_one_embedding_for_all_finds_nothing() -> None:
    alike = torch.ones(20, 3)
    found = retrieval(alike, alike)
    assert found["image_to_text.r10"] == 0
    assert found["chance.r10"] == 0.5


class Nouns:
    """A space that knows kinds: the embedding of a sentence is that of the kind that it names."""

    def __init__(self) -> None:
        self.kinds = list(nouns())

    def encode_text(self, sentences: list[str]) -> torch.Tensor:
        rows = [self.kinds.index(next(k for k in self.kinds if f" {k}." in s)) for s in sentences]
        return torch.eye(len(self.kinds))[rows]


def test_zero_shot_tells_kinds_from_categories_and_passes_over_scenes_of_two_things() -> None:
    known, space = nouns(), Nouns()
    of = {c: [kind for kind, category in known.items() if category == c] for c in CATEGORIES}
    right, same, other = of["animal"][0], of["animal"][1], of["food"][0]
    shown = [right, right, right, right]  # all scenes show it; the last has a second thing
    presence = np.zeros((4, len(CATEGORIES)), dtype=np.uint8)
    presence[:, CATEGORIES.index("animal")] = 1
    presence[3, CATEGORIES.index("food")] = 1
    kinds = np.full(presence.shape, "", dtype="<U24")
    kinds[:, CATEGORIES.index("animal")] = shown
    scenes = SimpleNamespace(presence=presence, kinds=kinds)
    seen = torch.eye(len(known))[[space.kinds.index(kind) for kind in (right, same, other, other)]]
    found = zero_shot(space, seen, scenes)
    assert found["zero_shot.kind"] == pytest.approx(1 / 3)
    assert found["zero_shot.category"] == pytest.approx(2 / 3)
    assert found["chance.kind"] == pytest.approx(1 / 36)
    assert found["chance.category"] == pytest.approx(1 / 6)
    scenes.presence = np.ones_like(presence)
    assert zero_shot(space, seen, scenes) == {}
