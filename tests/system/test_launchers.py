"""The launchers that need no cluster keep the same contract: in this process, and in others."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.system.command import PROGRAM, environment, tiny
from tests.system.sweep import TRACEBACK, Sweep, SweepContract, run_sweep

pytestmark = pytest.mark.system


Launch = Callable[..., Sweep]


@pytest.fixture(scope="module")
def launch(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Launch:
    """Run a sweep under a launcher, once for all tests that look at it."""
    roots = {name: tmp_path_factory.mktemp(name) / "root" for name in ("basic", "submitit_local")}

    @cache
    def run(launcher: str, layers: str, *more: str) -> Sweep:
        words = (f"hydra/launcher={launcher}", *more)
        return run_sweep(layers, *words, data=tiny_data, root=roots[launcher])

    return run


@pytest.fixture(params=["basic", "submitit_local"])
def launcher(request: pytest.FixtureRequest) -> str:
    """Name of a launcher that needs no cluster."""
    return str(request.param)


@pytest.fixture
def sweep(launch: Launch, launcher: str) -> Sweep:
    """A good job and a failing one."""
    return launch(launcher, "[blocks.4],[blocks.9]")


@pytest.fixture
def good(launch: Launch, launcher: str) -> Sweep:
    """One good job."""
    return launch(launcher, "[blocks.4]", "encoder.n_alphas=2")


class TestLaunchers(SweepContract):
    pass


def test_killed_job_is_a_dash_with_a_reason(tiny_data: Path, tmp_path: Path) -> None:
    # What the kernel does to a job that takes too much memory: no word, no result file.
    root = tmp_path / "root"
    words = tiny("encode", tiny_data, root, "-m", "hydra/launcher=submitit_local")
    caller = subprocess.Popen(
        [PROGRAM, *words],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with caller:
        try:
            os.kill(_job_below(root), signal.SIGKILL)
            out, err = caller.communicate(timeout=120)
        finally:
            caller.kill()
    assert out.splitlines() == ["-"]
    assert caller.returncode == 1
    assert "killed or never ran" in err
    assert TRACEBACK not in err


def _job_below(root: Path, within: float = 60) -> int:
    """The process of the one job whose records stand below ``root``."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().decode().split("\0")
            except OSError:  # it left while we looked
                continue
            if "submitit.core._submit" in words and any(str(root) in word for word in words):
                return int(folder.name)
        time.sleep(0.05)
    raise AssertionError("the launcher started no job")
