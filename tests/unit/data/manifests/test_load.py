"""Manifests as files: what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.resources import shipped
from neuroattn.data.manifests.load import load_manifest, manifests, read_manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("nsd.yaml", "nsd.files.tsv"):
        shutil.copy(shipped("data_manifests") / name, tmp_path)
    return tmp_path


def test_a_copy_reads_as_the_shipped_one(folder: Path) -> None:
    assert read_manifest(folder / "nsd.yaml") == load_manifest("nsd")


def test_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match="no manifest") as raised:
        load_manifest("imagenet")
    assert all(name in str(raised.value) for name in manifests())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("schema: 1", "schema: 2"),
        ("name: nsd\n", "name: other\n"),
        ("anonymous: true", "anonymous: perhaps"),
        ("redistribution: forbidden", "redistribution: maybe"),
        ("licence:", "license:"),
        ("homepage: https://naturalscenesdataset.org", "homepage: 5"),
        ("default_subset: fsaverage-b3", "default_subset: everything"),
        ("side: [lh, rh]", "side: lh"),
        ("sessions: 32", "sessions: many"),
        ("sessions: 32", "sessions: -1"),
        ("prepare: [expdesign, stim_info", "prepare: [design, stim_info"),
        ("where: {annotation: [captions]}", "where: {annotation: [labels]}"),
        ("    about: betas on fsaverage, second version\n", ""),
    ],
)
def test_another_form_of_the_yaml_is_refused(old: str, new: str, folder: Path) -> None:
    path = folder / "nsd.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match="manifest has another form"):
        read_manifest(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id\tpath", "id\tfile"),
        ("\tmat\t", "\tmatlab\t"),
        ("\tyes\t", "\tperhaps\t"),
        ("{subject}", "{person}"),
        ("nsddata/experiments/nsd/nsd_expdesign.mat", "../nsd_expdesign.mat"),
        ("stim_info\t", "expdesign\t"),
        ("\tids count from 1\n", "\n"),
    ],
)
def test_another_form_of_the_table_is_refused(old: str, new: str, folder: Path) -> None:
    path = folder / "nsd.files.tsv"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(DataError, match="manifest has another form"):
        read_manifest(folder / "nsd.yaml")
