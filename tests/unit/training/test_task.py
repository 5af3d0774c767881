from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from neuroattn.training.batches import Batch, EvaluationLoader, TensorSource
from neuroattn.training.task import EpochTask, mean_loss

from .training_toy import ToyTask


class Mean:
    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return model(batch["x"]).mean()

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> dict[str, float]:
        return mean_loss(self, model, loader)


def test_the_mean_loss_weighs_batches_by_their_samples() -> None:
    source = TensorSource({"x": torch.tensor([0.0, 0.0, 0.0, 8.0])})
    loader = EvaluationLoader(source, batch_size=3, device=torch.device("cpu"))
    assert mean_loss(Mean(), nn.Identity(), loader) == {"loss": pytest.approx(2.0)}


def test_the_start_of_an_epoch_is_an_option() -> None:
    assert isinstance(ToyTask(), EpochTask)
    assert not isinstance(Mean(), EpochTask)
