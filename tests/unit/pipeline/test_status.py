"""What stands under a root, why two artefacts differ, and what nobody will miss."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from neuroattn.core.artefact import FAILED, Artefact
from neuroattn.core.atomic import write_json
from neuroattn.core.claims import claim
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import plan
from neuroattn.pipeline.status import State, explain, garbage, plan_rows, remove, scan, state_of
from tests.unit.pipeline.toys import made

pytestmark = pytest.mark.usefixtures("diamond")


def age(folder: Path, days: float) -> Path:
    """Make a folder look as if all in it was last changed so many days ago."""
    then = time.time() - days * 86400
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (then, then))
    return folder


def record(root: Path, name: str, *files: str) -> Path:
    """The record of a call with these files, all of them two days old."""
    folder = root / "jobs" / "2026-01-01" / name
    for path in (folder / file for file in files):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    return age(folder, 2)


def test_states(tmp_path: Path) -> None:
    assert state_of(tmp_path / "toy" / "none") == (State.absent, "")
    assert state_of(made(tmp_path, "toy", {}))[0] is State.done
    half = made(tmp_path, "toy", {"seed": 1}, done=False)
    assert state_of(half)[0] is State.unfinished
    write_json(half / FAILED, {"problem": "the toy is broken\n  fix: mend it"})
    assert state_of(half) == (State.failed, "the toy is broken")
    with claim(half):
        state, note = state_of(half)
    assert state is State.running
    assert str(os.getpid()) in note
    assert state_of(half)[0] is State.failed


def test_scan_lists_every_artefact_with_its_size(tmp_path: Path) -> None:
    folder = made(tmp_path, "toy", {})
    made(tmp_path, "toy_b", {}, done=False)
    (tmp_path / "jobs" / "2026-01-01" / "call").mkdir(parents=True)
    rows = {row.label: row for row in scan(tmp_path)}
    assert len(rows) == 2
    assert rows[folder.name].bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert list(scan(tmp_path / "nothing")) == []


class TestExplain:
    def test_a_key(self, tmp_path: Path) -> None:
        left = made(tmp_path, "toy", {"seed": 1, "same": 2})
        right = made(tmp_path, "toy", {"same": 2})
        assert explain(left.name, right.name, tmp_path) == [("toy: science.seed", 1, None)]
        assert explain(left.name, left.name, tmp_path) == []

    def chains(self, root: Path) -> tuple[list[Path], list[Path]]:
        """Two chains of three that differ in a key of the first stage alone."""
        result = []
        for size in (64, 96):
            first = made(root, "toy_seed", {"size": size})
            second = made(root, "toy_left", {}, {"toy_seed": Artefact(first)})
            third = made(root, "toy_top", {}, {"toy_left": Artefact(second)})
            result.append([first, second, third])
        return result[0], result[1]

    def test_a_parent_is_followed_to_the_first_cause(self, tmp_path: Path) -> None:
        left, right = self.chains(tmp_path)
        rows = explain(left[-1].name, right[-1].name, tmp_path)
        assert rows == [("toy_seed: science.size", 64, 96)]

    def test_where_a_parent_is_gone_its_fingerprint_is_the_answer(self, tmp_path: Path) -> None:
        left, right = self.chains(tmp_path)
        digests = [Artefact(side[1]).fingerprint for side in (left, right)]
        remove([left[1]])
        rows = explain(left[-1].name, right[-1].name, tmp_path)
        assert rows == [("toy_top: parents.toy_left", *digests)]

    def test_a_parent_that_only_one_side_has(self, tmp_path: Path) -> None:
        parent = Artefact(made(tmp_path, "toy_seed", {}))
        left = made(tmp_path, "toy_left", {}, {"toy_seed": parent})
        right = made(tmp_path, "toy_left", {})
        rows = explain(left.name, right.name, tmp_path)
        assert rows == [("toy_left: parents.toy_seed", parent.fingerprint, None)]


def test_rows_of_a_plan(config: RootConfig) -> None:
    rows = plan_rows(plan("toy_left", config))
    assert [(stage, state) for stage, _, state, _ in rows] == [
        ("toy_seed", State.absent), ("toy_left", State.absent),
    ]  # fmt: skip


class TestGarbage:
    def test_unfinished_and_failed_and_old_records(self, tmp_path: Path) -> None:
        half = age(made(tmp_path, "toy", {}, done=False), 2)
        call = tmp_path / "jobs" / "2026-01-01" / "call"
        call.mkdir(parents=True)
        age(call, 2)
        age(made(tmp_path, "toy", {"seed": 1}), 2)
        assert garbage(tmp_path, older_than_days=1) == sorted([call, half])
        remove([half, call])
        assert garbage(tmp_path, older_than_days=1) == []

    def test_never_what_is_young(self, tmp_path: Path) -> None:
        age(made(tmp_path, "toy", {}, done=False), 2)
        young = made(tmp_path, "toy", {"seed": 1})
        (young / ".work").mkdir()
        assert garbage(tmp_path, older_than_days=3) == []

    @pytest.mark.parametrize("done", [True, False])
    def test_never_what_a_live_process_holds(self, done: bool, tmp_path: Path) -> None:
        folder = made(tmp_path, "toy", {}, done=done)
        with claim(folder):
            age(folder, 9)
            assert garbage(tmp_path, older_than_days=1) == []
        age(folder, 9)
        assert garbage(tmp_path, older_than_days=1) == [folder / ".claim" if done else folder]

    @pytest.mark.parametrize("file", [".work/checkpoint.pt", "fold-1/scores.tsv"])
    def test_never_what_was_written_to_inside(self, file: str, tmp_path: Path) -> None:
        """A folder's own time stands still while files in its subfolders are written."""
        folder = made(tmp_path, "toy", {}, done=False)
        (folder / file).parent.mkdir()
        (folder / file).write_text("")
        age(folder, 2)
        assert garbage(tmp_path, older_than_days=1) == [folder]
        (folder / file).write_text("a later epoch")
        assert garbage(tmp_path, older_than_days=1) == []
        assert next(scan(tmp_path)).modified == (folder / file).stat().st_mtime

    def test_never_what_jobs_in_a_queue_still_need(self, tmp_path: Path) -> None:
        handed = [f".submitit/7_{number}/7_{number}_submitted.pkl" for number in (0, 1)]
        call = record(tmp_path, "12-00-00-toy-99999999-sweep", *handed, "results/0.json")
        assert garbage(tmp_path, older_than_days=1) == []
        record(tmp_path, call.name, "results/1.json")
        assert garbage(tmp_path, older_than_days=1) == [call]

    @pytest.mark.parametrize("suffix", ["", "-sweep"])
    def test_never_the_record_of_a_process_that_works(self, suffix: str, tmp_path: Path) -> None:
        call = record(tmp_path, f"12-00-00-toy-{os.getpid()}{suffix}", "0/encode.log")
        with claim(made(tmp_path, "toy", {}, done=False)):
            assert garbage(tmp_path, older_than_days=1) == []
        assert garbage(tmp_path, older_than_days=1) == [call]

    def test_never_a_record_that_is_still_written(self, tmp_path: Path) -> None:
        call = record(tmp_path, "12-00-00-toy-99999999", "encode.log")
        (call / "encode.log").write_text("epoch 7")
        assert garbage(tmp_path, older_than_days=1) == []

    def test_remains_in_a_finished_one_go_and_it_stays(self, tmp_path: Path) -> None:
        folder = made(tmp_path, "toy", {})
        (folder / ".work").mkdir()
        found = garbage(tmp_path, older_than_days=0)
        assert found == [folder / ".work"]
        remove(found)
        Artefact(folder).verify()
