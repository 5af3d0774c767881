from __future__ import annotations

import torch

from neuroattn.generators.retrieval import retrieval


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
