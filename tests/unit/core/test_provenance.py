"""What a run says of its code, machine and cost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from neuroattn.core import provenance
from neuroattn.core.provenance import Stopwatch, code_state, versions


def test_a_record_is_json_and_has_what_a_reader_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    record = json.loads(json.dumps(Stopwatch().record(seed=4, device="cpu", threads=1)))
    assert record["slurm"]["SLURM_JOB_ID"] == "17"
    assert (record["seed"], record["device"], record["threads"]) == (4, "cpu", 1)
    assert record["peak_memory_bytes"] > 1 << 20
    assert 0 <= record["wall_seconds"] < 60


def test_versions_are_those_installed_and_absent_packages_are_left_out() -> None:
    import numpy as np

    found = versions()
    assert found["numpy"] == np.__version__
    assert all(found.values())


def test_an_installed_wheel_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "a" / "b" / "provenance.py"))
    assert code_state() == {"commit": None, "dirty": None}


def test_a_machine_without_git_has_no_commit_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "a" / "b" / "provenance.py"))
    monkeypatch.setenv("PATH", "")
    assert code_state()["commit"] is None


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_looking_at_a_checkout_does_not_write_into_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*words: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True
        )

    (tmp_path / "file").write_text("a")
    git("init", "-q")
    git("add", "file")
    git("commit", "-q", "-m", "a")
    os.utime(tmp_path / "file", (1, 1))  # git status would note this in the index
    index = (tmp_path / ".git" / "index").read_bytes()
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "a" / "b" / "provenance.py"))
    found = code_state()
    assert len(found["commit"]) == 40
    assert found["dirty"] is False
    assert (tmp_path / ".git" / "index").read_bytes() == index
