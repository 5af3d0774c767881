"""The reader of the ``arrays`` layout."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.data.arrays import ArraysDataset
from neuroattn.data.registry import ArraysConfig

from .tiny_dataset import RESPONSES


def open_tiny(root: Path, **keys: object) -> ArraysDataset:
    return ArraysDataset(ArraysConfig(root=str(root), **keys))


def all_responses(dataset: ArraysDataset) -> np.ndarray:
    return np.concatenate([values for _, values in dataset.response_blocks()])


def test_tables_of_the_whole_dataset(tiny: Path) -> None:
    dataset = open_tiny(tiny)
    assert dataset.trials["image"].tolist() == [7, 2, 7, 7, 2, 4, 7]
    assert dataset.trials["subject"].tolist() == ["01"] * 3 + ["02"] * 4
    assert dataset.images["image"].tolist() == [2, 4, 7]  # 9 was never shown
    assert dataset.images["file"].tolist()[0] == "images/00002.png"
    assert dataset.targets["subject"].tolist() == [""] * 3  # columns shared by two subjects
    np.testing.assert_array_equal(all_responses(dataset), RESPONSES)


def test_one_subject_keeps_its_trials_its_images_and_its_rows(tiny: Path) -> None:
    dataset = open_tiny(tiny, subjects=["01"])
    assert dataset.trials["trial"].tolist() == [0, 1, 2]
    assert dataset.images["image"].tolist() == [2, 7]
    assert dataset.targets["subject"].tolist() == ["01"] * 3
    np.testing.assert_array_equal(all_responses(dataset), RESPONSES[:3])
    late = open_tiny(tiny, subjects=["02"])
    np.testing.assert_array_equal(all_responses(late), RESPONSES[3:])
    assert late.response_origin(0) == (tiny / "responses.npy", "trial 3")


def test_an_unknown_subject_is_an_error_that_lists_the_known(tiny: Path) -> None:
    with pytest.raises(ConfigError, match="01, 02"):
        open_tiny(tiny, subjects=["1"])


@pytest.mark.parametrize("dtype", ["f2", ">f4", "f8", "i2", "u1"])
@pytest.mark.parametrize("kind", ["npy", "h5"])
def test_every_real_type_becomes_float32(tiny: Path, dtype: str, kind: str) -> None:
    values = RESPONSES.astype(dtype)
    if kind == "npy":
        np.save(tiny / "responses.npy", values)
    else:
        (tiny / "responses.npy").unlink()
        with h5py.File(tiny / "responses.h5", "w") as file:
            file["responses"] = values
    read = all_responses(open_tiny(tiny))
    assert read.dtype == np.float32
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, RESPONSES)


def test_blocks_are_bounded_and_in_order(tiny: Path) -> None:
    wide = np.random.default_rng(0).normal(size=(7, 100_000)).astype(np.float32)
    np.save(tiny / "responses.npy", wide)
    blocks = list(open_tiny(tiny, block_mib=1).response_blocks())
    assert [rows for rows, _ in blocks] == [slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 7)]
    assert all(values.nbytes <= 1 << 20 for _, values in blocks)
    np.testing.assert_array_equal(np.concatenate([values for _, values in blocks]), wide)


@pytest.mark.parametrize(
    "values", [RESPONSES.astype(complex), RESPONSES > 3, RESPONSES.astype(str)]
)
def test_other_types_are_refused(tiny: Path, values: np.ndarray) -> None:
    np.save(tiny / "responses.npy", values)
    with pytest.raises(DataError, match="not real numbers"):
        open_tiny(tiny)


def test_pictures_splits_captions_and_sources(tiny: Path) -> None:
    (tiny / "splits.json").write_text(json.dumps({"train": [2, 4], "test": [7, 9]}))
    (tiny / "captions.json").write_text(json.dumps({"7": ["grey"]}))
    (tiny / "categories.json").write_text(json.dumps({"2": ["cat", "dog"]}))
    (tiny / "images_sources.tsv").write_text("image\tsource\n7\tcat\n")
    dataset = open_tiny(tiny)
    assert dataset.splits == {"dataset": {"train": [2, 4], "test": [7, 9]}}
    assert dataset.captions == {"7": ["grey"]}
    assert dataset.categories == {"2": ["cat", "dog"]}
    assert dataset.images["source"].tolist() == ["", "", "cat"]
    assert dataset.stimuli.read(7).tolist() == np.full((5, 6, 3), 70).tolist()


def test_array_of_pictures(tiny: Path) -> None:
    (tiny / "images").rename(tiny / "elsewhere")
    with h5py.File(tiny / "images.h5", "w") as file:
        file["images"] = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones(
            (1, 4, 5, 3), dtype=np.uint8
        )
    dataset = open_tiny(tiny)
    assert dataset.images["file"].tolist() == ["images[2]", "images[4]", "images[7]"]
    assert dataset.stimuli.read(7).max() == 7


@pytest.mark.parametrize(
    ("session", "images", "trials", "targets", "repeats"),
    [("210325", 640, 4840, 50, (6, 10)), ("190923", 1200, 1200, 33, (1, 1))],
)
def test_real_recordings(
    shared_data: Path,
    session: str,
    images: int,
    trials: int,
    targets: int,
    repeats: tuple[int, int],
) -> None:
    dataset = open_tiny(shared_data / "cowley_v4" / session)
    assert (len(dataset.images), len(dataset.trials), len(dataset.targets)) == (
        images,
        trials,
        targets,
    )
    counts = dataset.trials["image"].value_counts()
    assert (counts.min(), counts.max()) == repeats
    assert dataset.description.species == "macaque"
    assert set(dataset.targets["rois"]) == {"V4"}
    assert dataset.stimuli.read(3).shape == (112, 112, 3)
    np.testing.assert_array_equal(
        all_responses(dataset), np.load(shared_data / "cowley_v4" / session / "responses.npy")
    )
