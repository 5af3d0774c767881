from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from neuroattn.generators.loading import load
from neuroattn.generators.space import SpaceNetwork, SpaceTask, info_nce

SHAPE = {"dim": 4, "hidden": 8, "text_width": 8, "text_layers": 1, "text_heads": 2, "length": 6,
         "dropout": 0.0}  # fmt: skip


def test_info_nce_of_perfect_pairs_is_known() -> None:
    pairs = torch.eye(3)
    scale = torch.tensor(2.0)
    wanted = math.log(math.e**2 + 2) - 2  # cosine 1 with its own, 0 with two others
    assert float(info_nce(pairs, pairs, scale)) == pytest.approx(wanted, rel=1e-6)


def test_info_nce_of_one_embedding_for_all_is_chance() -> None:
    alike = torch.ones(5, 1)
    assert float(info_nce(alike, alike, torch.tensor(9.0))) == pytest.approx(math.log(5), rel=1e-6)


def test_info_nce_is_symmetric_and_per_row() -> None:
    stream = torch.Generator().manual_seed(0)
    image, text = (functional.normalize(torch.randn(6, 4, generator=stream), dim=1) for _ in "ab")
    scale = torch.tensor(3.0)
    by_hand = 0.0
    for rows in (scale * image @ text.T, (scale * image @ text.T).T):
        by_hand += sum(float(rows[n].logsumexp(0) - rows[n, n]) for n in range(6)) / 12
    assert float(info_nce(image, text, scale)) == pytest.approx(by_hand, rel=1e-5)
    assert float(info_nce(text, image, scale)) == pytest.approx(by_hand, rel=1e-5)


def test_an_equal_caption_of_another_picture_is_no_negative() -> None:
    text = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    scale = torch.tensor(50.0)
    assert float(info_nce(text, text, scale)) > 0.4  # two that cannot be told apart
    assert float(info_nce(text, text, scale, same)) < 1e-6


def test_padding_changes_no_embedding() -> None:
    network = SpaceNetwork(3, 10, SHAPE).eval()
    short, long = torch.tensor([[1, 5, 2]]), torch.tensor([[1, 5, 2, 0, 0, 0]])
    assert torch.allclose(network.text(short), network.text(long), atol=1e-6)


def test_training_makes_pairs_find_each_other() -> None:
    torch.manual_seed(0)
    network, task = SpaceNetwork(8, 12, SHAPE), SpaceTask()
    batch = {
        "features": 3 * torch.eye(8),
        "tokens": torch.tensor([[1, 4 + n, 2] for n in range(8)]),
    }
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    first = task.loss(network, batch).item()
    for _ in range(40):
        optimiser.zero_grad()
        task.loss(network, batch).backward()
        optimiser.step()
    assert task.loss(network, batch).item() < first / 3


def test_the_space_answers_as_clip_does(models) -> None:
    space = load(models / "space")
    pixels = torch.rand(2, 3, 64, 64, requires_grad=True)
    image, text = space.encode_image(pixels), space.encode_text(["A cat in a room.", "A bus."])
    assert image.shape == text.shape == (2, space.dim)
    assert torch.allclose(image.norm(dim=1), torch.ones(2), atol=1e-5)
    assert torch.allclose(text.norm(dim=1), torch.ones(2), atol=1e-5)
    assert 1 < space.logit_scale < 100
    image.sum().backward()
    assert float(pixels.grad.abs().sum()) > 0  # guidance needs it
