"""Splits as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroattn.core.errors import DataError, LeakError
from neuroattn.data.split_files import read_splits


def write(folder: Path, content: Any) -> Path:
    (folder / "splits.json").write_text(json.dumps(content))
    return folder / "splits.json"


def test_one_split_is_named_dataset_and_several_keep_their_names(tmp_path: Path) -> None:
    one = {"train": [3, 1], "test": [2]}
    assert read_splits(write(tmp_path, one), range(4)) == {
        "dataset": {"train": [1, 3], "test": [2]}
    }
    several = {"shared": one, "other": {"train": [0], "test": [1]}}
    assert list(read_splits(write(tmp_path, several), range(4))) == ["shared", "other"]


@pytest.mark.parametrize(
    ("content", "error", "said"),
    [
        ({"train": [0, 1], "test": [1, 2]}, LeakError, "images 1"),
        ({"train": [0], "test": [9]}, DataError, "test: images 9"),
        ({"train": [0, 0], "test": [1]}, DataError, "train: images 0"),
        ({"train": [0], "test": []}, DataError, "an empty list"),
        ({"train": [0]}, DataError, "found: train"),
        ({"train": [0], "test": [1], "val": [2]}, DataError, "val"),
        ({"train": ["0"], "test": [1]}, DataError, "'0'"),
        ({"train": [True], "test": [0]}, DataError, "True"),
        ({"train": [0.0], "test": [1]}, DataError, "0.0"),
        ({"train": {"0": 1}, "test": [1]}, DataError, "dict"),
        ({"a": [1]}, DataError, "the split a"),
        ([[0], [1]], DataError, "list"),
        ({}, DataError, "nothing"),
    ],
)
def test_other_forms(tmp_path: Path, content: Any, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        read_splits(write(tmp_path, content), range(4))
