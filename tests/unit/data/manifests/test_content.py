"""Checks of single files: what is accepted and what is named."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from neuroattn.data.manifests.content import check_content, compare_form, mgh_form, nifti_form
from neuroattn.data.manifests.schema import FileEntry
from tests.nsd_copy import VOLUME, save_mgh, save_nifti


def _entry(kind: str, **more: Any) -> FileEntry:
    return FileEntry("x", "x", kind, **more)


def _check(path: Path, kind: str, **more: Any) -> list[str]:
    return [finding.problem for finding in check_content(path, _entry(kind, **more), "x")]


def test_sound_files_of_every_format_pass(tmp_path: Path) -> None:
    made = {
        "mgh": "a.mgz", "nifti": "a.nii.gz", "npy": "a.npy", "tsv": "a.tsv", "csv": "a.csv",
        "json": "a.json", "ctab": "a.ctab", "mat": "a.mat", "hdf5": "a.h5", "pickled": "p.npy",
        "picture": "a.png", "other": "a.bin",
    }  # fmt: skip
    paths = {kind: tmp_path / name for kind, name in made.items()}
    save_mgh(paths["mgh"], np.arange(9))
    save_nifti(paths["nifti"], np.arange(np.prod(VOLUME)))
    np.save(paths["npy"], np.arange(3.0))
    np.save(paths["pickled"], {"a": 1}, allow_pickle=True)
    for kind, text in (("tsv", "a\tb\n1\t2\n"), ("csv", "a,b\n1,2\n"), ("json", "{}"),
                       ("ctab", "0 Unknown\n1 V1\n"), ("other", "x")):  # fmt: skip
        paths[kind].write_text(text)
    savemat(paths["mat"], {"a": np.ones(2)})
    with h5py.File(paths["hdf5"], "w") as file:
        file["a"] = np.ones(2)
    Image.new("RGB", (4, 4)).save(paths["picture"])
    found = {kind: _check(path, kind) for kind, path in paths.items()}
    assert {kind for kind, problems in found.items() if problems} == set()


def test_shape_and_type_are_held_against_the_manifest(tmp_path: Path) -> None:
    save_mgh(tmp_path / "a.mgh", np.zeros((9, 4)))
    assert _check(tmp_path / "a.mgh", "mgh", dtype=">f4", shape=(9, 1, 1, 4)) == []
    assert _check(tmp_path / "a.mgh", "mgh", shape=(9, 1, 1, 5)) == ["the array has another shape"]
    assert _check(tmp_path / "a.mgh", "mgh", dtype="int16") == ["the values have another type"]
    assert compare_form(_entry("npy", shape=(9, 1, 1)), "x", (9,), "float32") == []


def test_forms_are_read_from_headers(tmp_path: Path) -> None:
    save_mgh(tmp_path / "a.mgh", np.zeros((9, 4)))
    assert mgh_form(tmp_path / "a.mgh") == ((9, 1, 1, 4), ">f4", 284)
    save_nifti(tmp_path / "a.nii.gz", np.zeros((np.prod(VOLUME), 4)), np.int16)
    shape, dtype, offset = nifti_form(tmp_path / "a.nii.gz")
    assert (shape, np.dtype(dtype), offset) == ((*VOLUME, 4), np.int16, 352)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"  <!DOCTYPE HTML><html>", "a server's answer was saved in place of the file"),
        (b"\xef\xbb\xbf<html>", "a server's answer was saved in place of the file"),
        (b'<?xml version="1.0"?><Error>', "a server's answer was saved in place of the file"),
        (b"/annex/objects/MD5E-s4--0", "the content of this file was not fetched"),
        (b"../../.git/annex/objects/MD5E-s4--0\n", "the content of this file was not fetched"),
        (bytes(2000), "the file begins with zeros only"),
        (b"plain text", "the mgh file cannot be read"),
    ],
)
def test_what_is_no_file_is_named(content: bytes, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a.mgh").write_bytes(content)
    assert _check(tmp_path / "a.mgh", "mgh") == [problem]


def test_a_header_is_enough_where_the_caller_reads_on(tmp_path: Path) -> None:
    save_mgh(tmp_path / "a.mgh", np.zeros((9, 4)))
    content = (tmp_path / "a.mgh").read_bytes()
    (tmp_path / "a.mgh").write_bytes(content[:-100])
    entry = _entry("mgh")
    assert check_content(tmp_path / "a.mgh", entry, "x", through=False) == []
    assert _check(tmp_path / "a.mgh", "mgh") == ["the file is cut off"]


def test_a_pickle_is_looked_at_and_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "executed",))

    np.save(tmp_path / "a.npy", np.array(Trap(), dtype=object), allow_pickle=True)
    assert _check(tmp_path / "a.npy", "pickled") == []
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content[:-4])
    assert _check(tmp_path / "a.npy", "pickled") == ["the file is cut off"]
    np.save(tmp_path / "b.npy", np.ones(3))
    assert _check(tmp_path / "b.npy", "pickled") == ["the array is not a pickled object"]
    (tmp_path / "c.npy").write_bytes(pickle.dumps({"a": 1}))
    assert _check(tmp_path / "c.npy", "npy") == [
        "the array is pickled; reading it would execute the code inside"
    ]
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("kind", "text", "problem"),
    [
        ("tsv", "a,b\n1,2\n", "this is no table"),
        ("csv", "a,b\n1,2\n3\n", "a line of the table is cut off"),
        ("json", "[1, 2", "the file is not valid JSON"),
        ("ctab", "x", "the table of label names has another form"),
        ("picture", "x", "the picture cannot be decoded"),
        ("mat", "x", "the mat file cannot be read"),
    ],
)
def test_damaged_tables_are_named(kind: str, text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_text(text)
    assert _check(tmp_path / "a", kind) == [problem]
