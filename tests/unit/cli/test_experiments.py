"""The page of experiments says what the files say."""

from __future__ import annotations

from neuroattn.cli.experiments import page
from neuroattn.pipeline.published import experiments, told
from tests.conftest import REPOSITORY


def test_the_page_is_current() -> None:
    written = (REPOSITORY / "docs" / "experiments.md").read_text()
    fix = "run: python -m neuroattn.cli.experiments > docs/experiments.md"
    assert written == page() + "\n", fix


def test_every_figure_has_a_row_with_its_source() -> None:
    text = page()
    for name in experiments():
        for row in told(name).get("expected", []):
            own = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
            assert f"neuroattn reproduce {name} " in own
            assert any(row["figure"] in line and row["source"] in line for line in own.split("\n"))
    assert "| not known | unread |" in text
