"""What readouts that are trained share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroattn.core.errors import DataError
from neuroattn.encoding.trained import HemisphereLoss, held_out, response_statistics


def test_held_out_images_are_whole_images_and_repeatable() -> None:
    images = np.arange(100, 140)
    held = held_out(images, 0.1, seed=3)
    assert len(held) == 4
    assert np.isin(held, images).all()
    np.testing.assert_array_equal(held, held_out(images, 0.1, seed=3))
    assert held.tolist() != held_out(images, 0.1, seed=4).tolist()
    assert len(held_out(images[:14], 0.1, seed=0)) == 3, "of fewer there is no correlation"
    for few in (3, 5):
        with pytest.raises(DataError, match="too few"):
            held_out(images[:few], 0.1, seed=0)


def test_a_nan_response_is_refused() -> None:
    with pytest.raises(DataError, match="not all finite"):
        response_statistics(np.array([[1.0, np.nan]], dtype=np.float32))
    mean, sd = response_statistics(np.array([[1.0, 2.0], [1.0, 4.0]], dtype=np.float32))
    assert mean.tolist() == [1, 3]
    assert sd.tolist() == [1, 1], "a constant target keeps its units"


class FirstLayer(torch.nn.Module):
    """Its only tokens, as they are."""

    def forward(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        return tokens["a"]


def test_the_loss_adds_the_means_of_hemispheres() -> None:
    columns = (torch.tensor([0, 1, 2]), torch.tensor([3]))
    batch = {"tokens/a": torch.zeros(2, 4), "responses": torch.tensor([[1.0, 1, 1, 2]] * 2)}
    loss = HemisphereLoss(columns).loss(FirstLayer(), batch)
    assert float(loss) == pytest.approx(1 + 4)
