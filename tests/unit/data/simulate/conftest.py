"""One small dataset in every format, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.data.simulate import write
from tests.unit.data.simulate import plain_scenes


@pytest.fixture(scope="session")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects, two sessions, 642 vertices a hemisphere. Read it, never change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "composer", plain_scenes.composer)
        folder = tmp_path_factory.mktemp("pocket") / "nsd"
        return write.simulate(folder, plain_scenes.POCKET, subjects=2)
