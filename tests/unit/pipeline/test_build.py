"""Building: parents first, failures recorded, what is done left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.atomic import read_json
from neuroattn.core.errors import ArtefactError, DataError
from neuroattn.core.sections import Parents
from neuroattn.pipeline.build import describe, nested, run_stage
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import plan
from neuroattn.pipeline.stages import catalogue
from tests.unit.pipeline.toys import stage

pytestmark = pytest.mark.usefixtures("diamond")


def test_a_chain_is_built_parents_first(config: RootConfig, tmp_path: Path) -> None:
    made = run_stage("toy_top", config)
    assert made.json("seen.json") == [["toy_left", "toy_right"], []]
    assert made.metrics == {"seed": 0.0}
    assert made.methods == "A toy was made."
    assert sorted(made.inputs) == ["toy_left", "toy_right"]
    assert made.config["paths"]["root"] == str(tmp_path / "root")
    assert len(list((tmp_path / "root").glob("toy_*/*/DONE"))) == 4


def test_what_is_done_is_not_touched(config: RootConfig, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()  # else the first plan has no place for its digests
    first = run_stage("toy_top", config)
    before = {path: path.stat().st_mtime_ns for path in first.folder.parents[1].rglob("*")}
    assert run_stage("toy_top", config).folder == first.folder
    assert {path: path.stat().st_mtime_ns for path in first.folder.parents[1].rglob("*")} == before


def test_required_parents_are_not_built(config: RootConfig, tmp_path: Path) -> None:
    config.parents = Parents.require
    with pytest.raises(ArtefactError, match="the parent toy_left is not built") as caught:
        run_stage("toy_top", config)
    assert "neuroattn toy_left" in str(caught.value.fix)
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("function", "error", "problem"),
    [("fail", DataError, "the toy is broken"), ("crash", ZeroDivisionError, "by a toy")],
)
def test_a_failure_is_recorded_and_resumed(
    function: str,
    error: type[Exception],
    problem: str,
    config: RootConfig,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(catalogue().stages, "toy_left", stage("toy_left", function=function))
    with pytest.raises(error, match=problem):
        run_stage("toy_left", config)
    folder = plan("toy_left", config).folder
    record = read_json(folder / "error.json")
    assert record["kind"] == error.__name__
    assert problem in record["problem"]
    assert "Traceback" in (folder / "log.txt").read_text()
    assert not (folder / "DONE").exists()
    monkeypatch.setitem(catalogue().stages, "toy_left", stage("toy_left"))
    made = run_stage("toy_left", config)
    assert made.folder == folder
    assert not (folder / "error.json").exists()


def test_a_tolerant_stage_shows_what_there_is_and_is_not_done(
    config: RootConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = catalogue().stages
    monkeypatch.setitem(stages, "toy_left", stage("toy_left", function="fail"))
    top = stage("toy_top", "toy_left", "toy_right", tolerant=True)
    monkeypatch.setitem(stages, "toy_top", top)
    with pytest.raises(ArtefactError, match="toy_left failed: the toy is broken"):
        run_stage("toy_top", config)
    folder = plan("toy_top", config).folder
    assert read_json(folder / "seen.json") == [["toy_right"], ["toy_left"]]
    with pytest.raises(ArtefactError, match="no finished artefact"):
        Artefact(folder)


def test_messages_are_ours_in_full_and_foreign_ones_with_their_type() -> None:
    assert describe(DataError("broken", fix="mend")) == "broken\n  fix: mend"
    assert describe(KeyError("x")) == "KeyError: 'x'"


def test_the_whole_config_is_kept_as_plain_values(config: RootConfig) -> None:
    tree = nested(config)
    assert tree["parents"] == "build"
    assert tree["runtime"]["device"] == "auto"
    assert tree["dataset"]["split"]["kind"] == "auto"
