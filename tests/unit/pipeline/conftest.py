"""The toy stages, taken into the catalogue for the length of a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.stages import catalogue
from tests.unit.pipeline import toys


@pytest.fixture
def diamond(monkeypatch: pytest.MonkeyPatch) -> None:
    """``toy_seed`` → ``toy_left``, ``toy_right`` → ``toy_top``."""
    for stage in toys.DIAMOND:
        monkeypatch.setitem(catalogue().stages, stage.name, stage)


@pytest.fixture
def config(tmp_path: Path) -> RootConfig:
    """A root config of a toy chain below ``tmp_path``."""
    return toys.config(tmp_path)
