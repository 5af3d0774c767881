"""Pictures, photographs, captions and categories."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.stimuli import (
    SyntheticPictures,
    check_shared,
    read_captions,
    read_categories,
    read_stim_info,
    source_of,
)
from tests.nsd_files import STIMULI, Nsd, coco, split


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


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{", '{"annotations": [{"id": 3}]}', '{"annotations": [7]}', '{"categories": [{}]}',
        '{"images": [], "annotations": [{"image_id": ID, "category_id": 1, "bbox": [1, 2, 3, 4]}]}',
    ],
)  # fmt: skip
def test_instances_of_another_form(tmp_path: Path, whole: Nsd, text: str) -> None:
    info = read_stim_info(layout.stim_info(whole.root))
    photograph = info[3]
    (tmp_path / "a.json").write_text(text.replace("ID", str(photograph.coco)))
    with pytest.raises(DataError, match=r"a\.json"):
        read_categories({photograph.split: tmp_path / "a.json"}, info, np.array([3]))


def test_pictures_of_synthetic_fill_the_field_of_the_scenes(tmp_path: Path) -> None:
    wide = np.zeros((2, 6, 10, 3), dtype=np.uint8)
    wide[:, :, 2:8] = np.arange(6)[:, None] * 40
    paths = [tmp_path / "a.hdf5", tmp_path / "b.hdf5"]
    for path, shift in zip(paths, (0, 9), strict=True):
        with h5py.File(path, "w") as file:
            file["imgBrick"] = wide + np.uint8(shift)
    stimuli = SyntheticPictures(*paths, 3)
    assert stimuli.ids.tolist() == [0, 1, 6, 7]  # 2 to 5 are those of subjects 1 and 2
    assert stimuli.image_of(np.array([1, 2, 3])).tolist() == [1, 6, 7]
    picture = stimuli.read(0)
    assert picture.shape == (6, 6, 3)
    assert picture[0, :, 0].tolist() == [0, 101, 143, 175, 202, 226]  # 255 sqrt(value / 255)
    assert stimuli.digest(0) != stimuli.digest(6)
    assert stimuli.file(7) == "b.hdf5:imgBrick[1]"
    with pytest.raises(DataError, match="no picture"):
        stimuli.read(8)
