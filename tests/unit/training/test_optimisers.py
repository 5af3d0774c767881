from __future__ import annotations

import pytest
import torch
from torch import nn

from neuroattn.core.errors import ConfigError
from neuroattn.training.optimisers import (
    build_optimiser,
    mark_base_rates,
    parameter_groups,
    set_rates,
)
from neuroattn.training.registry import Decay, OptimiserConfig

from .training_toy import toy_model


def test_only_matrices_are_decayed() -> None:
    model = toy_model()
    decayed, plain = parameter_groups(model, OptimiserConfig(weight_decay=0.1))
    assert {id(w) for w in decayed["params"]} == {id(model.first.weight), id(model.last.weight)}
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.1, 0.0)
    assert len(plain["params"]) == 4  # two biases, two of the norm


def test_all_are_decayed_when_told_so() -> None:
    groups = parameter_groups(toy_model(), OptimiserConfig(decay=Decay.all))
    assert [len(group["params"]) for group in groups] == [6]


def test_decay_moves_a_matrix_and_leaves_a_bias() -> None:
    model = nn.Linear(2, 2)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    optimiser = build_optimiser(model, OptimiserConfig(lr=0.1, weight_decay=0.5))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimiser.step()
    assert torch.allclose(model.weight, before["weight"] * (1 - 0.1 * 0.5))
    assert torch.equal(model.bias, before["bias"])


def test_the_configuration_reaches_adamw() -> None:
    config = OptimiserConfig(lr=0.5, betas=[0.8, 0.9], eps=1e-6)
    group = build_optimiser(toy_model(), config).param_groups[0]
    assert (group["lr"], group["betas"], group["eps"]) == (0.5, (0.8, 0.9), 1e-6)


def test_frozen_parameters_are_left_out_and_a_frozen_model_is_refused() -> None:
    model = nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    assert [len(group["params"]) for group in parameter_groups(model, OptimiserConfig())] == [1]
    model.weight.requires_grad_(False)
    with pytest.raises(ConfigError, match="no trainable parameter"):
        parameter_groups(model, OptimiserConfig())


def test_rates_are_scaled_from_their_base_and_not_from_each_other() -> None:
    first, second = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([{"params": [first], "lr": 1.0}, {"params": [second], "lr": 0.1}])
    mark_base_rates(optimiser)
    for factor in (0.5, 0.5, 1.0, 0.25):
        set_rates(optimiser.param_groups, factor)
    assert [group["lr"] for group in optimiser.param_groups] == pytest.approx([0.25, 0.025])
