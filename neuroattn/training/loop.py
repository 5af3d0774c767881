"""The one training loop: encoders, decoders and generators all go through `fit`.

A run is a function of its data, configuration and seed. It can be stopped between any two
steps and resumes to the same bits: weights, optimiser, loss scale, random streams, position
in the epoch, best so far and the losses not yet logged are all in the checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.optim import Optimizer

from neuroattn.core.errors import ArtefactError, ConfigError
from neuroattn.training import randomness
from neuroattn.training.batches import (
    Batch,
    BatchSource,
    EvaluationLoader,
    Reader,
    describe_non_finite,
    read,
    to_device,
)
from neuroattn.training.device import build_accelerator, repeatable_kernels, unpatched_after
from neuroattn.training.keeper import Keeper, run_identity
from neuroattn.training.ledger import BrokenStepError, Entry, Ledger, Row
from neuroattn.training.optimisers import build_optimiser, mark_base_rates, set_rates
from neuroattn.training.registry import TrainingConfig
from neuroattn.training.sampler import Position, Sampler
from neuroattn.training.schedules import build_schedule
from neuroattn.training.selection import Selector, TrainingData, check_sides, monitored
from neuroattn.training.signals import StopSignals
from neuroattn.training.state import Best, RunState
from neuroattn.training.task import EpochTask, Task
from neuroattn.training.tracking import Advance, RewindableTracker, Silent, Tracker


@dataclass(frozen=True)
class Runtime:
    """How a run is carried out; nothing here changes what is learned.

    Parameters
    ----------
    device : auto, cpu, cuda, cuda:<n> or mps.
    workers : reader processes; 0 reads in the main process.
    tracker : takes metrics.
    progress : takes one call per optimiser step.
    """

    device: str = "auto"
    workers: int = 0
    tracker: Tracker = field(default_factory=Silent)
    progress: Advance = field(default_factory=Silent)


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves.

    Parameters
    ----------
    weights : safetensors file with the best weights; may be moved away.
    best : the moment they are from, and the monitored value then.
    steps, epochs : how long was trained.
    stopped_early : whether patience ran out.
    history : one row of metrics per epoch.
    """

    weights: Path
    best: Best
    steps: int
    epochs: int
    stopped_early: bool
    history: list[dict[str, float]]


def fit(
    model: nn.Module,
    task: Task,
    data: TrainingData,
    config: TrainingConfig,
    *,
    seed: int,
    folder: Path,
    runtime: Runtime | None = None,
    optimiser: Optimizer | None = None,
) -> Outcome:
    """Train ``model``, or resume where an earlier call with the same arguments was stopped.

    Parameters
    ----------
    model : with its initial weights; afterwards it holds the best weights, in evaluation mode.
    seed : of the order of samples, dropout and augmentation. The caller seeds the weights.
    folder : for checkpoints, private to this run.
    optimiser : in place of the configured one, for groups with rates of their own; the
        schedule scales them all.

    Raises
    ------
    LeakError : test images would be trained or selected on.
    ConfigError : the configuration does not fit the data, the task or the device.
    DataError : a loss, a gradient or the monitored metric is not finite.
    ArtefactError : the checkpoints in ``folder`` are damaged or belong to another run or model.
    SecurityError : a checkpoint holds code.
    StorageError : a checkpoint cannot be written.
    InterruptedRunError : a stop signal came; the state is saved (exit code 85).
    """
    check_sides(data)
    _check_stopping(config, data)
    runtime = runtime or Runtime()
    accelerator = build_accelerator(config.precision, runtime.device)
    with ExitStack() as stack:
        stack.enter_context(randomness.isolated_streams(accelerator.device))
        stack.enter_context(repeatable_kernels(accelerator.device, config.deterministic))
        stack.enter_context(unpatched_after(model))
        signals = stack.enter_context(StopSignals())
        chosen = optimiser or build_optimiser(model, config.optimiser)
        mark_base_rates(chosen)
        wrapped = accelerator.prepare(model)
        keeper = Keeper(folder, accelerator, model, chosen, run_identity(config, data, seed))
        run = _Run(
            model=wrapped,
            task=task,
            data=data,
            config=config,
            runtime=runtime,
            keeper=keeper,
            signals=signals,
        )
        run.resume()
        run.train()
        return run.conclude()


def _check_stopping(config: TrainingConfig, data: TrainingData) -> None:
    if data.selection is None and config.stopping.patience is not None:
        raise ConfigError(
            "early stopping needs a selection set",
            expected="a selection set, or stopping.patience=null",
            found=f"stopping.patience={config.stopping.patience}",
            fix="hold out some training images for selection, or set stopping.patience=null",
        )


class _Run:
    """One call of `fit`: its live objects, and what happens in which order."""

    def __init__(
        self,
        *,
        model: nn.Module,
        task: Task,
        data: TrainingData,
        config: TrainingConfig,
        runtime: Runtime,
        keeper: Keeper,
        signals: StopSignals,
    ) -> None:
        self.model, self.task, self.data, self.config = model, task, data, config
        self.runtime, self.keeper, self.signals = runtime, keeper, signals
        self.accelerator: Accelerator = keeper.accelerator
        self.optimiser = keeper.optimiser
        self.sampler = Sampler(
            size=len(data.train),
            batch_size=config.batch_size,
            accumulate=config.accumulate,
            seed=int(keeper.identity["seed"]),
            drop_last=config.drop_last,
            rank=self.accelerator.process_index,
            world=self.accelerator.num_processes,
        )
        self.reader = Reader(data.train, self.sampler)
        self.schedule = build_schedule(config.schedule, self.sampler.steps, config.epochs)
        self.ledger = Ledger(self.accelerator, config.log_every)
        self.state = RunState(Selector(config.stopping))
        self.saved_at = self._here()

    def resume(self) -> None:
        """Bring back the newest checkpoint, or begin.

        Raises
        ------
        ArtefactError : it belongs to another run, or to a longer one; see `Keeper.restore`.
        """
        self.keeper.restore(self.state)
        self._check_length()
        self.saved_at = self._here()
        if self.accelerator.is_main_process:
            if isinstance(self.runtime.tracker, RewindableTracker):
                self.runtime.tracker.rewind(self.state.step)
            self.runtime.progress.resume(self.state.step)

    def _check_length(self) -> None:
        """A finished run of fewer epochs goes on (the rate is constant); one of more is refused."""
        state, epochs = self.state, self.config.epochs
        if (state.position.epoch, state.position.batch) > (epochs, 0):
            raise ArtefactError(
                "the checkpoint belongs to a longer run",
                file=self.keeper.folder,
                expected=f"at most {epochs} epochs",
                found=f"{state.position.epoch} epochs and {state.position.batch} batches",
                fix="give each run a folder of its own, or ask for as many epochs",
            )
        state.finished = state.finished and (
            state.position.epoch == epochs or state.selector.exhausted
        )

    def train(self) -> None:
        """Go on until nothing is left to train."""
        try:
            while not self.state.finished:
                self._train_epoch()
                self._end_epoch()
        except BrokenStepError as error:
            self._explain(error)
            raise

    def conclude(self) -> Outcome:
        """Leave the best weights in the model and in a file."""
        best, state = self.state.best, self.state
        if best is None:  # without a selection set the last moment is the best
            best = Best(step=state.step, epoch=state.position.epoch, value=None)
        weights = self.keeper.export_best()
        self.keeper.model.eval()
        self._pause()  # a signal that came with the last step is obeyed as well
        return Outcome(
            weights=weights,
            best=best,
            steps=state.step,
            epochs=state.position.epoch,
            stopped_early=state.selector.exhausted,
            history=state.history,
        )

    # Training steps

    def _train_epoch(self) -> None:
        position = self.state.position
        self.model.train()
        if position.batch == 0 and isinstance(self.task, EpochTask):
            self.task.on_epoch(self.keeper.model, position.epoch)
        numbers = range(position.batch, self.sampler.batches)
        workers, pin = self.runtime.workers, self.accelerator.device.type == "cuda"
        with closing(
            read(self.reader, position.epoch, numbers, workers=workers, pin=pin)
        ) as batches:
            while position.batch < self.sampler.batches:
                self._step(batches)
                self._pause()

    def _step(self, batches: Iterator[Batch]) -> None:
        """One optimiser step, over as many batches as are accumulated."""
        state, position = self.state, self.state.position
        group = self.sampler.step_batches(position.batch)
        set_rates(self.optimiser.param_groups, self.schedule(state.step))
        loss = torch.stack([self._backward(next(batches), n, group) for n in group]).sum()
        norm = self._clip()
        self._update()
        state.step += 1
        entry = Entry(state.step, position.epoch, position.batch, loss, norm)
        position.batch = group.stop
        self._note(self.ledger.add(entry))
        if self.accelerator.is_main_process:
            self.runtime.progress.advance(1)

    def _backward(self, batch: Batch, number: int, group: range) -> Tensor:
        """Add one batch's share to the gradient; returns its share of the step's loss."""
        share = self.sampler.samples(number) / sum(map(self.sampler.samples, group))
        last = number == group[-1]
        # Processes exchange gradients once per step, with the last batch.
        with nullcontext() if last else self.accelerator.no_sync(self.model):
            loss = self.task.loss(self.model, to_device(batch, self.accelerator.device)) * share
            self.accelerator.backward(loss)
        return loss.detach()

    def _clip(self) -> Tensor | None:
        if self.config.clip_norm is None:
            return None
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.unscale_(self.optimiser)
        return nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)

    def _update(self) -> None:
        # accelerate's own wrapper looks for further packages on the disk at every step.
        scaler = self.accelerator.scaler
        if scaler is None:
            self.optimiser.step()
        else:  # skips the update where a gradient overflowed, and lowers the scale
            scaler.step(self.optimiser)
            scaler.update()
        self.optimiser.zero_grad()

    # Between steps

    def _pause(self) -> None:
        """Save where it is time to, and obey a stop signal."""
        number = self._signal()
        ended = self.state.position.batch == self.sampler.batches  # saved after the evaluation
        if (number is not None and self.saved_at != self._here()) or (self._is_due() and not ended):
            self._save(best=False)
        if number is not None:
            self._leave(number)

    def _is_due(self) -> bool:
        return self.state.step - self.saved_at[0] >= self.config.checkpoint_every

    def _here(self) -> tuple[int, int, int]:
        return (self.state.step, self.state.position.epoch, self.state.position.batch)

    def _signal(self) -> int | None:
        """The stop signal that any process got; all must leave at the same step."""
        received = self.signals.received
        if self.accelerator.num_processes > 1:
            mine = torch.tensor([received or 0], device=self.accelerator.device)
            received = int(self.accelerator.gather(mine).max()) or None
        return received

    def _leave(self, number: int) -> None:
        total = self.sampler.steps * self.config.epochs
        epoch = min(self.state.position.epoch + 1, self.config.epochs)
        where = f"at step {self.state.step} of {total} (epoch {epoch} of {self.config.epochs})"
        self.signals.leave(number, where, self.keeper.folder)

    def _save(self, *, best: bool) -> None:
        self._note(self.ledger.settle())
        # Without a selection set there is nothing to prefer an earlier checkpoint for.
        self.keeper.save(self.state, best=best or self.data.selection is None)
        self.saved_at = self._here()

    def _note(self, rows: list[Row]) -> None:
        """Take fetched losses into the state; log them when a row of metrics is complete."""
        state = self.state
        for row in rows:
            state.losses.append(row.loss)
            state.norms += [] if row.norm is None else [row.norm]
            state.epoch_loss += row.loss
            state.epoch_steps += 1
            if row.step % self.config.log_every == 0:
                self._log(row.step, self._step_metrics(row.step))
                state.losses, state.norms = [], []

    def _step_metrics(self, step: int) -> dict[str, float]:
        state = self.state
        base = float(self.optimiser.param_groups[0]["initial_lr"])
        metrics = {
            "train.loss": sum(state.losses) / len(state.losses),
            "train.lr": base * self.schedule(step - 1),
        }
        if state.norms:
            metrics["train.grad_norm"] = sum(state.norms) / len(state.norms)
        return metrics

    def _log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self.accelerator.is_main_process:
            self.runtime.tracker.log(dict(metrics), step=step)

    # Ends of epochs

    def _end_epoch(self) -> None:
        """Evaluate where it is time to, choose, save, and move to the next epoch."""
        state, config = self.state, self.config
        self._note(self.ledger.settle())
        epoch = state.position.epoch + 1
        row = {"epoch": float(epoch), "train.epoch_loss": state.epoch_loss / state.epoch_steps}
        evaluates = epoch % config.evaluate_every == 0 or epoch == config.epochs
        improved = evaluates and self._choose(row)
        state.history.append(row)
        self._log(state.step, row)
        state.position, state.epoch_loss, state.epoch_steps = Position(epoch, 0), 0.0, 0
        state.finished = epoch == config.epochs or state.selector.exhausted
        if improved or state.finished or self._is_due():
            self._save(best=improved)
        self._pause()

    def _choose(self, row: dict[str, float]) -> bool:
        """Evaluate on the selection set, add its metrics to ``row``; whether this is the best."""
        selection = self.data.selection
        if selection is None:
            return False
        metrics = self._evaluate(selection.source)
        row.update({f"{selection.name}.{name}": value for name, value in metrics.items()})
        value = monitored(metrics, self.config.stopping.monitor)
        improved = self.state.selector.update(value)
        if improved:
            self.state.best = Best(self.state.step, self.state.position.epoch + 1, value)
        return improved

    def _evaluate(self, source: BatchSource) -> dict[str, float]:
        loader = EvaluationLoader(
            source,
            self.config.batch_size,
            self.accelerator.device,
            self.runtime.workers,
        )
        model = self.keeper.model.eval()
        with torch.no_grad():
            metrics = self.task.evaluate(model, loader)
        shared = [{name: float(value) for name, value in metrics.items()}]
        broadcast_object_list(shared)  # so that no rounding makes processes choose differently
        return shared[0]

    def _explain(self, error: BrokenStepError) -> None:
        """Say whether the data were broken before the step was."""
        epoch, first = error.batch
        for number in self.sampler.step_batches(first):
            culprits = describe_non_finite(self.reader[epoch, number])
            if culprits:
                error.found = f"{error.found}; in batch {number}, {culprits}"
