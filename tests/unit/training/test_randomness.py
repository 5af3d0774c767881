from __future__ import annotations

import io
import random

import numpy as np
import torch

from neuroattn.training import randomness

from .training_toy import scramble

CPU = torch.device("cpu")


def draw() -> list[float]:
    # A normal draw leaves a spare value behind in Python and NumPy: it is state as well.
    return [
        random.gauss(0, 1), random.random(),
        float(np.random.standard_normal()), float(np.random.rand()),  # noqa: NPY002
        float(torch.randn(())), float(torch.nn.functional.dropout(torch.ones(50)).sum()),
    ]  # fmt: skip


def test_restored_streams_go_on_as_before_even_through_a_file() -> None:
    with randomness.isolated_streams(CPU):
        scramble()
        draw()
        file = io.BytesIO()
        torch.save(randomness.capture(CPU), file)
        expected = draw()
        scramble()
        assert draw() != expected
        file.seek(0)
        assert randomness.restore(torch.load(file, weights_only=True), CPU)
        assert draw() == expected


def test_the_caller_gets_its_streams_back() -> None:
    with randomness.isolated_streams(CPU):
        randomness.seed_streams(0, "outer")
        expected = draw()
        randomness.seed_streams(0, "outer")
        with randomness.isolated_streams(CPU):
            scramble()
            draw()
        assert draw() == expected


def test_seeds_depend_on_the_names() -> None:
    draws = []
    with randomness.isolated_streams(CPU):
        for names in (("a", 0), ("a", 1), ("a", 0)):
            randomness.seed_streams(7, *names)
            draws.append(draw())
    assert draws[0] == draws[2] != draws[1]
    assert all(x != y for x, y in zip(draws[0], draws[1], strict=True) if x not in {0.0, 50.0})


def test_a_device_without_captured_stream_is_reported() -> None:
    with randomness.isolated_streams(CPU):
        state = randomness.capture(CPU)
        assert not randomness.restore(state, torch.device("cuda"))
