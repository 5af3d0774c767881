"""One small dataset in every format, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.data.nsd import layout
from neuroattn.data.simulate import write
from tests.unit.data.simulate import plain_scenes


@pytest.fixture(scope="session")
def pocket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two subjects, two sessions, 642 vertices a hemisphere. Read it, never change it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "composer", plain_scenes.composer)
        folder = tmp_path_factory.mktemp("pocket") / "nsd"
        return write.simulate(folder, plain_scenes.POCKET, subjects=2)


@pytest.fixture(scope="session")
def mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One subject, one session, every version and both further experiments. Read only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "composer", plain_scenes.composer)
        patch.setattr(layout, "SYNTHETIC_SHAPE", plain_scenes.DISPLAY)
        return write.simulate(tmp_path_factory.mktemp("mini") / "nsd", plain_scenes.MINI)
