"""What a mutant is: a patch with a header, and how its named test is run in a copy of the tree.

A patch file begins with three or more comment lines, which ``git apply`` passes over::

    # bug: what is wrong
    # from: the public code, or the class of bugs, that it was seen in
    # must fail: tests/unit/…/test_….py::test_name
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TREE = ("neuroattn", "conf", "tests", "workflows", "data_manifests", "pyproject.toml", "README.md")
ASSERTIONS = ("AssertionError", "Failed")  # an assert of ours or of numpy; pytest.raises and fail


@dataclass(frozen=True)
class Mutant:
    """One patch and what it says of itself."""

    name: str
    file: Path
    bug: str
    origin: str
    test: str


def mutants() -> list[Mutant]:
    """Every mutant, by name."""
    return [read(file) for file in sorted(HERE.glob("*.patch"))]


def read(file: Path) -> Mutant:
    """A mutant from its file."""
    lines = file.read_text().splitlines()
    words = dict(
        line[2:].split(": ", 1) for line in lines if line.startswith("# ") and ": " in line
    )
    return Mutant(file.stem, file, words["bug"], words["from"], words["must fail"])


def copy_tree(folder: Path) -> Path:
    """Copy what a test run needs into ``folder``."""
    skipped = shutil.ignore_patterns("__pycache__", "*.pyc", "*.patch", "local")
    for name in TREE:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=skipped)
        elif source.is_file():
            shutil.copy2(source, folder / name)
    return folder


def apply(mutant: Mutant, folder: Path, *options: str) -> str:
    """Apply a patch in ``folder``; returns what git has to say against it, empty if nothing."""
    # Inside another repository git would apply nothing and say nothing.
    env = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}
    ran = subprocess.run(
        ["git", "apply", "--unsafe-paths", *options, str(mutant.file)],
        cwd=folder, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ran.stderr if ran.returncode else ""


def run_tests(folder: Path, tests: list[str]) -> dict[str, Any]:
    """Run ``tests`` in a copy, which must be what is imported; returns the witness's record."""
    record = folder / "witness.json"
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    env |= {"PYTHONPATH": str(folder), "NEUROATTN_WITNESS": str(record), "OMP_NUM_THREADS": "1"}
    options = [
        "-q",
        "-x",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.mutants.witness",
    ]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *options, "--rootdir", str(folder), *tests],
        cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(record.read_text()) if record.exists() else {}
    found["output"] = (ran.stdout + ran.stderr)[-3000:]
    assert found.get("package") == str(folder / "neuroattn" / "__init__.py"), found
    return found
