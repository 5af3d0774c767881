"""``neuroattn reproduce``: what it prints where, what it refuses, what the file holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.chain import Ran, neuroattn, words

TOY = """\
# @package _global_
# A toy on the tiny chain.
published:
  about: ridge on a generated dataset
  source: these tests
  cost: nothing
  needs:
    - {override: dataset.root=DATA, about: a folder}
  simulated: true
  expected:
    - {figure: test.r, value: 2.0, tolerance: 0.1, source: these tests, certainty: measured}
    - {figure: test.r_squared_over_nc_capped, source: nobody}
    - {figure: no.such, value: 1.0, tolerance: 0.1, source: these tests, certainty: read}
"""
FIELDS = {
    "form", "experiment", "about", "source", "verdict", "simulated", "figures", "changed",
    "subjects", "dataset", "metrics", "artefacts", "versions", "code", "machine", "written",
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab's own folder of configs."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "experiment").mkdir()
    (folder / "experiment" / "toy.yaml").write_text(TOY)
    (folder / "experiment" / "mute.yaml").write_text("# @package _global_\nseed: 3\n")
    return folder


def reproduce(lab: Path, *more: str, name: str = "toy") -> Ran:
    return neuroattn("reproduce", name, f"hydra.searchpath=['file://{lab}']", *more)


def test_the_file_has_what_a_lab_sends_back_and_a_wrong_figure_is_told(
    lab: Path, tiny_data: Path, all_root: Path
) -> None:
    ran = reproduce(lab, *words("encode", tiny_data, all_root)[1:])
    assert ran.code == 0, ran.err
    assert ran.out == f"{ran.path}\n"
    assert ran.path.parent == all_root / "reproduce"
    result = json.loads(ran.path.read_text())
    assert set(result) == FIELDS
    assert [part["stage"] for part in result["artefacts"]] == ["prepare", "features", "encode"]
    for part in result["artefacts"]:
        assert len(part["fingerprint"]) == 64
        assert part["digests"]
    assert {"torch", "numpy", "neuroattn", "python"} <= set(result["versions"])
    assert result["machine"].keys() == {"system", "cpus", "accelerator"}
    assert not [text for text in (str(all_root), str(tiny_data)) if text in ran.path.read_text()]
    assert [row["verdict"] for row in result["figures"]] == ["outside", "not known", "not measured"]
    assert (result["verdict"], result["simulated"]) == ("outside", True)
    assert "verdict: outside" in ran.err
    assert "simulated responses" in ran.err
    assert result["changed"]["backbone.image_size"] == 64
    assert "dataset.root" not in result["changed"]


def test_the_plan_says_what_would_run_and_runs_nothing(
    lab: Path, tiny_data: Path, tmp_path: Path
) -> None:
    ran = reproduce(lab, "--plan", *words("encode", tiny_data, tmp_path / "root")[1:])
    assert ran.code == 0, ran.err
    told = [line.split()[0] for line in ran.out.splitlines()]
    before = ["cost:", "needs:", *["expected:"] * 3]
    assert told == [*before, "prepare", "features", "encode"]
    assert "absent" in ran.out
    assert "test.r 2 ± 0.1, measured" in ran.out
    assert not (tmp_path / "root" / "encode").exists()


def test_cost_and_figures_are_told_where_there_are_no_data_yet(lab: Path, tmp_path: Path) -> None:
    ran = reproduce(lab, "--plan", f"dataset.root={tmp_path}/none", f"paths.root={tmp_path}/root")
    assert ran.code != 0
    assert "is not there" in ran.err
    told = [line.split()[0] for line in ran.out.splitlines()]
    assert told == ["cost:", "needs:", *["expected:"] * 3]
    assert "dataset.root=DATA   a folder" in ran.out


def test_one_that_says_nothing_of_itself_is_refused(lab: Path) -> None:
    ran = reproduce(lab, name="mute")
    assert ran.code == 2
    assert "neuroattn encode experiment=mute" in ran.err


def test_a_wrong_name_is_told_those_there_are() -> None:
    ran = neuroattn("reproduce", "adeli")
    assert (ran.code, ran.out) == (2, "")
    assert "adeli2025_rois | " in ran.err
    assert "klindt" in neuroattn("reproduce", "-h").out
