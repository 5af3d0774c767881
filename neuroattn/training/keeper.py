"""Saving and restoring a whole run: gathers the live objects into a `Snapshot` and back."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn
from torch.optim import Optimizer

from neuroattn.core.config import walk
from neuroattn.core.errors import ArtefactError
from neuroattn.training import randomness
from neuroattn.training.checkpoint import WEIGHTS, CheckpointStore, Snapshot
from neuroattn.training.registry import ScheduleKind, TrainingConfig
from neuroattn.training.selection import TrainingData, images_digest
from neuroattn.training.state import RunState
from neuroattn.training.weights import put_weights, read_weights, weights_of, write_weights

log = logging.getLogger("neuroattn.training")


def run_identity(config: TrainingConfig, data: TrainingData, seed: int) -> dict[str, Any]:
    """What makes two runs the same run, as JSON values; checkpoints of another are refused.

    At a constant rate the number of epochs decides only where a run ends, so a longer run
    goes on from the checkpoints of a shorter one. It has the same bits as one that never
    stopped if the last epoch of the shorter run is one that the longer run evaluates as well.
    """
    selection = data.selection
    keys = {key.path: key.value for key in walk(config) if key.role == "science"}
    if config.schedule.kind is ScheduleKind.constant:
        del keys["epochs"]
    return {
        "config": keys,
        "seed": seed,
        "samples": len(data.train),
        "train images": images_digest(data.train_images),
        "selection": None if selection is None else selection.name,
        "selection images": None if selection is None else images_digest(selection.images),
    }


class Keeper:
    """Keeps one run on the disk.

    Parameters
    ----------
    folder : the run's folder; checkpoints go below it.
    accelerator, model, optimiser : the live objects; ``model`` is the unwrapped one.
    identity : see `run_identity`.
    """

    def __init__(
        self,
        folder: Path,
        accelerator: Accelerator,
        model: nn.Module,
        optimiser: Optimizer,
        identity: dict[str, Any],
    ) -> None:
        self.folder, self.store = folder, CheckpointStore(folder / "checkpoints")
        self.accelerator, self.model, self.optimiser = accelerator, model, optimiser
        self.identity = identity
        self.best: str | None = None

    def restore(self, state: RunState) -> None:
        """Bring back the newest checkpoint, or seed the random streams of a new run.

        Raises
        ------
        ArtefactError : all checkpoints are damaged, or they belong to another run or model.
        SecurityError : one holds code.
        """
        if self.accelerator.is_main_process:
            self.store.sweep()
        self.accelerator.wait_for_everyone()
        found = self.store.newest()
        if found is None:
            self._seed_streams(0)
            return
        name, snapshot = found
        self._check_identity(name, snapshot.facts["identity"])
        put_weights(self.model, snapshot.weights, self.store.folder / name / WEIGHTS)
        self.optimiser.load_state_dict(snapshot.state["optimiser"])
        if self.accelerator.scaler is not None:
            self.accelerator.scaler.load_state_dict(snapshot.state["scaler"])
        state.load_state_dict(snapshot.facts["run"])
        self._restore_streams(snapshot.state["streams"], state.step)
        self.best = self.store.best(name)
        log.info("training resumes at step %d from %s", state.step, self.store.folder / name)

    def save(self, state: RunState, *, best: bool) -> None:
        """Write a checkpoint; all processes take part, the first one writes.

        Raises
        ------
        StorageError : it cannot be written; earlier checkpoints are untouched.
        """
        streams = [randomness.capture(self.accelerator.device)]
        if self.accelerator.num_processes > 1:
            streams = gather_object(streams)
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            tensors = {
                "optimiser": self.optimiser.state_dict(),
                "scaler": None if scaler is None else scaler.state_dict(),
                "streams": streams,
            }
            facts = {"identity": self.identity, "run": state.state_dict()}
            snapshot = Snapshot(weights_of(self.model), tensors, facts)
            name = self.store.save(snapshot, None if best else self.best)
            self.best = self.store.best(name)
        names = broadcast_object_list([self.best])
        self.best = names[0]

    def export_best(self) -> Path:
        """Put the best weights into the model and into a file of their own, which is returned."""
        name = self.best or self.store.best(self.store.names()[-1])
        source, target = self.store.folder / name / WEIGHTS, self.folder / WEIGHTS
        weights = read_weights(source)
        put_weights(self.model, weights, source)
        if self.accelerator.is_main_process:
            write_weights(target, weights)
        self.accelerator.wait_for_everyone()
        return target

    def _check_identity(self, name: str, found: dict[str, Any]) -> None:
        different = [key for key, value in self.identity.items() if found.get(key) != value]
        if different:
            raise ArtefactError(
                "the checkpoint belongs to another run",
                file=self.store.folder / name,
                expected={key: self.identity[key] for key in different},
                found={key: found.get(key) for key in different},
                fix="give each run a folder of its own, or delete this folder to start again",
            )

    def _restore_streams(self, streams: list[dict[str, Any]], step: int) -> None:
        rank, device = self.accelerator.process_index, self.accelerator.device
        same_processes = len(streams) == self.accelerator.num_processes
        if not (same_processes and randomness.restore(streams[rank], device)):
            self._seed_streams(step)
            log.warning(
                "training resumes on another kind of device or number of processes: "
                "it goes on correctly, but not to the same bits"
            )

    def _seed_streams(self, step: int) -> None:
        # Every process drops other units, and a run without its streams must not repeat old ones.
        rank = self.accelerator.process_index
        randomness.seed_streams(int(self.identity["seed"]), "training", step, rank)
