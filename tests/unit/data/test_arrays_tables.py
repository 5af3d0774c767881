"""The small files of the ``arrays`` layout; refusals are in tests/contracts/test_bad_arrays.py."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from neuroattn.core.errors import DataError
from neuroattn.core.tables import TARGETS, TRIALS
from neuroattn.data.arrays_tables import (
    read_description,
    read_sources,
    read_targets,
    read_texts,
    read_trials,
)


def test_description_is_text_whatever_yaml_makes_of_it(tiny: Path) -> None:
    with open(tiny / "dataset.yaml", "a") as handle:
        handle.write("description: a test\nn_trials: 7\nmonkey: WE\n")
    text = (tiny / "dataset.yaml").read_text().replace("name: tiny", "name: 190923")
    (tiny / "dataset.yaml").write_text(text)
    description, counts = read_description(tiny / "dataset.yaml")
    assert description.name == "190923"
    assert description.description == "a test"
    assert not description.simulated
    assert counts == {"n_trials": 7}


def test_the_simulated_flag_is_kept(tiny: Path) -> None:
    with open(tiny / "dataset.yaml", "a") as handle:
        handle.write("simulated: true\n")
    assert read_description(tiny / "dataset.yaml")[0].simulated


def test_trials_have_every_column_and_a_subject(tmp_path: Path) -> None:
    (tmp_path / "trials.tsv").write_text("repeat\timage\ttrial\tsession\n1\t5\t0\t3\n2\t5\t1\t4\n")
    trials = read_trials(tmp_path / "trials.tsv", 2, tmp_path / "responses.npy", {5, 6})
    assert tuple(trials.columns) == TRIALS
    assert trials["subject"].tolist() == ["1", "1"]
    assert trials["run"].isna().all()
    assert trials["session"].tolist() == [3, 4]


def test_rois_overlap_and_may_be_absent(tmp_path: Path) -> None:
    path = tmp_path / "rois.tsv"
    path.write_text(
        "target\troi\themisphere\tvertex\n"
        "2\tV1\tlh\t17\n2\tearly\tn/a\tn/a\n2\tV1\tlh\t17\n0\t\trh\t5\n3\tn/a\t\t\n"
    )
    targets = read_targets(path, 5, "s")
    assert tuple(targets.columns) == TARGETS
    assert targets["target"].tolist() == [0, 1, 2, 3, 4]
    assert targets["rois"].tolist() == ["", "", "V1|early", "", ""]
    assert targets["hemisphere"].tolist() == ["rh", "", "lh", "", ""]
    assert targets["vertex"].isna().tolist() == [False, True, False, True, True]
    assert targets["vertex"].dropna().tolist() == [5, 17]


def test_a_roi_named_like_a_number_or_like_missing_is_text(tmp_path: Path) -> None:
    path = tmp_path / "rois.tsv"
    path.write_text("target\troi\themisphere\n0\t17\tlh\n1\tNA\tlh\n")
    assert read_targets(path, 2, "")["rois"].tolist() == ["17", "NA"]


def test_no_rois_at_all(tmp_path: Path) -> None:
    path = tmp_path / "rois.tsv"
    path.write_text("target\troi\themisphere\n")
    targets = read_targets(path, 2, "1")
    assert targets["rois"].tolist() == ["", ""]
    assert targets["hemisphere"].tolist() == ["", ""]
    assert isinstance(targets["vertex"].dtype, pd.Int64Dtype)


def test_captions_and_sources(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(json.dumps({"3": ["a cat", "ein Tier"], "5": []}))
    (tmp_path / "s.tsv").write_text("image\tsource\n3\tcat\n5\tn/a\n")
    assert read_texts(tmp_path / "c.json", {3, 5})["3"] == ["a cat", "ein Tier"]
    assert read_sources(tmp_path / "s.tsv", {3, 5}) == {3: "cat", 5: ""}
    (tmp_path / "c.json").write_text(json.dumps({"3": [""]}))
    with pytest.raises(DataError, match="the categories have another form"):
        read_texts(tmp_path / "c.json", {3}, "categories")
    (tmp_path / "c.json").write_text(json.dumps({"4": ["cat"]}))
    with pytest.raises(DataError, match="categories of images that do not exist"):
        read_texts(tmp_path / "c.json", {3}, "categories")
