"""Small pictures: what they show is tested with the figures."""

from __future__ import annotations

import pytest

from neuroattn.figures import cortex
from neuroattn.figures.export import to_png
from neuroattn.maps import stage


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cortex, "PIXELS", 60)
    monkeypatch.setattr(stage, "to_png", lambda figure: to_png(figure, dpi=50))
