"""Killed at any point: the old artefact or the new one, and the resumed bytes are the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from neuroattn.core.artefact import Artefact
from tests.chain import neuroattn, payloads, words
from tests.faults import count_points, run_killed, start_child, wait_for


def _check_readable(root: Path) -> None:
    """Whatever says DONE is whole."""
    for done in root.glob("*/*/DONE"):
        Artefact(done.parent).verify()


def _check_resumes(command: list[str], root: Path, expected: dict[str, dict[str, str]]) -> None:
    assert wait_for(start_child(lambda: neuroattn(*command).code)) == 0
    assert payloads(root) == expected
    leftovers = [path for path in root.rglob("*.tmp") if "jobs" not in path.parts]
    assert not leftovers


def _kill_at(share: float, tiny_data: Path, tiny_root: Path, root: Path) -> None:
    command = words("report", tiny_data, root)
    total = count_points(words("report", tiny_data, root / "count"), root / "count")
    assert total > 60, "too few points: the watch does not work"
    at = max(1, round(share * total))
    code = run_killed(words("report", tiny_data, root / "run"), root / "run", at)
    assert code == -signal.SIGKILL, f"point {at} of {total} was not reached"
    _check_readable(root / "run")
    command = words("report", tiny_data, root / "run")
    _check_resumes(command, root / "run", payloads(tiny_root))


@pytest.mark.parametrize("share", [0.2, 0.55, 0.8])
def test_a_kill_leaves_old_or_new(
    share: float, tiny_data: Path, tiny_root: Path, tmp_path: Path
) -> None:
    _kill_at(share, tiny_data, tiny_root, tmp_path)


@pytest.mark.slow
def test_thirty_kills(tiny_data: Path, tiny_root: Path, tmp_path: Path) -> None:
    count = tmp_path / "count"
    total = count_points(words("report", tiny_data, count), count)
    for number in range(30):
        root = tmp_path / str(number)
        at = 1 + (total - 1) * number // 29
        assert run_killed(words("report", tiny_data, root), root, at) == -signal.SIGKILL
        _check_readable(root)
        _check_resumes(words("report", tiny_data, root), root, payloads(tiny_root))


@pytest.mark.slow
def test_five_real_kills(tiny_data: Path, tiny_root: Path, tmp_path: Path) -> None:
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
    _check_resumes(command, tmp_path, payloads(tiny_root))


def _race(tiny_data: Path, root: Path) -> None:
    """Two processes on one fingerprint: both succeed, one computes."""
    command = words("report", tiny_data, root)
    children = [start_child(lambda: neuroattn(*command).code) for _ in range(2)]
    assert [wait_for(child) for child in children] == [0, 0]
    for log in root.glob("[pfer]*/*/log.txt"):
        assert log.read_text().count(" begins") == 1, log
    assert len(list(root.glob("*/*/DONE"))) == 4


def test_two_processes_compute_once(tiny_data: Path, tmp_path: Path) -> None:
    _race(tiny_data, tmp_path)


@pytest.mark.slow
def test_two_processes_compute_once_twenty_times(tiny_data: Path, tmp_path: Path) -> None:
    for number in range(20):
        _race(tiny_data, tmp_path / str(number))


def test_a_busy_artefact_is_left_with_its_own_code(tiny_data: Path, tmp_path: Path) -> None:
    from neuroattn.core.claims import claim

    ran = neuroattn(
        *words("plan", tiny_data, tmp_path)[:1], "prepare", *words("", tiny_data, tmp_path)[1:]
    )
    label = ran.out.split()[1]
    with claim(tmp_path / "prepare" / label):
        code = wait_for(
            start_child(
                lambda: neuroattn(*words("prepare", tiny_data, tmp_path, "claims.wait=false")).code
            )
        )
    assert code == 75


def test_sigterm_releases_the_claim(tiny_data: Path, tmp_path: Path) -> None:
    child = start_child(lambda: neuroattn(*words("encode", tiny_data, tmp_path)).code)
    deadline = time.monotonic() + 30
    while not list(tmp_path.glob("features/*/.claim")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    assert wait_for(child) in (128 + signal.SIGTERM, -signal.SIGTERM, 0)
    _check_readable(tmp_path)
    assert neuroattn(*words("encode", tiny_data, tmp_path)).code == 0
