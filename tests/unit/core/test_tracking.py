from __future__ import annotations

import json
import sys
import threading
import time
import types
from pathlib import Path

import pytest

from neuroattn.core import tracking as module
from neuroattn.core.tracking import Background, Tracker, TrackingConfig, TrackingMode, open_tracker


def _rows(file: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_metrics_are_json_lines(tmp_path: Path) -> None:
    tracker = open_tracker(TrackingConfig(), tmp_path, name="n", identity="i")
    tracker.log({"loss": 0.5}, step=1)
    tracker.log({"loss": 0.25}, step=2)
    tracker.close()
    assert _rows(tmp_path / "metrics.jsonl") == [
        {"step": 1, "loss": 0.5},
        {"step": 2, "loss": 0.25},
    ]


def test_rewind_cuts_what_will_be_written_again_and_a_torn_line(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path / "m.jsonl")
    for step in range(5):
        tracker.log({"loss": float(step)}, step=step)
    with open(tmp_path / "m.jsonl", "a") as handle:
        handle.write('{"step": 5, "lo')
    tracker.rewind(2)
    assert [row["step"] for row in _rows(tmp_path / "m.jsonl")] == [0, 1, 2]


@pytest.mark.parametrize("fault", ["absent", "init", "log", "finish", "hang"])
def test_nothing_that_wandb_does_stops_or_slows_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(module, "FINISH_SECONDS", 0.2)
    over = threading.Event()

    def act(name: str) -> None:
        if fault == name:
            raise RuntimeError(name)
        if fault == "hang" and name == "log":
            over.wait(60)

    run = types.SimpleNamespace(log=lambda *a, **k: act("log"), finish=lambda: act("finish"))
    wandb = types.SimpleNamespace(init=lambda **k: (act("init"), run)[1], Settings=lambda **k: None)
    monkeypatch.setitem(sys.modules, "wandb", None if fault == "absent" else wandb)
    began = time.monotonic()
    config = TrackingConfig(mode=TrackingMode.wandb_offline)
    folder = tmp_path / "stage" / "artefact"
    folder.mkdir(parents=True)
    tracker = open_tracker(config, folder, name="n", identity="i")
    for step in range(3000):  # more than the queue holds
        tracker.log({"loss": 1.0}, step=step)
    tracker.close()
    over.set()
    assert time.monotonic() - began < 40, "it waited for what hung"
    assert len(_rows(folder / "metrics.jsonl")) == 3000


def test_a_sink_that_works_gets_every_row() -> None:
    got: list[tuple[dict[str, float], int | None]] = []
    closed: list[bool] = []
    sink = types.SimpleNamespace(
        log=lambda m, s: got.append((m, s)), close=lambda: closed.append(True)
    )
    background = Background(lambda: sink)
    background.log({"a": 1.0}, 3)
    background.close()
    assert got == [({"a": 1.0}, 3)]
    assert closed == [True]
