"""The page of experiments says what the files say."""

from __future__ import annotations

import re
import shlex

import pytest

from neuroattn.cli.compose import compose
from neuroattn.cli.experiments import page
from neuroattn.pipeline.published import experiments, told
from tests.conftest import REPOSITORY

OPTIONAL = {"whole_brain_parcels": "encoder.atlas"}


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


@pytest.mark.parametrize("name", [n for n in experiments() if told(n).get("needs")])
def test_the_command_has_what_the_experiment_needs(name: str) -> None:
    needs = [need["override"] for need in told(name)["needs"]]
    own = page().partition(f"\n## {name}\n")[2].partition("```sh\n")[2].partition("\n```")[0]
    words = shlex.split(own.replace("\\\n", ""))
    assert words[:4] == ["neuroattn", "reproduce", name, "dataset.root=DIR"]
    assert words[-len(needs) :] == needs
    assert compose([f"experiment={name}", *words[3:]]).published.needs


@pytest.mark.parametrize("name", [n for n in experiments() if told(n)])
def test_what_a_files_command_sets_is_what_the_page_sets(name: str) -> None:
    head = experiments()[name].read_text().partition("# Command")[2]
    command = re.split(r"\n# (?=\w)", head)[0].partition(f"reproduce {name} ")[2]
    own = page().partition(f"\n## {name}\n")[2].partition("```sh\n")[2].partition("\n```")[0]
    keys = set(re.findall(r"\b[a-z]+(?:\.[a-z_]+)+(?==)", command))
    assert keys - {OPTIONAL.get(name)} <= set(re.findall(r"[a-z]+(?:\.[a-z_]+)+(?==)", own))
