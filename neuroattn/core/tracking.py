"""Tracking: metrics go to a JSON-lines file always, and to wandb where asked for.

The file is the truth. wandb is offline unless told otherwise, and nothing it does can stop
a run or make it wait: it runs behind a bounded queue in a thread of its own, and its first
error switches it off with one warning. This is the only module that imports it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from neuroattn.core.config import Section, execution

log = logging.getLogger("neuroattn.tracking")

QUEUE_LENGTH = 1000
FINISH_SECONDS = 10.0


class TrackingMode(Enum):
    """Where metrics go beside ``metrics.jsonl``."""

    none = "none"
    wandb_offline = "wandb_offline"
    wandb_online = "wandb_online"


@dataclass(kw_only=True)
class TrackingConfig(Section):
    """Experiment tracking; none of it changes a result."""

    mode: TrackingMode = execution(
        TrackingMode.none, "Beside metrics.jsonl: none, wandb_offline (files only) or wandb_online."
    )
    project: str = execution("neuroattn", "Project name in wandb.")
    entity: str | None = execution(None, "Team or user in wandb; None is your default.")
    tags: list[str] = execution([], "Tags in wandb.")


class Sink(Protocol):
    """Something that takes metrics and may fail."""

    def log(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Take one row."""

    def close(self) -> None:
        """Flush and finish."""


class Tracker:
    """Appends metrics to ``file`` as JSON lines and hands them to an optional `Sink`.

    Parameters
    ----------
    file : the JSON-lines file; lines of a run that is resumed at an earlier step are cut.
    sink : a `Background` sink, or None.
    """

    def __init__(self, file: Path, sink: Sink | None = None) -> None:
        self.file = file
        self._sink = sink

    def log(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record ``metrics`` (dotted keys) at ``step``."""
        row = {"step": step, **{name: float(value) for name, value in metrics.items()}}
        with open(self.file, "a") as handle:
            handle.write(json.dumps(row) + "\n")
        if self._sink is not None:
            self._sink.log(metrics, step)

    def rewind(self, step: int) -> None:
        """Forget rows after ``step``: training resumes from there and will write them again."""
        if not self.file.exists():
            return
        rows = [line for line in self.file.read_text().splitlines() if _is_row_up_to(line, step)]
        self.file.write_text("".join(f"{row}\n" for row in rows))

    def close(self) -> None:
        """Flush the sink."""
        if self._sink is not None:
            self._sink.close()


def _is_row_up_to(line: str, step: int) -> bool:
    try:
        at = json.loads(line)["step"]
    except (ValueError, KeyError, TypeError):  # a line cut short by a kill
        return False
    return at is None or at <= step


class Background:
    """Runs a sink in a daemon thread: a sink that raises or hangs costs the run nothing."""

    def __init__(self, open_sink: Any) -> None:
        self._open = open_sink
        self._rows: queue.Queue[tuple[dict[str, float], int | None] | None] = queue.Queue(
            QUEUE_LENGTH
        )
        self._dropped = 0
        self._thread = threading.Thread(target=self._work, daemon=True, name="tracking")
        self._thread.start()

    def log(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Hand one row over, without waiting."""
        try:
            self._rows.put_nowait((dict(metrics), step))
        except queue.Full:  # the sink is slower than the run; the file has every row
            self._dropped += 1

    def close(self) -> None:
        """Let the sink finish, for a bounded time."""
        with contextlib.suppress(queue.Full):
            self._rows.put(None, timeout=FINISH_SECONDS)
        self._thread.join(FINISH_SECONDS)
        if self._dropped or self._thread.is_alive():
            log.warning("tracking fell behind; metrics.jsonl is complete, its copy is not")

    def _work(self) -> None:
        try:
            sink = self._open()
            while (row := self._rows.get()) is not None:
                sink.log(*row)
            sink.close()
        except Exception as error:  # noqa: BLE001 - whatever tracking does, the run goes on
            log.warning("tracking is off for this run: %s", error)
            while self._rows.get() is not None:
                pass


class WandbSink:
    """Writes to wandb under the artefact's fingerprint, so that resumed parts join one run."""

    def __init__(self, config: TrackingConfig, folder: Path, name: str, identity: str) -> None:
        import wandb

        online = config.mode is TrackingMode.wandb_online
        self._run = wandb.init(
            project=config.project,
            entity=config.entity,
            tags=list(config.tags),
            dir=str(folder),
            id=identity,
            name=name,
            resume="allow",
            mode="online" if online else "offline",
            settings=wandb.Settings(silent=True, console="off"),
        )

    def log(self, metrics: Mapping[str, float], step: int | None) -> None:
        """Log one row."""
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        """Finish the run."""
        self._run.finish()


def open_tracker(config: TrackingConfig, folder: Path, *, name: str, identity: str) -> Tracker:
    """Tracker for the artefact in ``folder``; ``identity`` is its fingerprint."""
    sink = None
    if config.mode is not TrackingMode.none:
        root = folder.parents[1]  # wandb makes its own folder "wandb" there, to be synced later
        sink = Background(lambda: WandbSink(config, root, name, identity))
    return Tracker(folder / "metrics.jsonl", sink)
