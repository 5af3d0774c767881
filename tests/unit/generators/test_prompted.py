from __future__ import annotations

import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.generators.contract import Generator
from neuroattn.generators.prompted import prompted
from neuroattn.generators.registry import GENERATORS, EmbeddedGeneratorConfig

TEXTS = ["A face in a room.", "A pizza on a beach."]


@pytest.fixture(scope="module")
def generator() -> Generator:
    return GENERATORS.load("embedded")(EmbeddedGeneratorConfig(), "cpu")


def drawn(generator: Generator, texts: list[str], seeds: list[int], weight: float = 4.0):
    return prompted(generator, texts, seeds, steps=3, guidance=weight, sampler="dpm")


def test_each_picture_is_of_its_text_and_seed(generator: Generator) -> None:
    both = drawn(generator, TEXTS, [1, 2])
    assert both.shape == (2, 3, 64, 64)
    assert 0 <= both.min() < both.max() <= 1
    assert not both.requires_grad
    for n in range(2):
        alone = drawn(generator, TEXTS[n : n + 1], [n + 1])
        torch.testing.assert_close(alone[0], both[n], atol=1e-4, rtol=0)


def test_text_seed_and_guidance_count(generator: Generator) -> None:
    first = drawn(generator, TEXTS[:1], [1])
    for other in (
        drawn(generator, TEXTS[1:], [1]),
        drawn(generator, TEXTS[:1], [2]),
        drawn(generator, TEXTS[:1], [1], 1.0),
    ):
        assert (first - other).abs().max() > 0.05


def test_a_sampler_of_another_family_is_refused(generator: Generator) -> None:
    with pytest.raises(ConfigError):
        prompted(generator, TEXTS, [1, 2], steps=3, guidance=4.0, sampler="flow")
