"""Finding the files of the ``arrays`` layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import DataError, MissingDataError
from neuroattn.data.arrays_files import find
from neuroattn.data.registry import ArraysConfig


def test_pictures_are_found_by_number(tiny: Path) -> None:
    (tiny / "images" / "00009.png").rename(tiny / "images" / "9.JPG")
    (tiny / "images" / "README").touch()
    (tiny / "images" / "._00002.png").touch()
    found = find(ArraysConfig(root=str(tiny)))
    assert {image: path.name for image, path in found.pictures.items()} == {
        2: "00002.png",
        4: "00004.png",
        7: "00007.png",
        9: "9.JPG",
    }


def test_an_array_takes_the_place_of_the_folder(tiny: Path) -> None:
    (tiny / "images").rename(tiny / "pictures")
    np.save(tiny / "images.npy", np.zeros((10, 4, 4, 3), dtype=np.uint8))
    found = find(ArraysConfig(root=str(tiny)))
    assert found.picture_array == tiny / "images.npy"
    assert "images.npy" in found.all()
    assert not found.pictures


def test_a_home_folder_is_expanded(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tiny.parent))
    assert find(ArraysConfig(root="~/tiny")).root == tiny


def test_two_files_for_one_thing_are_refused(tiny: Path) -> None:
    (tiny / "images" / "2.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="image 2 has two pictures"):
        find(ArraysConfig(root=str(tiny)))


def test_an_empty_folder_of_pictures_is_missing_data(tiny: Path) -> None:
    for path in (tiny / "images").iterdir():
        path.unlink()
    with pytest.raises(MissingDataError, match="no pictures"):
        find(ArraysConfig(root=str(tiny)))
