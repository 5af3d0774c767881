"""Small pictures: what they show is tested with the figures."""

from __future__ import annotations

import pytest

from neuroattn.figures import cortex


@pytest.fixture(autouse=True)
def _small_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cortex, "PIXELS", 60)
