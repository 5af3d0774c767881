from __future__ import annotations

import pytest
import torch

from neuroattn.generators.making import image_network
from neuroattn.generators.perceptual import LAYERS, perceptual_distance


@pytest.fixture(scope="module")
def eyes():
    return image_network("efficientnet_lite0", 64, torch.device("cpu"))


def _discs(radius: float) -> torch.Tensor:
    """A red disc on grey, (1, 3, 64, 64)."""
    axis = torch.linspace(-1, 1, 64)
    inside = (axis[:, None].square() + axis.square() < radius**2).float()
    return torch.stack([0.5 + 0.4 * inside, 0.5 - 0.3 * inside, 0.5 - 0.3 * inside])[None]


def test_it_is_the_formula(eyes) -> None:
    ours, theirs = _discs(0.3), _discs(0.6)
    wanted = 0.0
    for layer in LAYERS:
        a, b = (eyes.maps(x, (layer,))[layer].double() for x in (ours, theirs))
        a, b = (
            a / a.square().sum(1, keepdim=True).sqrt(),
            b / b.square().sum(1, keepdim=True).sqrt(),
        )
        wanted += float((a - b).square().sum(1).mean()) / len(LAYERS)
    assert float(perceptual_distance(eyes, ours, theirs)) == pytest.approx(wanted, rel=1e-4)
    assert float(perceptual_distance(eyes, ours, ours)) == pytest.approx(0, abs=1e-6)


def test_a_thing_that_is_gone_is_further_than_one_in_other_light(eyes) -> None:
    """Of equal error in pixels: what the pixels alone cannot tell."""
    thing, gone = _discs(0.4), torch.full((1, 3, 64, 64), 0.5)
    error = (thing - gone).square().mean().sqrt()
    lit = thing + error
    assert float((thing - lit).square().mean().sqrt()) == pytest.approx(float(error))
    assert perceptual_distance(eyes, thing, gone) > 2 * perceptual_distance(eyes, thing, lit)
