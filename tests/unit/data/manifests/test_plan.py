"""Plans: what is there, what it weighs, and the commands for the rest."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from neuroattn.data.manifests.load import load_manifest
from neuroattn.data.manifests.plan import Plan, commands, human, make_plan, total


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(load_manifest("nsd"), subjects=["subj01"], root=tmp_path)


def test_a_plan_of_an_empty_folder_misses_everything(plan: Plan) -> None:
    assert len(plan.missing) == len(plan.files) == 127
    entries = [file.entry for file in plan.files]
    betas = [entry for entry in entries if entry.id == "betas_fsaverage"]
    assert str(total(betas)) == "39.3 GB"
    assert str(total(entries)) == "78.9 GB (estimate) + 44 of unknown size"


def test_files_that_are_there_are_counted(tmp_path: Path, plan: Plan) -> None:
    path = tmp_path / plan.files[0].entry.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"12345")
    link = tmp_path / plan.files[2].entry.path
    link.parent.mkdir(parents=True)
    link.symlink_to("nowhere")
    again = make_plan(plan.manifest, subjects=["subj01"], root=tmp_path)
    assert [file.present_bytes for file in again.files[:3]] == [5, 0, 0]
    assert [file.is_missing for file in again.files[:3]] == [False, True, False]


def test_commands_fetch_what_is_missing_by_folder(plan: Plan) -> None:
    lines = [shlex.split(line) for line in commands(plan)]
    assert all(line[:2] == ["aws", "s3"] and "--no-sign-request" in line for line in lines)
    sync = next(line for line in lines if "betas_fithrf_GLMdenoise_RR" in line[4])
    assert sync[2] == "sync"
    assert "lh.betas_session*.mgh" in sync
    assert sync[4].startswith("s3://natural-scenes-dataset/nsddata_betas/ppdata/subj01")
    assert not any("annotations" in word for line in lines for word in line)


def test_commands_hold_any_folder(tmp_path: Path) -> None:
    root = tmp_path / "it's $HOME here"
    lines = commands(make_plan(load_manifest("nsd"), subjects=["subj01"], root=root))
    for line in lines:
        words = shlex.split(line)
        target = words[words.index("--no-sign-request") + 2]
        assert target.startswith(f"{root}/")


def test_no_commands_where_there_is_no_bucket() -> None:
    assert commands(make_plan(load_manifest("algonauts2023"))) == []


def test_groups_find_their_files(tmp_path: Path) -> None:
    folder = tmp_path / "subj01/training_split/training_images"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"train-000{number}_nsd-0001{number}.png").write_bytes(b"x")
    (folder / "notes.txt").write_bytes(b"x")
    plan = make_plan(load_manifest("algonauts2023"), subjects=["subj01"], root=tmp_path)
    assert len(plan.files[0].present) == 2


def test_a_stage_narrows_a_plan() -> None:
    nsd = load_manifest("nsd")
    few = make_plan(nsd, subset="design", subjects=["subj02"], stage="prepare")
    assert [file.entry.id for file in few.files] == [
        "expdesign", "stim_info", "responses", "coco", "coco",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (491_526_284, "491.5 MB"), (2.5e12, "2.5 TB")],
)
def test_bytes_in_words(count: float, text: str) -> None:
    assert human(count) == text
