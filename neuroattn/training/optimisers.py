"""Optimisers from their config, as pure builders."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer

from neuroattn.core.errors import ConfigError
from neuroattn.training.registry import Decay, OptimiserConfig


def parameter_groups(model: nn.Module, config: OptimiserConfig) -> list[dict[str, Any]]:
    """Trainable parameters in a decayed and an undecayed group; an empty group is left out.

    Under ``decay=matrices`` biases, norms and temperatures (fewer than two axes) are not
    decayed: pulling them to zero changes what the network can express, not how smooth it is.

    Raises
    ------
    ConfigError : nothing in the model can be trained.
    """
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    if not trainable:
        raise ConfigError(
            "the model has no trainable parameter",
            expected="at least one parameter with requires_grad",
            found=type(model).__name__,
            fix="a frozen model is used for features; train a readout on them",
        )
    decayed = [w for w in trainable if config.decay is Decay.all or w.ndim >= 2]
    plain = [w for w in trainable if config.decay is not Decay.all and w.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimiser(model: nn.Module, config: OptimiserConfig) -> Optimizer:
    """AdamW over the trainable parameters of ``model``, fused: one pass instead of seven."""
    first, second = config.betas
    return AdamW(
        parameter_groups(model, config),
        lr=config.lr,
        betas=(first, second),
        eps=config.eps,
        fused=True,
    )


def mark_base_rates(optimiser: Optimizer) -> None:
    """Remember each group's learning rate, so that `set_rates` can scale it at any step."""
    for group in optimiser.param_groups:
        group.setdefault("initial_lr", group["lr"])


def set_rates(groups: Iterable[dict[str, Any]], factor: float) -> float:
    """Set every group's learning rate to its base times ``factor``; returns the first group's."""
    rates = []
    for group in groups:
        group["lr"] = group["initial_lr"] * factor
        rates.append(float(group["lr"]))
    return rates[0]
