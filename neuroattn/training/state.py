"""Where a run stands: the plain values that a checkpoint holds beside tensors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from neuroattn.training.sampler import Position
from neuroattn.training.selection import Selector


@dataclass
class Best:
    """The best moment so far."""

    step: int
    epoch: int
    value: float | None

    def state_dict(self) -> dict[str, Any]:
        """The moment as JSON values."""
        return {"step": self.step, "epoch": self.epoch, "value": self.value}


@dataclass
class RunState:
    """Progress of a run.

    Parameters
    ----------
    selector : best value and patience.
    position : the batch that comes next.
    step : optimiser steps done.
    losses, norms : loss and gradient norm of the steps since the last row of metrics.
    epoch_loss, epoch_steps : sum of the losses of this epoch's steps, and their number.
    best : the best moment; its weights are in the best checkpoint.
    history : one row of metrics per epoch.
    finished : nothing is left to train.
    """

    selector: Selector
    position: Position = field(default_factory=Position)
    step: int = 0
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    epoch_loss: float = 0.0
    epoch_steps: int = 0
    best: Best | None = None
    history: list[dict[str, float]] = field(default_factory=list)
    finished: bool = False

    def state_dict(self) -> dict[str, Any]:
        """Everything as JSON values; floats survive JSON exactly."""
        return {
            "selector": self.selector.state_dict(),
            "position": self.position.state_dict(),
            "step": self.step,
            "losses": self.losses,
            "norms": self.norms,
            "epoch_loss": self.epoch_loss,
            "epoch_steps": self.epoch_steps,
            "best": None if self.best is None else self.best.state_dict(),
            "history": self.history,
            "finished": self.finished,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Bring back what `state_dict` gave."""
        self.selector.load_state_dict(state["selector"])
        self.position.load_state_dict(state["position"])
        self.step = int(state["step"])
        self.losses, self.norms = list(state["losses"]), list(state["norms"])
        self.epoch_loss, self.epoch_steps = float(state["epoch_loss"]), int(state["epoch_steps"])
        self.best = None if state["best"] is None else Best(**state["best"])
        self.history = [dict(row) for row in state["history"]]
        self.finished = bool(state["finished"])
