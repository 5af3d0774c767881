"""Contract: a training run that was stopped or killed anywhere resumes to the same bits.

As a script it is the process that gets stopped:
    many FOLDER          stops runs at random steps, resumes them, prints digests as JSON
    one FOLDER SIGNAL    sends itself SIGNAL in forward pass number 10
    part FOLDER STEP     one of two processes; the second is stopped in forward pass STEP
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "training"))

from training_toy import (
    Rows,
    ToyTask,
    digest,
    final_state,
    names,
    scramble,
    toy_config,
    toy_data,
    toy_model,
)

from neuroattn.core.errors import EXIT_INTERRUPTED, InterruptedRunError, NeuroattnError
from neuroattn.training.loop import Runtime, fit

EPOCHS = 3
BATCHES = 7 * EPOCHS  # with 3 batches a step, the last step of an epoch has one
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "accumulating": {"accumulate": 3},
    "with readers": {"workers": 2},
}
STOPS = {"plain": 10, "accumulating": 2, "with readers": 1, "chain": 1}


def run(folder: Path, at_step: Callable[[int], None] | None = None, **keys: Any) -> str:
    """Train in ``folder`` from whatever is there; returns a digest of all that came out."""
    scramble()
    rows = Rows()
    workers = keys.pop("workers", 0)
    keys = {"epochs": EPOCHS, "log_every": 2, **keys}
    model = toy_model()
    outcome = fit(
        model, ToyTask(at_step), toy_data(), toy_config(**keys), seed=3, folder=folder,
        runtime=Runtime(device="cpu", workers=workers, tracker=rows),
    )  # fmt: skip
    return digest([final_state(folder), model.state_dict(), outcome.history, vars(outcome.best)])


def send(number: int, step: int) -> Callable[[int], None]:
    return lambda call: os.kill(os.getpid(), number) if call == step else None


def stopped(folder: Path, step: int, **keys: Any) -> bool:
    """Train until SIGTERM in forward pass number ``step``; whether it stopped the run."""
    try:
        run(folder, send(signal.SIGTERM, step), **keys)
    except InterruptedRunError:
        return True
    return False


def many(folder: Path) -> dict[str, Any]:
    rng, report = np.random.default_rng(0), {}
    for name, keys in VARIANTS.items():
        steps = (1 + rng.choice(BATCHES, STOPS[name], replace=False)).tolist()
        whole = run(folder / name / "whole", **keys)
        parts = {}
        for step in steps:
            part = folder / name / str(step)
            assert stopped(part, step, **keys)
            parts[step] = run(part, **keys)
        report[name] = {"whole": whole, "parts": parts}
    # One run, stopped again and again: every call gets four forward passes further.
    chain, links = folder / "chain", 0
    while stopped(chain, 4):
        links += 1
    report["chain"] = {"whole": report["plain"]["whole"], "parts": {links: run(chain)}}
    return report


def main(mode: str, folder: str, *rest: str) -> int:
    try:
        if mode == "many":
            print(json.dumps(many(Path(folder))))
        elif mode == "one":
            run(Path(folder), send(signal.Signals[rest[0]], 10))
        else:
            mine = int(rest[0]) if os.environ["RANK"] == "1" else 0
            print(run(Path(folder), send(signal.SIGTERM, mine), accumulate=2))
    except NeuroattnError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error", **variables}
    return subprocess.Popen(
        [sys.executable, __file__, *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


SIGNALS = ("SIGUSR1", "SIGUSR2")
Ended = tuple[int, str, str]


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Ended]]:
    """Three processes at once, for most of their time is imports: folder and how each ended."""
    root = tmp_path_factory.mktemp("resume")
    started = {"many": start("many", str(root / "many"))}
    started |= {name: start("one", str(root / name), name) for name in SIGNALS}
    try:
        outputs = {name: process.communicate(timeout=240) for name, process in started.items()}
    finally:
        for process in started.values():
            process.kill()
    return {
        name: (root / name, (process.returncode, *outputs[name]))
        for name, process in started.items()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of an uninterrupted run in this process."""
    return run(tmp_path_factory.mktemp("whole"))


@pytest.mark.parametrize("variant", list(STOPS))
def test_a_run_stopped_at_random_steps_resumes_to_the_same_bits(
    processes: dict[str, tuple[Path, Ended]], variant: str
) -> None:
    _, (code, output, errors) = processes["many"]
    assert code == 0, errors
    report = json.loads(output)[variant]
    assert len(report["parts"]) == STOPS[variant]
    assert {
        step: part == report["whole"] for step, part in report["parts"].items()
    } == dict.fromkeys(report["parts"], True)


def test_readers_and_processes_do_not_change_the_bits(
    processes: dict[str, tuple[Path, Ended]], whole: str
) -> None:
    report = json.loads(processes["many"][1][1])
    assert report["plain"]["whole"] == report["with readers"]["whole"] == whole
    assert report["accumulating"]["whole"] != whole
    assert list(report["chain"]["parts"]) == [str(BATCHES // 4)]


@pytest.mark.parametrize("name", SIGNALS)
def test_a_stopped_process_says_so_by_its_exit_code_and_the_same_call_resumes(
    processes: dict[str, tuple[Path, Ended]], name: str, whole: str
) -> None:
    folder, (code, output, errors) = processes[name]
    assert code == EXIT_INTERRUPTED == 85
    assert errors.startswith(f"training was stopped by {name} at step 10 of 21 (epoch 2 of 3)")
    assert "run the same command again" in errors
    assert "Traceback" not in errors
    assert output == ""
    assert len(names(folder)) == 2
    assert run(folder) == whole


def test_a_requeue_handler_runs_after_the_state_is_saved(tmp_path: Path, whole: str) -> None:
    seen: list[list[str]] = []

    def requeue(number: int, frame: object) -> None:
        seen.append(names(tmp_path))
        raise SystemExit(-1)

    before = signal.signal(signal.SIGUSR2, requeue)
    try:
        with pytest.raises(SystemExit):
            run(tmp_path, send(signal.SIGUSR2, 5))
        assert signal.getsignal(signal.SIGUSR2) is requeue
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert seen == [["checkpoint-000001"]]
    assert run(tmp_path) == whole


def test_a_handler_that_returns_costs_nothing_but_a_checkpoint(tmp_path: Path, whole: str) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        assert run(tmp_path, send(signal.SIGTERM, 5)) == whole
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen == [signal.SIGTERM]


@pytest.mark.parametrize("step", [1, 6, 13])
def test_a_killed_run_resumes_from_its_last_checkpoint_to_the_same_bits(
    tmp_path: Path, whole: str, step: int
) -> None:
    child = os.fork()
    if child == 0:
        try:
            run(tmp_path, send(signal.SIGKILL, step), checkpoint_every=4)
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert run(tmp_path) == whole


def pair(folder: Path, step: int) -> tuple[list[int], list[str]]:
    """Train by two processes; their exit codes and outputs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true",
              "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}  # fmt: skip
    started = [
        start("part", str(folder), str(step), RANK=rank, LOCAL_RANK=rank, **shared)
        for rank in ("0", "1")
    ]
    try:
        outputs = [process.communicate(timeout=120)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return [process.returncode for process in started], outputs


@pytest.mark.slow
def test_two_processes_stop_together_and_resume_to_the_same_bits(tmp_path: Path) -> None:
    codes, whole = pair(tmp_path / "whole", 0)
    assert codes == [0, 0]
    assert len(set(whole)) == 1
    codes, _ = pair(tmp_path / "parts", 9)
    assert codes == [EXIT_INTERRUPTED] * 2
    codes, resumed = pair(tmp_path / "parts", 0)
    assert codes == [0, 0]
    assert resumed == whole


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
