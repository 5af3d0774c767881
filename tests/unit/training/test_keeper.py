from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from neuroattn.training.device import build_accelerator
from neuroattn.training.keeper import Keeper, run_identity
from neuroattn.training.optimisers import build_optimiser
from neuroattn.training.randomness import isolated_streams
from neuroattn.training.registry import OptimiserConfig, Precision, StoppingConfig
from neuroattn.training.selection import Selector
from neuroattn.training.state import RunState

from .training_toy import digest, toy_config, toy_data, toy_model


def keeper_in(folder: Path) -> Keeper:
    model = toy_model()
    accelerator = build_accelerator(Precision.fp32, "cpu")
    optimiser = build_optimiser(model, OptimiserConfig())
    identity = run_identity(toy_config(), toy_data(), seed=1)
    return Keeper(folder, accelerator, model, optimiser, identity)


def new_state() -> RunState:
    return RunState(Selector(StoppingConfig()))


def test_a_new_run_seeds_its_streams(tmp_path: Path) -> None:
    draws = []
    with isolated_streams(torch.device("cpu")):
        for name in ("a", "b"):
            torch.rand(3)
            keeper_in(tmp_path / name).restore(new_state())
            draws.append(torch.rand(1))
    assert torch.equal(*draws)


def test_the_best_is_remembered_across_saves_and_restores(tmp_path: Path) -> None:
    with isolated_streams(torch.device("cpu")):
        keeper = keeper_in(tmp_path)
        keeper.save(new_state(), best=True)
        best = digest(keeper.model.state_dict())
        with torch.no_grad():
            keeper.model.get_parameter("first.weight").zero_()
        for _ in range(3):
            keeper.save(new_state(), best=False)
        other = keeper_in(tmp_path)
        other.restore(new_state())
        assert digest(other.model.state_dict()) != best
        other.save(new_state(), best=False)
        weights = other.export_best()
        assert digest(other.model.state_dict()) == best
        assert weights == tmp_path / "weights.safetensors"


def test_another_number_of_processes_is_said_to_cost_exactness(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with isolated_streams(torch.device("cpu")):
        keeper = keeper_in(tmp_path)
        with caplog.at_level(logging.WARNING):
            keeper._restore_streams([{}, {}], step=5)
    assert "not to the same bits" in caplog.text


def test_the_identity_of_a_run_leaves_execution_out() -> None:
    data = toy_data()
    first = run_identity(toy_config(), data, seed=1)
    assert run_identity(toy_config(checkpoint_every=3, deterministic=False), data, 1) == first
    assert run_identity(toy_config(batch_size=7), data, 1) != first
