"""Where a decoder reads is told of the cosine that it retrieves with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from neuroattn.decoding.contributions import contributions
from neuroattn.stats.retrieval import cosine_similarity
from tests.unit.decoding.side import DIM, INPUTS, planted

SHARES = (0.75, 0.25)


def linear(gains: tuple[float, float]) -> Callable[[Tensor], Tensor]:
    """Outputs of two blocks, each times its gain."""
    weight = torch.randn(INPUTS, 2 * DIM, generator=torch.Generator().manual_seed(0))
    gain = torch.tensor(gains).repeat_interleave(DIM)
    return lambda inputs: (inputs @ weight + 1) * gain


def test_the_length_of_a_block_of_outputs_changes_nothing(tmp_path: Path) -> None:
    side = planted(tmp_path, shares=SHARES)
    fitted, pictures = side.train.subjects[0].input, side.space.read(side.test)
    plain, louder = (
        contributions(linear(gains), fitted, side.inputs[0], pictures, side.space)
        for gains in ((1.0, 1.0), (1.0, 10.0))
    )
    for name, values in plain.items():
        np.testing.assert_allclose(louder[name], values, rtol=1e-4, atol=1e-6, err_msg=name)


def test_sensitivity_is_the_slope_of_the_cosine_of_retrieval(tmp_path: Path) -> None:
    side = planted(tmp_path, shares=SHARES)
    inputs, pictures = side.inputs[0][:1], side.space.read(side.test[:1])
    embed, step = linear((1.0, 3.0)), 1e-2
    found = contributions(embed, side.train.subjects[0].input, inputs, pictures, side.space)

    def cosine(values: np.ndarray) -> float:
        outputs = embed(torch.from_numpy(values)).double().numpy()
        return float(cosine_similarity(side.space.normalised(outputs), pictures)[0, 0])

    for target in range(0, INPUTS, 5):
        moved = step * np.eye(INPUTS, dtype=np.float32)[target : target + 1]
        slope = (cosine(inputs + moved) - cosine(inputs - moved)) / (2 * step)
        np.testing.assert_allclose(found["sensitivity"][target], abs(slope), atol=2e-4)
