"""Locks: written, read, compared, added to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.manifests.copy import CopiedFile
from neuroattn.data.manifests.lock import (
    Digest,
    Lock,
    compare,
    digests,
    lock_path,
    read_lock,
    write_lock,
)
from neuroattn.data.manifests.schema import FileEntry


@pytest.fixture
def files(tmp_path: Path) -> list[CopiedFile]:
    for name, content in (("a", b"one"), ("b", b"two")):
        (tmp_path / name).write_bytes(content)
    return [CopiedFile(FileEntry("x", n, "other"), tmp_path / n, n) for n in ("a", "b")]


def test_a_lock_reads_back(files: list[CopiedFile], tmp_path: Path) -> None:
    found = digests(files)
    assert found["a"] == Digest(
        3, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    )
    path = lock_path(tmp_path, "nsd")
    write_lock(path, "nsd", found)
    again = read_lock(path)
    assert (again.dataset, dict(again.files)) == ("nsd", found)
    assert again.created.startswith("20")
    assert compare(again, tmp_path, files) == []


def test_every_difference_is_a_finding(files: list[CopiedFile], tmp_path: Path) -> None:
    locked = Lock("nsd", {**digests(files), "c": Digest(1, "0" * 64)})
    (tmp_path / "a").write_bytes(b"ond")
    (tmp_path / "b").write_bytes(b"three")
    found = {each.file: each.problem for each in compare(locked, tmp_path, files)}
    assert found == {
        "a": "the file changed since it was locked",
        "b": "the file has another size than when it was locked",
        "c": "a locked file is missing",
    }
    assert {each.file for each in compare(locked, tmp_path, files, whole=False)} == {"a", "b"}


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{",
        '{"schema": 2, "dataset": "nsd", "created": "", "files": {}}',
        '{"schema": 1, "dataset": "nsd", "created": "", "files": {"a": {"bytes": 1}}}',
        json.dumps({"schema": 1, "dataset": "n", "created": "",
                    "files": {"a": {"bytes": 1, "sha256": "short"}}}),
    ],
)  # fmt: skip
def test_another_form_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text(content)
    with pytest.raises(DataError):
        read_lock(tmp_path / "lock.json")
