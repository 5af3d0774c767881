"""The record of the slow tests: written by whole runs alone, missed when it is old."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.slow_record import NAME, OLD_AFTER_DAYS, describe

REPOSITORY = Path(__file__).resolve().parents[2]
NOW = datetime(2030, 1, 31, tzinfo=UTC)
TESTS = """
import pytest
@pytest.mark.slow
def test_good(): pass
@pytest.mark.slow
def test_bad(): assert False
@pytest.mark.slow
def test_absent(): pytest.skip("not here")
def test_fast(): pass
"""


def run(folder: Path, *words: str) -> str:
    """The inner pytest, on a project of its own with the plug-in."""
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "tests" / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\ntestpaths = tests\nmarkers = slow: slow\n")
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    plugins = ["-p", "tests.slow_record", "-p", "no:cacheprovider"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *words],
        cwd=folder, capture_output=True, text=True, check=False,
        env=env | {"PYTHONPATH": str(REPOSITORY), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    return ran.stdout + ran.stderr


def test_a_whole_slow_run_leaves_its_counts(tmp_path: Path) -> None:
    out = run(tmp_path, "-m", "slow")
    assert "is written; commit it" in out
    found = json.loads((tmp_path / NAME).read_text())
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 1, 1)
    assert found["command"].endswith("-m slow")
    assert datetime.now(UTC) - datetime.fromisoformat(found["date"]) < timedelta(hours=1)
    assert "1 failed" in describe(tmp_path / NAME, datetime.now(UTC))[0]


def test_it_is_written_once_whatever_the_number_of_processes(tmp_path: Path) -> None:
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "--allow-empty", "-m", "a"]):
        named = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *named, *words], cwd=tmp_path, check=True)
        (tmp_path / "tests").mkdir(exist_ok=True)
        (tmp_path / NAME).write_text("{}")
    run(tmp_path, "-p", "xdist.plugin", "-n", "2", "-m", "slow")
    found = json.loads((tmp_path / NAME).read_text())
    assert (found["passed"], found["failed"], found["skipped"]) == (1, 1, 1)
    # A worker's own record would be a change to what the controller finds committed.
    assert len(found["commit"]) == 40


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "not slow"], ["-m", "slow", "-k", "good"], ["-m", "slow", "tests/test_it.py"],
        ["-m", "slow", "-x"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_any_other_run_leaves_none(tmp_path: Path, words: list[str]) -> None:
    out = run(tmp_path, *words)
    assert not (tmp_path / NAME).exists()
    assert ("have no result" in out) == ("not slow" in words)


def record(folder: Path, days: int, failed: int = 0) -> Path:
    """A result that old."""
    file = folder / "result.json"
    content = {
        "date": (NOW - timedelta(days=days)).isoformat(), "commit": "0123456789abcdef",
        "passed": 5, "failed": failed, "skipped": 0, "seconds": 1800,
    }  # fmt: skip
    file.write_text(json.dumps(content))
    return file


def test_a_fresh_result_is_good_and_an_old_or_failed_one_is_not(tmp_path: Path) -> None:
    text, good = describe(record(tmp_path, OLD_AFTER_DAYS), NOW)
    assert good
    assert "14 days ago at 0123456789ab: 5 passed, 0 failed, 0 skipped in 30 min" in text
    text, good = describe(record(tmp_path, OLD_AFTER_DAYS + 1), NOW)
    assert not good
    assert "make test-slow" in text
    assert not describe(record(tmp_path, 0, failed=1), NOW)[1]
    assert not describe(tmp_path / "absent.json", NOW)[1]
