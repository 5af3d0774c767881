"""What the loop needs to know of a method: a loss, and an evaluation on the selection set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from neuroattn.training.batches import Batch, EvaluationLoader


class Task(Protocol):
    """What is trained, apart from the model.

    Whatever a task remembers between steps must be a persistent buffer of the model: only
    then does a resumed run know it.
    """

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of one batch, averaged over its samples; a scalar.

        Call ``model(...)`` and leave its attributes alone: under several processes it is a
        wrapper.
        """

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """Metrics on the selection set; called in evaluation mode and without gradients."""


@runtime_checkable
class EpochTask(Protocol):
    """A task that does something at the start of each epoch (curricula, blur levels)."""

    def on_epoch(self, model: nn.Module, epoch: int) -> None:
        """Prepare ``epoch`` (from 0); called once, and not again after a resume within it."""


def mean_loss(task: Task, model: nn.Module, loader: EvaluationLoader) -> dict[str, float]:
    """The loss averaged over all samples of ``loader``, as ``{"loss": ...}``."""
    total, count = 0.0, 0
    for batch in loader:
        rows = len(next(iter(batch.values())))
        total += float(task.loss(model, batch)) * rows
        count += rows
    return {"loss": total / count}
