"""A folder to stand in that stays empty, and a root with the tiny chain in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def standing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder; the test fails if anything was written into it."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield folder
    assert not list(folder.iterdir()), "something was written outside paths.root"


@pytest.fixture(scope="module")
def root(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with the tiny chain in it, which the tests of one module may add to."""
    copy = tmp_path_factory.mktemp("module") / "root"
    return Path(shutil.copytree(tiny_root, copy, ignore=shutil.ignore_patterns("jobs")))
