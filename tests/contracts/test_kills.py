"""Killed at any point: the old artefact or the new one, and the resumed bytes are the same."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.claims import claim, owner_of
from neuroattn.pipeline.build import run_stage
from neuroattn.pipeline.stages import catalogue
from tests.chain import SOME, config, fast_alone, neuroattn, node, payloads, with_parents, words
from tests.faults import Points, count_points, run_killed, start_child, wait_for

SIGTERMED = 128 + signal.SIGTERM


def _check_readable(root: Path) -> None:
    """Whatever says DONE is whole."""
    for done in root.glob("*/*/DONE"):
        Artefact(done.parent).verify()


def _check_complete(root: Path, expected: dict[str, dict[str, str]]) -> None:
    found = payloads(root)
    assert found
    assert found == {name: expected.get(name) for name in found}
    # A draft of a claim that was being released stays until gc: the artefact is done.
    assert not [path for path in root.glob("[!j]*/**/.*.tmp") if path.parent.name != ".claim"]


def _builder(stage: str, data: Path, root: Path) -> Callable[[], int]:
    """Build ``stage`` without the command line, whose share of the time is the largest."""
    made = config(stage, data, root)

    def action() -> int:
        run_stage(stage, made)
        return 0

    return action


def _command(stage: str, data: Path, root: Path) -> Callable[[], int]:
    command = words(stage, data, root)
    return lambda: neuroattn(*command).code


def _kill(stage: str, at: int, word: str, data: Path, built: Path, root: Path) -> None:
    with_parents(stage, data, built, root)
    build = _builder(stage, data, root)
    assert run_killed(build, root, at, word) == -signal.SIGKILL, "this point was not reached"
    _check_readable(root)
    assert wait_for(start_child(build)) == 0
    _check_complete(root, payloads(built))
    assert (node(stage, data, root).folder / "DONE").exists()


@pytest.mark.parametrize("stage", fast_alone(catalogue().stages, SOME))
def test_a_killed_stage_resumes(
    stage: str, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    _kill(stage, 30, "", tiny_data, all_root, tmp_path)


@pytest.mark.parametrize(
    ("at", "word"),
    [
        (2, ".claim"), (4, ".claim"), (2, "config.yaml"), (1, "responses.h5"), (3, "trials.tsv"),
        (1, "provenance.json"), (1, "DONE"), (2, "DONE"), (3, "DONE"), (4, "DONE"),
    ],
)  # fmt: skip
def test_a_kill_leaves_old_or_new(
    at: int, word: str, tiny_data: Path, all_root: Path, tmp_path: Path
) -> None:
    _kill("prepare", at, word, tiny_data, all_root, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)  # five minutes of a quiet machine
def test_thirty_kills(tiny_data: Path, all_root: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    total = count_points(_command("report", tiny_data, count), count)
    assert total > 200, "too few points: the watch does not work"
    for number in range(30):
        root = tmp_path / str(number)
        at = 1 + (total - 1) * number // 29
        command = _command("report", tiny_data, root)
        assert run_killed(command, root, at) == -signal.SIGKILL
        _check_readable(root)
        assert wait_for(start_child(command)) == 0
        assert payloads(root) == payloads(count)
        _check_complete(root, payloads(all_root))


@pytest.mark.slow
def test_five_real_kills(tiny_data: Path, all_root: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    command = words("report", tiny_data, tmp_path)
    for _ in range(5):
        process = subprocess.Popen(
            [sys.executable, "-m", "neuroattn.cli.main", *command],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        time.sleep(draw.uniform(1.0, 6.0))
        process.kill()
        process.wait()
        _check_readable(tmp_path)
    assert neuroattn(*command).code == 0
    _check_complete(tmp_path, payloads(all_root))


def _race(stage: str, build: Callable[[], int], root: Path) -> None:
    """Two processes on one fingerprint: both succeed, one computes."""
    children = [start_child(build) for _ in range(2)]
    assert [wait_for(child) for child in children] == [0, 0]
    logs = list(root.glob("*/*/log.txt"))
    assert len(logs) == len(list(root.glob("*/*/DONE"))) > 0
    for log in logs:
        assert log.read_text().count(" begins") == 1, log
    assert list(root.glob(f"{stage}/*/DONE"))


def test_two_processes_compute_once(tiny_data: Path, tmp_path: Path) -> None:
    _race("features", _builder("features", tiny_data, tmp_path), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(900)  # five minutes of a quiet machine
def test_two_processes_compute_once_twenty_times(tiny_data: Path, tmp_path: Path) -> None:
    for number in range(20):
        root = tmp_path / str(number)
        _race("report", _command("report", tiny_data, root), root)


def test_a_busy_artefact_is_left_with_its_own_code(tiny_data: Path, tmp_path: Path) -> None:
    with claim(node("prepare", tiny_data, tmp_path).folder):
        command = words("prepare", tiny_data, tmp_path, "claims.wait=false")
        code = wait_for(start_child(lambda: neuroattn(*command).code))
    assert code == 75


def test_sigterm_releases_the_claim(tiny_data: Path, all_root: Path, tmp_path: Path) -> None:
    folder = node("features", tiny_data, tmp_path).folder
    command = _command("features", tiny_data, tmp_path)

    def held() -> int:
        """Stand still at the first file of the artefact, so that the signal is never late."""
        Points(tmp_path, 1, f"{folder.name}/config.yaml", then=lambda: time.sleep(60)).install()
        return command()

    child = start_child(held)
    deadline = time.monotonic() + 60
    while not list(folder.glob(".claim/0*.json")) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(child, signal.SIGTERM)
    assert wait_for(child) == SIGTERMED
    assert json.loads((folder / ".claim" / "000001.json").read_text())["released"]
    assert owner_of(folder) is None
    assert not (folder / "DONE").exists()
    _check_readable(tmp_path)
    assert neuroattn(*words("features", tiny_data, tmp_path)).code == 0
    _check_complete(tmp_path, payloads(all_root))
