"""The three readers of pictures agree, and digest what they read."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from neuroattn.core.errors import DataError
from neuroattn.data.dataset import Stimuli
from neuroattn.data.stimuli import Hdf5Pictures, NpyPictures, PictureFiles

PICTURES = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


@pytest.fixture
def readers(tmp_path: Path) -> dict[str, Stimuli]:
    files = {}
    for image, picture in enumerate(PICTURES):
        files[image] = tmp_path / f"{image}.png"
        Image.fromarray(picture).save(files[image])
    np.save(tmp_path / "images.npy", PICTURES)
    with h5py.File(tmp_path / "stimuli.h5", "w") as file:
        file["imgBrick"] = PICTURES
    return {
        "files": PictureFiles(files, tmp_path),
        "npy": NpyPictures(tmp_path / "images.npy"),
        "hdf5": Hdf5Pictures(tmp_path / "stimuli.h5", "imgBrick"),
    }


@pytest.mark.parametrize("kind", ["files", "npy", "hdf5"])
def test_pictures_come_back_and_are_plain_arrays(readers: dict[str, Stimuli], kind: str) -> None:
    reader = readers[kind]
    assert reader.ids.tolist() == [0, 1, 2]
    picture = reader.read(2)
    assert type(picture) is np.ndarray
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, PICTURES[2])


def test_names_say_where_a_picture_stands(readers: dict[str, Stimuli]) -> None:
    assert [readers[kind].file(1) for kind in ("files", "npy", "hdf5")] == [
        "1.png",
        "images.npy[1]",
        "imgBrick[1]",
    ]


def test_digests_cover_the_bytes(readers: dict[str, Stimuli], tmp_path: Path) -> None:
    values = hashlib.sha256(PICTURES[1].tobytes()).hexdigest()
    assert readers["npy"].digest(1) == readers["hdf5"].digest(1) == values
    assert (
        readers["files"].digest(1) == hashlib.sha256((tmp_path / "1.png").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize("kind", ["files", "npy", "hdf5"])
@pytest.mark.parametrize("image", [3, -1])
def test_an_unknown_image_is_an_error(readers: dict[str, Stimuli], kind: str, image: int) -> None:
    with pytest.raises(DataError, match=f"no picture of image {image}"):
        readers[kind].read(image)


@pytest.mark.parametrize(
    ("array", "found"),
    [
        (PICTURES / 255.0, "float64"),
        (PICTURES.astype(np.int64), "int64"),
        (PICTURES[..., 0], r"\(3, 4, 5\)"),
        (np.moveaxis(PICTURES, -1, 1), r"\(3, 3, 4, 5\)"),
        (PICTURES[:0], r"\(0, 4, 5, 3\)"),
    ],
)
@pytest.mark.parametrize("kind", ["npy", "h5"])
def test_other_arrays_are_refused(tmp_path: Path, array: Any, found: str, kind: str) -> None:
    path = tmp_path / f"images.{kind}"
    if kind == "npy":
        np.save(path, array)
    else:
        with h5py.File(path, "w") as file:
            file["images"] = array
    with pytest.raises(DataError, match=found):
        NpyPictures(path) if kind == "npy" else Hdf5Pictures(path)
