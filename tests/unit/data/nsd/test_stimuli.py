"""Pictures, photographs, captions and categories."""

from __future__ import annotations

import hashlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.stimuli import (
    JoinedPictures,
    check_shared,
    read_captions,
    read_categories,
    read_stim_info,
    source_of,
)
from tests.nsd_files import STIMULI, Nsd, coco, picture, split


def test_photographs_by_id_from_zero(whole: Nsd) -> None:
    info = read_stim_info(layout.stim_info(whole.root))
    assert sorted(info) == list(range(STIMULI))
    assert (info[17].coco, info[17].split) == (coco(17), split(17))
    assert info[17].crop == (0, 0, 0.125, 0)
    assert source_of(info, 17) == f"coco/{coco(17)}"
    assert source_of(info, 99) == ""
    assert sorted(image for image in info if info[image].shared) == whole.shared.tolist()


def test_a_shift_of_the_table_shows_in_the_shared_images(whole: Nsd) -> None:
    path = layout.stim_info(whole.root)
    info = read_stim_info(path)
    check_shared(info, whole.shared, path)
    with pytest.raises(DataError, match="share different images"):
        check_shared(info, whole.shared + 1, path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("cocoId", "cocoID", "cannot be read"),
        ('"(0, 0, 0.125, 0)"', '"(0, 0, 0.125)"', "cannot be read"),
        ("0.1,0,", "0.1,1,", "does not count the images from 0"),
        ("0.1,59,", "0.1,60.5,", "cannot be read"),
    ],
)
def test_tables_of_another_form(whole: Nsd, tmp_path: Path, old: str, new: str, words: str) -> None:
    text = layout.stim_info(whole.root).read_text()
    assert old in text
    (tmp_path / "info.csv").write_text(text.replace(old, new))
    with pytest.raises(DataError, match=words):
        read_stim_info(tmp_path / "info.csv")


def test_captions_in_the_order_of_their_ids(whole: Nsd) -> None:
    info = read_stim_info(layout.stim_info(whole.root))
    paths = {name: layout.coco_annotations(whole.root, name) for name in layout.COCO_SPLITS}
    captions = read_captions(paths, info, np.array([3, 4, 500]))
    assert captions == {"3": ["1 of 3", "0 of 3"], "4": ["1 of 4", "0 of 4"]}


def test_categories_of_what_the_crop_leaves(whole: Nsd) -> None:
    info = read_stim_info(layout.stim_info(whole.root))
    paths = {
        name: layout.coco_annotations(whole.root, name, "instances") for name in layout.COCO_SPLITS
    }
    # The cat stands in the leftmost 12 of 80 pixels, of which the crop removes 10.
    assert read_categories(paths, info, np.array([3, 4])) == {"3": ["cake"], "4": ["cake"]}


def test_annotations_of_another_form(tmp_path: Path, whole: Nsd) -> None:
    info = read_stim_info(layout.stim_info(whole.root))
    for text in ("[]", '{"annotations": 3}', '{"annotations": [{"id": 3}]}', "{"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(DataError):
            read_captions({"val2017": tmp_path / "a.json"}, info, np.array([3]))


def test_joined_pictures(tmp_path: Path) -> None:
    for name, ids in (("a.hdf5", np.arange(3)), ("b.hdf5", np.arange(3, 5))):
        with h5py.File(tmp_path / name, "w") as file:
            file["imgBrick"] = picture(ids)
    pictures = JoinedPictures((tmp_path / "a.hdf5", tmp_path / "b.hdf5"))
    assert pictures.ids.tolist() == [0, 1, 2, 3, 4]
    assert [int(pictures.read(image)[0, 0, 0]) for image in pictures.ids] == [0, 1, 2, 3, 4]
    assert pictures.file(3) == "b.hdf5:imgBrick[0]"
    assert pictures.digest(4) == hashlib.sha256(picture(np.array([4])).tobytes()).hexdigest()
    for image in (-1, 5):
        with pytest.raises(DataError):
            pictures.read(image)
