"""Shared fixtures: folders, the evaluation data where present, and one tiny chain per worker."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = REPOSITORY.parent / "shared" / "data"

# No test may reach a network or write into a home folder.
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")


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
