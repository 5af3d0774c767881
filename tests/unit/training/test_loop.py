from __future__ import annotations

import math
import random
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neuroattn.core.errors import (
    ArtefactError,
    ConfigError,
    DataError,
    InterruptedRunError,
    LeakError,
)
from neuroattn.training import loop
from neuroattn.training.batches import Batch, EvaluationLoader, TensorSource
from neuroattn.training.checkpoint import CheckpointStore
from neuroattn.training.device import build_accelerator
from neuroattn.training.keeper import Keeper
from neuroattn.training.ledger import Ledger
from neuroattn.training.loop import Outcome, Runtime, fit
from neuroattn.training.registry import (
    Mode,
    OptimiserConfig,
    ScheduleConfig,
    ScheduleKind,
    StoppingConfig,
    TrainingConfig,
)
from neuroattn.training.selection import SelectionSet, TrainingData
from neuroattn.training.task import mean_loss
from neuroattn.training.weights import read_weights

from .training_toy import (
    Rows,
    ToySource,
    ToyTask,
    digest,
    final_state,
    names,
    toy_config,
    toy_data,
    toy_model,
)


class Plain:
    """Mean squared error, and nothing random."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        return nn.functional.mse_loss(model(batch["x"]), batch["y"])

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        return mean_loss(self, model, loader)


class Scripted(Plain):
    """Evaluates to given values, and keeps the digest of the weights each time."""

    def __init__(self, values: Sequence[float], metric: str = "loss") -> None:
        self.values, self.metric = list(values), metric
        self.seen: list[str] = []

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        assert not model.training
        assert not torch.is_grad_enabled()
        self.seen.append(digest(model.state_dict()))
        return {self.metric: self.values[len(self.seen) - 1]}


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def advance(self, count: int = 1) -> None:
        self.count += count

    def resume(self, count: int) -> None:
        self.advance(count)


def linear_data(samples: int = 7) -> TrainingData:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.standard_normal((samples, 3)).astype(np.float32))
    source = TensorSource({"x": x, "y": 10 * x[:, :2]})
    return TrainingData(source, np.arange(samples))


def linear_model() -> nn.Linear:
    model = nn.Linear(3, 2)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


def go(
    folder: Path, task: Any = None, model: nn.Module | None = None, **keys: Any
) -> tuple[nn.Module, Outcome]:
    data, runtime = keys.pop("data", toy_data()), keys.pop("runtime", Runtime(device="cpu"))
    seed, optimiser = keys.pop("seed", 0), keys.pop("optimiser_object", None)
    model = toy_model() if model is None else model
    outcome = fit(
        model, task or Plain(), data, toy_config(**keys), seed=seed, folder=folder,
        runtime=runtime, optimiser=optimiser,
    )  # fmt: skip
    return model, outcome


# Steps


def sgd_step(folder: Path, clip_norm: float | None) -> tuple[float, dict[str, float]]:
    """Norm of the update of one whole-batch step at rate 1, and the row of metrics."""
    model, rows = linear_model(), Rows()
    go(
        folder, model=model, data=linear_data(), epochs=1, batch_size=7, log_every=1,
        clip_norm=clip_norm, schedule=ScheduleConfig(kind=ScheduleKind.constant),
        optimiser_object=torch.optim.SGD(model.parameters(), lr=1.0),
        runtime=Runtime(device="cpu", tracker=rows),
    )  # fmt: skip
    update = torch.cat([weight.detach().flatten() for weight in model.parameters()])
    return float(update.norm()), rows.rows[0][1]


def test_the_gradient_is_clipped_to_its_norm_and_logged_unclipped(tmp_path: Path) -> None:
    free, row = sgd_step(tmp_path / "free", None)
    assert "train.grad_norm" not in row
    assert free > 1
    clipped, row = sgd_step(tmp_path / "clipped", 0.5)
    assert clipped == pytest.approx(0.5, rel=1e-4)
    assert row["train.grad_norm"] == pytest.approx(free, rel=1e-5)
    loose, _ = sgd_step(tmp_path / "loose", 10 * free)
    assert loose == pytest.approx(free, rel=1e-6)


def test_accumulated_batches_equal_one_large_batch_even_where_they_are_uneven(
    tmp_path: Path,
) -> None:
    weights = []
    for name, batch_size, accumulate in (("large", 4, 1), ("small", 2, 2)):
        model = linear_model()
        _, outcome = go(
            tmp_path / name, model=model, data=linear_data(7), epochs=3, clip_norm=None,
            batch_size=batch_size, accumulate=accumulate,
            optimiser_object=torch.optim.SGD(model.parameters(), lr=0.1),
        )  # fmt: skip
        assert outcome.steps == 6
        weights.append(model.weight.detach().clone())
    assert torch.allclose(*weights, atol=1e-6)


def test_metrics_are_logged_with_rate_and_step(tmp_path: Path) -> None:
    rows = Rows()
    config = {"epochs": 2, "schedule": ScheduleConfig(kind=ScheduleKind.linear), "clip_norm": None}
    go(tmp_path, runtime=Runtime(device="cpu", tracker=rows), **config)
    steps = [step for step, row in rows.rows if "train.lr" in row]
    rates = [row["train.lr"] for _, row in rows.rows if "train.lr" in row]
    assert steps == [3, 6, 9, 12]  # every third of 14
    assert rates == pytest.approx([0.02 * (1 - (step - 1) / 14) for step in steps])
    epochs = [(step, row) for step, row in rows.rows if "epoch" in row]
    assert [(step, row["epoch"]) for step, row in epochs] == [(7, 1.0), (14, 2.0)]
    assert set(epochs[0][1]) == {"epoch", "train.epoch_loss", "selection.loss"}


def test_the_schedule_reaches_every_group_of_the_optimiser(tmp_path: Path) -> None:
    model, rates = linear_model(), []
    groups = [{"params": [model.weight], "lr": 1e-2}, {"params": [model.bias], "lr": 1e-3}]
    optimiser = torch.optim.SGD(groups)

    class Watching(Plain):
        def loss(self, model: nn.Module, batch: Batch) -> Tensor:
            rates.append([group["lr"] for group in optimiser.param_groups])
            return super().loss(model, batch)

    go(
        tmp_path, Watching(), model=model, data=linear_data(8), epochs=2, batch_size=4,
        schedule=ScheduleConfig(kind=ScheduleKind.linear), optimiser_object=optimiser,
    )  # fmt: skip
    expected = [[1e-2 * factor, 1e-3 * factor] for factor in (1.0, 0.75, 0.5, 0.25)]
    assert rates == [pytest.approx(pair) for pair in expected]


def test_training_learns_a_linear_map(tmp_path: Path) -> None:
    model = linear_model()
    go(
        tmp_path, model=model, data=linear_data(64), epochs=60, batch_size=16, clip_norm=None,
        optimiser=OptimiserConfig(lr=0.5, weight_decay=0.0),
    )  # fmt: skip
    assert torch.allclose(model.weight, torch.tensor([[10.0, 0, 0], [0, 10, 0]]), atol=0.05)


def test_progress_counts_optimiser_steps(tmp_path: Path) -> None:
    counter = Counter()
    go(tmp_path, epochs=2, accumulate=2, runtime=Runtime(device="cpu", progress=counter))
    assert counter.count == 8
    again = Counter()
    go(tmp_path, epochs=2, accumulate=2, runtime=Runtime(device="cpu", progress=again))
    assert again.count == 8


# Best, last, early stopping


def test_the_best_moment_is_kept_beside_the_last(tmp_path: Path) -> None:
    task = Scripted([3.0, 1.0, 2.0, 2.5])
    model, outcome = go(tmp_path, task)
    assert (outcome.best.epoch, outcome.best.step, outcome.best.value) == (2, 14, 1.0)
    assert digest(model.state_dict()) == task.seen[1]
    assert digest(read_weights(outcome.weights)) == digest(model.state_dict())
    assert (outcome.epochs, outcome.steps, outcome.stopped_early) == (4, 28, False)
    assert [row["selection.loss"] for row in outcome.history] == [3.0, 1.0, 2.0, 2.5]
    assert len(names(tmp_path)) == 2


def test_of_equal_moments_the_earliest_is_the_best(tmp_path: Path) -> None:
    task = Scripted([0.1, 0.4, 0.4, 0.2], metric="r")
    stopping = StoppingConfig(monitor="r", mode=Mode.max)
    model, outcome = go(tmp_path, task, stopping=stopping)
    assert outcome.best.epoch == 2
    assert digest(model.state_dict()) == task.seen[1]


def test_training_stops_when_patience_runs_out(tmp_path: Path) -> None:
    task = Scripted([3.0, 2.0, 2.0, 2.1])
    _, outcome = go(tmp_path, task, epochs=9, stopping=StoppingConfig(patience=2))
    assert (outcome.epochs, outcome.best.epoch, outcome.stopped_early) == (4, 2, True)


def test_evaluation_every_few_epochs_includes_the_last(tmp_path: Path) -> None:
    task = Scripted([3.0, 2.0, 1.0])
    _, outcome = go(tmp_path, task, epochs=5, evaluate_every=2)
    assert [row["epoch"] for row in outcome.history if "selection.loss" in row] == [2, 4, 5]


def test_without_a_selection_set_the_last_moment_is_the_best(tmp_path: Path) -> None:
    model, outcome = go(
        tmp_path, Scripted([]), data=toy_data(selection=False), epochs=2, checkpoint_every=3
    )
    assert names(tmp_path) == ["checkpoint-000004", "checkpoint-000005"]
    assert (outcome.best.epoch, outcome.best.step, outcome.best.value) == (2, 14, None)
    assert digest(read_weights(outcome.weights)) == digest(model.state_dict())


def test_early_stopping_without_a_selection_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs a selection set"):
        go(tmp_path, data=toy_data(selection=False), stopping=StoppingConfig(patience=1))


def test_a_run_that_would_select_on_test_images_does_not_start(tmp_path: Path) -> None:
    chosen = SelectionSet("validation", np.array([205, 300]), ToySource(2))
    data = TrainingData(ToySource(), np.arange(40), chosen, np.arange(200, 210))
    with pytest.raises(LeakError, match="'validation'"):
        go(tmp_path / "run", data=data)
    assert not (tmp_path / "run").exists()


def test_an_unknown_monitor_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        go(tmp_path, Scripted([1.0], metric="r"), epochs=1)
    assert (caught.value.expected, caught.value.found) == ("r", "loss")


# Broken numbers


class Breaking(Plain):
    def __init__(self, at: int, value: float) -> None:
        self.at, self.value, self.calls = at, value, 0

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        self.calls += int(model.training)
        broken = model.training and self.calls == self.at
        return super().loss(model, batch) * (self.value if broken else 1.0)


def test_a_nan_loss_is_an_error_that_names_the_step_and_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the loss is nan at step 9 \(epoch 2\)") as caught:
        go(tmp_path, Breaking(9, math.nan), checkpoint_every=1)
    assert "optimiser.lr" in str(caught.value.fix)
    store = final_state(tmp_path)
    assert store  # the last checkpoint is from before the broken step, and loads
    model, _ = go(tmp_path, Breaking(0, 1.0), checkpoint_every=1)
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())


def test_an_infinite_gradient_is_an_error_where_it_is_clipped(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="step 2"):
        go(tmp_path, Breaking(2, 3e38))


def test_nan_in_the_data_is_named(tmp_path: Path) -> None:
    data = toy_data()
    data.train.y[7, 1] = np.nan  # type: ignore[attr-defined]
    with pytest.raises(DataError) as caught:
        go(tmp_path, data=data, epochs=1)
    assert "'y' holds 1 non-finite values" in str(caught.value)


def test_a_nan_metric_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'loss' is nan"):
        go(tmp_path, Scripted([math.nan]))


# Loss scaling: on a CPU it can be exercised, though nothing there needs it


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every run a loss scale, as fp16 on a GPU has."""

    def build(*arguments: Any) -> Any:
        accelerator = build_accelerator(*arguments)
        accelerator.scaler = torch.amp.GradScaler("cpu", growth_interval=4)
        return accelerator

    monkeypatch.setattr(loop, "build_accelerator", build)


@pytest.mark.usefixtures("scaled")
@pytest.mark.parametrize("clip_norm", [None, 1.0])
def test_an_overflow_skips_its_step_and_the_run_goes_on(
    tmp_path: Path, clip_norm: float | None
) -> None:
    rows = Rows()
    runtime = Runtime(device="cpu", tracker=rows)
    model, outcome = go(
        tmp_path, Breaking(3, 1e34), epochs=2, log_every=1, clip_norm=clip_norm, runtime=runtime
    )
    assert outcome.steps == 14
    assert all(torch.isfinite(tensor).all() for tensor in model.state_dict().values())
    clipped = ["train.grad_norm" in row for _, row in rows.rows if "train.loss" in row]
    assert clipped == [clip_norm is not None and step != 2 for step in range(14)]


@pytest.mark.usefixtures("scaled")
def test_a_loss_scale_changes_no_gradient_and_survives_a_stop(tmp_path: Path) -> None:
    go(tmp_path / "whole", ToyTask())
    interrupted(tmp_path / "parts", 10)
    go(tmp_path / "parts", ToyTask())
    assert final_state(tmp_path / "parts") == final_state(tmp_path / "whole")
    found = CheckpointStore(tmp_path / "whole" / "checkpoints").newest()
    assert found is not None
    assert found[1].state["scaler"]["scale"] == 65536.0 * 2 ** (28 // 4)


@pytest.mark.usefixtures("scaled")
def test_endless_overflows_are_an_error(tmp_path: Path) -> None:
    class Endless(Plain):
        def loss(self, model: nn.Module, batch: Batch) -> Tensor:
            loss = super().loss(model, batch)
            return loss + (loss - loss.detach()) * 1e38 * 1e30  # the gradient alone is infinite

    with pytest.raises(DataError, match="the gradient's norm is inf"):
        go(tmp_path, Endless(), epochs=9)


# Losses fetched late: on a GPU they are, and a CPU can be told to


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(accelerator: Any, _every: int) -> Ledger:
        ledger = Ledger(accelerator, 0)
        ledger._every = 1000
        return ledger

    monkeypatch.setattr(loop, "Ledger", build)


def test_late_losses_give_the_same_rows_and_the_same_state(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    prompt, late = Rows(), Rows()
    go(tmp_path / "prompt", ToyTask(), runtime=Runtime(device="cpu", tracker=prompt))
    request.getfixturevalue("late")
    runtime = Runtime(device="cpu", tracker=late)
    interrupted(tmp_path / "late", 10, runtime=runtime)
    go(tmp_path / "late", ToyTask(), runtime=runtime)
    assert late.rows == prompt.rows
    assert final_state(tmp_path / "late") == final_state(tmp_path / "prompt")


@pytest.mark.usefixtures("late")
def test_no_broken_weights_are_saved_though_the_loss_is_seen_late(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at step 9 "):
        go(tmp_path, Breaking(9, math.nan), checkpoint_every=3)
    found = CheckpointStore(tmp_path / "checkpoints").newest()
    assert found is not None
    assert found[1].facts["run"]["step"] == 7  # the end of the first epoch, and its best
    assert all(torch.isfinite(tensor).all() for tensor in found[1].weights.values())


# Resuming


def interrupted(folder: Path, at: int, **keys: Any) -> None:
    with pytest.raises(InterruptedRunError):
        go(
            folder,
            ToyTask(lambda n: signal.raise_signal(signal.SIGTERM) if n == at else None),
            **keys,
        )


def test_rows_of_a_resumed_run_are_those_of_an_uninterrupted_one(tmp_path: Path) -> None:
    whole, parts = Rows(), Rows()
    go(tmp_path / "whole", ToyTask(), runtime=Runtime(device="cpu", tracker=whole))
    runtime = Runtime(device="cpu", tracker=parts)
    interrupted(tmp_path / "parts", 10, runtime=runtime)
    parts.log({"train.loss": 0.0}, step=11)  # as a run that was killed later would have left
    go(tmp_path / "parts", ToyTask(), runtime=runtime)
    assert parts.rows == whole.rows


def test_a_signal_after_the_last_step_is_obeyed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = Keeper.export_best

    def signalled(keeper: Keeper) -> Path:
        signal.raise_signal(signal.SIGTERM)
        return export(keeper)

    monkeypatch.setattr(Keeper, "export_best", signalled)
    with pytest.raises(InterruptedRunError, match=r"at step 7 of 7 \(epoch 1 of 1\)"):
        go(tmp_path, epochs=1)
    monkeypatch.undo()
    assert go(tmp_path, epochs=1)[1].steps == 7


def test_workers_do_not_change_a_run(tmp_path: Path) -> None:
    for workers in (0, 2):
        folder = tmp_path / str(workers)
        go(folder, ToyTask(), epochs=2, runtime=Runtime(device="cpu", workers=workers))
    assert final_state(tmp_path / "0") == final_state(tmp_path / "2")


def test_the_seed_changes_a_run_and_nothing_around_it_does(tmp_path: Path) -> None:
    states = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        random.random()
        torch.rand(3)
        model, _ = go(tmp_path / name, ToyTask(), epochs=1, seed=seed)
        states.append(digest(model.state_dict()))
    assert states[0] == states[1] != states[2]


def test_a_finished_run_is_not_trained_again_and_gives_its_weights_back(tmp_path: Path) -> None:
    model, first = go(tmp_path, ToyTask(), epochs=2)
    first.weights.unlink()
    task = ToyTask()
    other, second = go(tmp_path, task, model=toy_model(seed=9), epochs=2)
    assert task.calls == 0
    assert second == first
    assert digest(read_weights(second.weights)) == digest(model.state_dict())
    assert digest(other.state_dict()) == digest(model.state_dict())


CONSTANT = {"schedule": ScheduleConfig(kind=ScheduleKind.constant)}


def test_at_a_constant_rate_a_finished_run_can_be_made_longer(tmp_path: Path) -> None:
    whole, _ = go(tmp_path / "whole", ToyTask(), epochs=4, **CONSTANT)
    go(tmp_path / "parts", ToyTask(), epochs=2, **CONSTANT)
    task = ToyTask()
    longer, outcome = go(tmp_path / "parts", task, epochs=4, **CONSTANT)
    assert (outcome.epochs, task.calls) == (4, 14), "two epochs of seven steps were left"
    assert digest(longer.state_dict()) == digest(whole.state_dict())
    with pytest.raises(ArtefactError, match="longer run"):
        go(tmp_path / "parts", epochs=3, **CONSTANT)


def test_a_stopped_run_is_not_made_shorter_than_it_is(tmp_path: Path) -> None:
    stopping = ToyTask(lambda n: signal.raise_signal(signal.SIGTERM) if n == 15 else None)
    with pytest.raises(InterruptedRunError):
        go(tmp_path, stopping, epochs=4, **CONSTANT)
    with pytest.raises(ArtefactError, match="2 epochs and 1 batches"):  # it would never end
        go(tmp_path, epochs=2, **CONSTANT)


def test_under_a_curve_another_number_of_epochs_is_another_run(tmp_path: Path) -> None:
    go(tmp_path, epochs=1)
    with pytest.raises(ArtefactError, match="another run"):
        go(tmp_path, epochs=2)


@pytest.mark.parametrize(
    ("keys", "different"),
    [
        ({"optimiser": OptimiserConfig(lr=0.5)}, "optimiser.lr"),
        ({"seed": 5}, "seed"),
        ({"data": toy_data(selection=False)}, "selection images"),
    ],
)
def test_checkpoints_of_another_run_are_refused(
    tmp_path: Path, keys: dict[str, Any], different: str
) -> None:
    go(tmp_path, epochs=1)
    with pytest.raises(ArtefactError, match="another run") as caught:
        go(tmp_path, epochs=1, **keys)
    assert different in str(caught.value.expected)


def test_execution_keys_may_change_between_parts(tmp_path: Path) -> None:
    interrupted(tmp_path, 3, epochs=1)
    go(tmp_path, ToyTask(), epochs=1, checkpoint_every=1, log_every=1)


def test_a_checkpoint_of_another_model_gives_one_clear_error(tmp_path: Path) -> None:
    go(tmp_path, epochs=1)
    with pytest.raises(ArtefactError, match="the weights belong to another model") as caught:
        go(tmp_path, model=toy_model(width=9), epochs=1)
    assert "first.weight" in str(caught.value)
    assert str(tmp_path) in str(caught.value.file)


def test_only_new_bests_the_end_and_long_stretches_are_saved(tmp_path: Path) -> None:
    go(tmp_path / "rare", Scripted([1.0, 2.0, 3.0, 4.0]))
    assert names(tmp_path / "rare") == ["checkpoint-000001", "checkpoint-000002"]
    go(tmp_path / "often", Scripted([1.0, 2.0, 3.0, 4.0]), checkpoint_every=5)
    # Steps 5, 7 (the best), 12, 17, 22, 27, 28 (the end); the last two and the best are kept.
    assert names(tmp_path / "often") == [f"checkpoint-{n:06d}" for n in (2, 6, 7)]


# What is left around a run


def test_the_process_is_left_as_it_was(tmp_path: Path) -> None:
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)]
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    model, _ = go(tmp_path, ToyTask(), epochs=1)
    assert torch.equal(torch.rand(1), expected)
    assert "forward" not in model.__dict__
    assert not model.training
    assert handlers == [
        signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
    ]


def test_the_default_configuration_runs(tmp_path: Path) -> None:
    outcome = fit(
        toy_model(), ToyTask(), toy_data(), TrainingConfig(epochs=1), seed=0, folder=tmp_path
    )
    assert outcome.steps == 1
