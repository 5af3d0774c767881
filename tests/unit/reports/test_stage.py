from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.errors import ArtefactError, DataError
from neuroattn.reports import stage
from tests.unit.reports.fabricate import Chain, chain


def test_the_page_is_the_payload_and_its_facts_the_metrics(made: Chain, tmp_path: Path) -> None:
    result = stage.run(made.context(tmp_path))
    page = (tmp_path / "report.html").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert result.metrics == {
        "report.bytes": len(page), "report.sections": 8, "report.figures": 5, "report.failures": 0,
    }  # fmt: skip
    assert "Pearson" in result.methods


def test_equal_parents_give_equal_bytes(made: Chain, tmp_path: Path) -> None:
    stage.run(made.context(tmp_path / "first"))
    stage.run(made.context(tmp_path / "second"))
    first, second = (tmp_path / name / "report.html" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    assert str(tmp_path).encode() not in first.read_bytes()


def test_a_damaged_parent_stops_the_report(tmp_path: Path) -> None:
    made = chain(tmp_path / "chain")
    table = made.parents["encode"].folder / "folds.tsv"
    table.write_text(table.read_text().replace("test", "train", 1))
    with pytest.raises(ArtefactError, match="not what was written"):
        stage.run(made.context(tmp_path / "out"))
    assert not (tmp_path / "out" / "report.html").exists()


@pytest.mark.usefixtures("undrawn")
def test_a_page_too_large_to_send_is_refused(
    made: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage, "MOST_BYTES", 1000)
    with pytest.raises(DataError, match="too large"):
        stage.run(made.context(tmp_path))
    assert not (tmp_path / "report.html").exists()
