from __future__ import annotations

import pytest

from neuroattn.reports.sections import attention, others, predictions, scores, training
from tests.unit.reports.fabricate import Chain, chain


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A fabricated chain that no test changes."""
    return chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are composed but not drawn, for tests of what stands around them."""
    for section in (others, predictions, scores, training):
        monkeypatch.setattr(section, "to_svg", lambda figure: b"<svg/>")
    monkeypatch.setattr(attention, "to_webp", lambda figure: b"webp")
