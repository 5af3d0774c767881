"""The command line as a user has it: another process, with its own stdout and stderr."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.chain import SIZE

PROGRAM = str(Path(sys.executable).with_name("neuroattn"))

# What the surroundings may have set, and what would change how a command behaves.
FOREIGN = ("SLURM_", "SUBMITIT_", "HYDRA_", "NEUROATTN_", "COMP_", "PYTHON")


@dataclass(frozen=True)
class Ran:
    """What a process left: exit code, stdout, stderr, wall time."""

    code: int
    out: str
    err: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """The lines of stdout."""
        return self.out.splitlines()


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a child: ours, less what steers the tools under test."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(FOREIGN)}
    return {**kept, "OMP_NUM_THREADS": "1", **(more or {})}


def run(
    command: Sequence[str],
    *,
    folder: Path,
    variables: Mapping[str, str] | None = None,
    timeout: float = 150,
) -> Ran:
    """Run ``command`` in ``folder`` to its end."""
    began = time.perf_counter()
    done = subprocess.run(
        list(command),
        cwd=folder,
        env=environment(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr, time.perf_counter() - began)


def tiny(stage: str, data: Path, root: Path, *more: str) -> list[str]:
    """The words of a small run of ``stage``; ``more`` comes last, so that it has the last word."""
    return [stage, f"dataset.root={data}", f"paths.root={root}", *SIZE, *more]
