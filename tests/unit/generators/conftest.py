from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.generators.tiny_models import build_all


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All six models at a tiny size, built once per worker. Read only."""
    return build_all(tmp_path_factory.mktemp("models"))
