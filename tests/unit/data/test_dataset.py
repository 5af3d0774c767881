"""Opening by name, and the files that a fingerprint covers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from neuroattn.core.errors import ConfigError, MissingDataError
from neuroattn.data.dataset import leaves, open_dataset, split_leaves
from neuroattn.data.registry import ArraysConfig, SplitConfig, SplitKind


def root_config(dataset: ArraysConfig) -> SimpleNamespace:
    return SimpleNamespace(dataset=dataset)


def test_leaves_are_all_input_files_and_no_other(tiny: Path) -> None:
    (tiny / "notes.txt").write_text("not read")
    (tiny / "captions.json").write_text(json.dumps({"2": ["a picture"]}))
    found = leaves(root_config(ArraysConfig(root=str(tiny))))
    assert sorted(found) == [
        "captions.json",
        "dataset.yaml",
        *(f"images/0000{image}.png" for image in (2, 4, 7, 9)),
        "responses.npy",
        "rois.tsv",
        "trials.tsv",
    ]
    assert all(path == tiny / name for name, path in found.items())


def test_without_a_root_the_option_is_named() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.root=DIR"):
        leaves(root_config(ArraysConfig()))
    with pytest.raises(ConfigError, match=r"dataset\.root=DIR"):
        open_dataset(ArraysConfig())


def test_a_split_file_is_a_leaf_only_where_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("{}")
    split = SplitConfig(file=str(tmp_path / "s.json"))
    assert split_leaves(root_config(ArraysConfig(split=split))) == {}
    split.kind = SplitKind.file
    found = split_leaves(root_config(ArraysConfig(split=split)))
    assert found == {"split.json": tmp_path / "s.json"}


@pytest.mark.parametrize(("file", "error"), [(None, ConfigError), ("none.json", MissingDataError)])
def test_a_split_file_must_be_there(file: str | None, error: type[Exception]) -> None:
    split = SplitConfig(kind=SplitKind.file, file=file)
    with pytest.raises(error, match=r"dataset\.split\.file"):
        split_leaves(root_config(ArraysConfig(split=split)))
