"""Input files: stubs and damage are named for what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.data.files import existing_file, named, read_json_input

STUBS = {
    "lfs": "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
    "annex": "/annex/objects/SHA256E-s5--00.npy\n",
    "old annex": "../.git/annex/objects/ab/cd/SHA256E-s5--00.npy",
}


@pytest.mark.parametrize("content", STUBS.values(), ids=STUBS)
def test_a_stub_is_not_taken_for_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.npy").write_text(content)
    with pytest.raises(MissingDataError, match="git lfs pull"):
        existing_file(tmp_path / "a.npy", "the array", fix="fetch it")


def test_a_link_into_nothing_is_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").symlink_to(".git/annex/objects/xx/a.jpg")
    with pytest.raises(MissingDataError, match=r"a link to \.git/annex/objects"):
        existing_file(tmp_path / "a.jpg", "the picture", fix="fetch it")


def test_missing_empty_and_folder_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(MissingDataError, match="the table is missing"):
        existing_file(tmp_path / "none", "the table", fix="add it")
    with pytest.raises(DataError, match="the table is empty"):
        existing_file(tmp_path / "empty", "the table", fix="add it")
    with pytest.raises(DataError, match="the table is not a file"):
        existing_file(tmp_path, "the table", fix="add it")


def test_text_that_mentions_annex_objects_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("kept under\n/annex/objects/\nas always\n")
    assert existing_file(tmp_path / "notes", "notes", fix="") == tmp_path / "notes"


def test_broken_json_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"train": [1,\n 2,, 3]}')
    with pytest.raises(DataError, match="line 2"):
        read_json_input(tmp_path / "a.json")


def test_long_lists_are_shortened() -> None:
    assert named([3, 7]) == "3, 7"
    assert named(range(12)) == "0, 1, 2, 3, 4 … (12 in all)"
