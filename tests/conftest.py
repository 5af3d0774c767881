"""Shared fixtures: folders, the evaluation data where present, and one tiny chain per worker."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.axes import watch

watch()  # before anything of the package is imported
pytest_plugins = ("tests.slow_record",)

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"

# No test may reach a network or write into a home folder.
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")
# Tests fork: with more threads than one, OpenMP would hang in the child.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture
def shared_data() -> Path:
    """Folder of the evaluation recordings; the test is skipped where they are absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the evaluation recordings are absent ({SHARED})")
    return SHARED


@pytest.fixture(autouse=True)
def _quiet_logging() -> Iterator[None]:
    """Hydra reconfigures logging; give every test the same start and end."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for added in set(root.handlers) - set(handlers):
        added.close()  # Hydra's job log; left to the collector it is a warning in another test
    root.handlers[:], root.level = handlers, level


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated `arrays` dataset of 24 pictures and 6 targets, once per worker."""
    from neuroattn.data.generated import generate

    return generate(tmp_path_factory.mktemp("tiny") / "data", images=24, targets=6, repeats=2)


@pytest.fixture(scope="session")
def tiny_root(tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root in which the tiny chain was built up to the report, once per worker. Read only."""
    from tests.chain import neuroattn, words

    root = tmp_path_factory.mktemp("root")
    ran = neuroattn(*words("report", tiny_data, root))
    assert ran.code == 0, ran.err
    return root


@pytest.fixture(scope="session")
def all_root(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of `tiny_root` into which tests build further stages and variants."""
    root = tmp_path_factory.mktemp("all") / "root"
    shutil.copytree(tiny_root, root)
    return root
