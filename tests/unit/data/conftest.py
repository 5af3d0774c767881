"""Fixtures of the data room: the tiny dataset, and its prepared artefact."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ArraysConfig

from .tiny_dataset import prepare, write_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Folder of the tiny dataset."""
    return write_tiny(tmp_path / "tiny")


@pytest.fixture
def prepared(tiny: Path, tmp_path: Path) -> Prepared:
    """The tiny dataset, prepared."""
    return Prepared(prepare(ArraysConfig(root=str(tiny)), tmp_path / "prepare" / "tiny-0"))
