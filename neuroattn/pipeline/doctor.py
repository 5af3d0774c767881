"""Whether this installation and machine can run the pipeline, one line per check."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from neuroattn.core.atomic import check_writable
from neuroattn.core.errors import NeuroattnError
from neuroattn.core.resources import REINSTALL, shipped
from neuroattn.pipeline.stages import catalogue

MIN_FREE_BYTES = 5 * 2**30
ANOTHER = "set paths.root to a folder that can be written"


@dataclass(frozen=True)
class Finding:
    """One check: whether it is fine, what was found, and how to mend it."""

    name: str
    fine: bool
    found: str
    fix: str = ""


def examine(root: Path) -> list[Finding]:
    """Run every check; a check that raises is a finding, not a crash."""
    checks: dict[str, Callable[[], Finding]] = {
        "python": _python, "packages": _packages, "torch": _torch, "weights": _weights,
        "shipped files": _shipped, "choices": _plugins,
    }  # fmt: skip
    places: dict[str, Callable[[], Finding]] = {
        "paths.root": lambda: _root(root), "free space": lambda: _space(root),
        "hard links": lambda: _links(root),
    }  # fmt: skip
    optional: dict[str, Callable[[], Finding]] = {"wandb": _tracking, "slurm": _cluster}
    return [
        *(_guarded(name, check, REINSTALL) for name, check in checks.items()),
        *(_guarded(name, check, ANOTHER) for name, check in places.items()),
        *(_guarded(name, check, REINSTALL) for name, check in optional.items()),
    ]


def _guarded(name: str, check: Callable[[], Finding], fix: str) -> Finding:
    """What ``check`` finds; where it raises, the error's own remedy, or else ``fix``."""
    try:
        return check()
    except NeuroattnError as error:
        return Finding(name, False, error.problem, error.fix or fix)
    except Exception as error:  # noqa: BLE001 - the doctor reports, whatever is broken
        told = error.strerror if isinstance(error, OSError) else None
        return Finding(name, False, told or str(error), fix)


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    fine = (3, 11) <= sys.version_info[:2] < (3, 14)
    return Finding("python", fine, version, "use Python 3.11, 3.12 or 3.13")


def _packages() -> Finding:
    needed = [
        _bare(requirement)
        for requirement in metadata.requires("neuroattn") or []
        if "extra ==" not in requirement
    ]
    absent = [name for name in needed if not _installed(name)]
    found = f"{len(needed) - len(absent)} of {len(needed)}"
    return Finding("packages", not absent, found, f"pip install {' '.join(absent)}")


def _bare(requirement: str) -> str:
    return re.split(r"[<>=!~ \[;]", requirement, maxsplit=1)[0]


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _torch() -> Finding:
    import torch

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    return Finding(
        "torch", True, f"{torch.__version__} on {kind}, {torch.get_num_threads()} threads"
    )


def _weights() -> Finding:
    from neuroattn.core.registry import load

    path = load("neuroattn.features.weights:find_weights")("efficientnet_lite0")
    return Finding("weights", path.is_file(), str(path.name), REINSTALL)


def _shipped() -> Finding:
    names = ("conf", "workflows", "data_manifests")
    return Finding("shipped files", True, ", ".join(str(shipped(name).name) for name in names))


def _plugins() -> Finding:
    found = catalogue()
    count = sum(map(len, found.registries.values()))
    plugins = ", ".join(found.plugins) or "none"
    return Finding(
        "choices", True, f"{len(found.stages)} stages, {count} choices; plug-ins: {plugins}"
    )


def _root(root: Path) -> Finding:
    check_writable(root)
    return Finding("paths.root", True, str(root))


def _space(root: Path) -> Finding:
    free = shutil.disk_usage(root).free
    fix = "features of large datasets need more; set paths.root to another disk"
    return Finding("free space", free > MIN_FREE_BYTES, f"{free / 2**30:.0f} GiB", fix)


def _links(root: Path) -> Finding:
    probe = root / f".probe.{secrets.token_hex(4)}"
    other = probe.with_name(f"{probe.name}.link")
    probe.write_text("")
    try:
        os.link(probe, other)
        other.unlink()
    except OSError as error:
        return Finding("hard links", False, str(error), "claims need them: move paths.root")
    finally:
        probe.unlink(missing_ok=True)
    return Finding("hard links", True, "work (claims need them)")


def _tracking() -> Finding:
    has = util.find_spec("wandb") is not None
    return Finding("wandb", True, "installed" if has else "absent (optional: pip install wandb)")


def _cluster() -> Finding:
    has = shutil.which("sbatch") is not None
    return Finding("slurm", True, "sbatch found" if has else "no sbatch here (optional)")
