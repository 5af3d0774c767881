"""Provenance: with what code, on what machine, at what cost an artefact was made."""

from __future__ import annotations

import os
import platform
import resource
import socket
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from neuroattn.core.registry import PLUGIN_GROUP

RECORDED_PACKAGES = (
    "neuroattn", "torch", "numpy", "scipy", "pandas", "h5py", "nibabel", "nilearn", "himalaya",
    "scikit-learn", "scikit-image", "Pillow", "hydra-core", "omegaconf", "accelerate",
    "transformers", "diffusers", "safetensors", "matplotlib",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Versions of the packages that can change a number, from their metadata (no import)."""
    found = {"python": platform.python_version()}
    for name in RECORDED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    for point in metadata.entry_points(group=PLUGIN_GROUP):
        if point.dist is not None:
            found[point.dist.name] = point.dist.version
    return found


def code_state() -> dict[str, Any]:
    """Git commit and dirty flag of the checkout that runs; None for an installed wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return {"commit": None, "dirty": None}
    commit = _git(root, "rev-parse", "HEAD")
    return {"commit": commit or None, "dirty": bool(_git(root, "status", "--porcelain"))}


def _git(root: Path, *arguments: str) -> str:
    # A status that may refresh the index takes its lock, which a stage that is stopped would leave.
    words = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        run = subprocess.run(
            words,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout.strip()


class Stopwatch:
    """Measures one run of a stage."""

    def __init__(self) -> None:
        self._wall = time.time()
        self._clock = time.monotonic()
        self._cpu = time.process_time()

    def record(self, *, seed: int, device: str, threads: int | None) -> dict[str, Any]:
        """The provenance of a run that ends now."""
        return {
            "code": code_state(),
            "versions": versions(),
            "command": sys.orig_argv,
            "host": {
                "name": socket.gethostname(),
                "system": platform.platform(),
                "cpus": os.cpu_count(),
            },
            "slurm": {name: os.environ[name] for name in _SLURM if name in os.environ},
            "device": device,
            "threads": threads,
            "seed": seed,
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self._wall)),
            "wall_seconds": round(time.monotonic() - self._clock, 3),
            "cpu_seconds": round(time.process_time() - self._cpu, 3),
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


_SLURM = ("SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_CLUSTER_NAME")
