"""A folder is published whole, reused if equal, and never overwritten."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroattn.core.errors import StorageError
from neuroattn.data.folders import is_there, publish

MADE = {"seed": 1}


def recorded(folder: Path) -> Any:
    file = folder / "made.json"
    return json.loads(file.read_text()) if file.is_file() else None


def draft(folder: Path, made: dict[str, int] | None = None) -> Path:
    folder.mkdir()
    (folder / "made.json").write_text(json.dumps(made or MADE))
    return folder


def test_nothing_and_an_empty_folder_are_free(tmp_path: Path) -> None:
    assert not is_there(tmp_path / "new", MADE, recorded)
    (tmp_path / "empty").mkdir()
    assert not is_there(tmp_path / "empty", MADE, recorded)


def test_the_same_dataset_is_there_and_another_is_refused(tmp_path: Path) -> None:
    assert is_there(draft(tmp_path / "same"), MADE, recorded)
    with pytest.raises(StorageError, match="something else"):
        is_there(draft(tmp_path / "other", {"seed": 2}), MADE, recorded)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "mine.txt").write_text("")
    with pytest.raises(StorageError, match="other files"):
        is_there(tmp_path / "files", MADE, recorded)


def test_the_first_of_two_equal_ones_stays(tmp_path: Path) -> None:
    publish(draft(tmp_path / "a"), tmp_path / "place", MADE, recorded)
    (tmp_path / "place" / "first").write_text("")
    publish(draft(tmp_path / "b"), tmp_path / "place", MADE, recorded)
    assert (tmp_path / "place" / "first").exists()


def test_another_one_is_not_replaced(tmp_path: Path) -> None:
    place = draft(tmp_path / "place", {"seed": 2})
    with pytest.raises(StorageError):
        publish(draft(tmp_path / "a"), place, MADE, recorded)
    assert recorded(place) == {"seed": 2}
