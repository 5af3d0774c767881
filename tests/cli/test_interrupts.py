"""A sweep that is stopped stops: real processes, real signals."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from neuroattn.core.claims import owner_of
from tests.system.command import PROGRAM, Ran, environment, run, tiny

SEEDS = 3


@pytest.fixture
def root(tiny_root: Path, tmp_path: Path) -> Path:
    """A root with the tiny chain in it, which may be written to."""
    return Path(
        shutil.copytree(tiny_root, tmp_path / "root", ignore=shutil.ignore_patterns("jobs"))
    )


def interrupted(words: list[str], number: int, folder: Path, is_time: Callable[[], bool]) -> Ran:
    """Start a command, send it a signal as soon as ``is_time``, and wait for its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [PROGRAM, *words],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Who starts the tests in the background may have them ignore Ctrl-C, and so their children.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    with process:
        try:
            while not is_time() and process.poll() is None and time.perf_counter() - began < 60:
                time.sleep(0.005)
            process.send_signal(number)
            out, err = process.communicate(timeout=180)
        finally:
            process.kill()
    return Ran(process.returncode, out, err, time.perf_counter() - began)


def begun(root: Path) -> list[Path]:
    """Logs of the runs of ``encode`` that were begun and are not done."""
    return [
        log
        for log in root.glob("encode/*/log.txt")
        if not (log.parent / "DONE").exists() and " begins" in log.read_text()
    ]


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["ctrl-c", "sigterm"]
)
def test_a_sweep_stops_at_the_first_signal(
    number: int, code: int, tiny_data: Path, root: Path, tmp_path: Path
) -> None:
    # Long enough that no job ends before the signal comes, however busy the machine.
    words = tiny("encode", tiny_data, root, "-m", "seed=1,2,3", "scoring.permutations=1000000")
    ran = interrupted(words, number, tmp_path, lambda: bool(begun(root)))
    assert ran.code == code, ran.err
    assert ran.out.splitlines() == ["-"] * SEEDS
    assert ran.err.count(" begins") == 1
    (log,) = begun(root)
    assert owner_of(log.parent) is None, "the claim was released"
    assert f"{SEEDS} of {SEEDS} jobs failed" in ran.err
    assert "stopped by a signal; the same command resumes" in ran.err
    assert ran.err.count("the job left no result yet") == SEEDS - 1
    assert "Traceback" not in ran.err


@pytest.mark.system
def test_one_that_was_stopped_is_resumed(tiny_data: Path, root: Path, tmp_path: Path) -> None:
    words = tiny("encode", tiny_data, root, "seed=1")
    stopped = interrupted(words, signal.SIGTERM, tmp_path, lambda: bool(begun(root)))
    assert stopped.code == 143
    assert stopped.out == ""
    assert stopped.err.count("error: stopped by a signal; the same command resumes") == 1
    assert run([PROGRAM, *words], folder=tmp_path).code == 0
    assert not begun(root)


@pytest.mark.system
def test_stopped_launcher_leaves_its_jobs_alone(
    tiny_data: Path, root: Path, tmp_path: Path
) -> None:
    words = tiny("encode", tiny_data, root, "-m", "seed=1", "hydra/launcher=submitit_local")
    stopped = interrupted(words, signal.SIGINT, tmp_path, lambda: bool(begun(root)))
    assert stopped.code == 130, stopped.err
    assert stopped.out == "-\n"
    assert "it may still run: neuroattn status" in stopped.err
    until = time.monotonic() + 60
    while begun(root) and time.monotonic() < until:
        time.sleep(0.1)
    assert not begun(root), "the job itself was not stopped"
