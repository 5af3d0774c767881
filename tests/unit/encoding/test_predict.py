"""Responses to a folder of pictures, through the same path as those of the dataset."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import read_tsv
from neuroattn.data.simulate.scene import CATEGORIES
from neuroattn.encoding.pictures import pictures_in, scenes, shown_in
from neuroattn.encoding.registry import PredictConfig
from tests.chain import neuroattn, words


@pytest.fixture(scope="module")
def predicted(all_root: Path, tiny_data: Path) -> Artefact:
    ran = neuroattn(*words("predict", tiny_data, all_root, "predict.fold=0"))
    assert ran.code == 0, ran.err
    return Artefact(ran.path)


def test_pictures_of_the_dataset_get_the_predictions_of_its_fold(
    predicted: Artefact, all_root: Path
) -> None:
    encode = all_root / "encode" / predicted.inputs["encode"]["label"]
    with h5py.File(encode / "predictions.h5") as file:
        rows = file["test/fold"][:] == 0
        expected, images = file["test/predicted"][:][rows], file["test/image"][:][rows]
    with predicted.hdf5("predictions.h5") as file:
        found = file["predicted"][:]
        assert bool(file["predicted"].attrs["simulated"]) is True
    # The store holds halves, so that features differ in their last bits.
    np.testing.assert_allclose(found[images], expected, atol=0.05 * expected.std())


def test_the_tables_name_every_row_and_column(predicted: Artefact, tiny_data: Path) -> None:
    images = read_tsv(predicted.path("images.tsv"))
    names = sorted(path.name for path in (tiny_data / "images").iterdir())
    assert images["file"].tolist() == names
    assert images["sha256"].str.len().eq(64).all()
    with predicted.hdf5("predictions.h5") as file:
        assert file["predicted"].shape == (
            len(names), len(read_tsv(predicted.path("targets.tsv"))),
        )  # fmt: skip


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not set"):
        pictures_in(None)
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="no picture"):
        pictures_in(str(tmp_path))
    (tmp_path / "b.png").write_bytes(b"")
    (tmp_path / "a.JPG").write_bytes(b"")
    for folder in ("faces", ".thumbnails"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(b"")
    found = pictures_in(str(tmp_path))
    assert list(found) == ["a.JPG", "b.png", "faces/a.png"]
    assert [shown.categories for shown in shown_in(found)] == [set(), set(), {"faces"}]


def test_scenes_show_one_thing_each_and_are_the_same_every_time() -> None:
    first = scenes(1)
    things = [sorted(shown.categories - {"place"}) for shown in first]
    assert sorted(things) == sorted([name] for name in CATEGORIES)
    assert first[0].read().shape == (425, 425, 3)
    again = next(iter(scenes(1)))
    assert (again.name, again.digest()) == (first[0].name, first[0].digest())


def test_two_kinds_of_pictures_are_refused() -> None:
    with pytest.raises(ConfigError, match="two kinds"):
        PredictConfig(images="folder", scenes=5)


def test_pictures_by_category_make_a_localiser(
    all_root: Path, tiny_data: Path, tmp_path: Path
) -> None:
    files = sorted((tiny_data / "images").iterdir())
    for number, file in enumerate(files[:10]):
        folder = tmp_path / ("adult" if number < 5 else "house")
        folder.mkdir(exist_ok=True)
        shutil.copy(file, folder)
    more = (f"predict.images={tmp_path}", "predict.bootstraps=20", "predict.fold=0")
    ran = neuroattn(*words("predict", tiny_data, all_root, *more))
    assert ran.code == 0, ran.err
    found = Artefact(ran.path)
    table = read_tsv(found.path("localiser.tsv"))
    assert table["contrast"].unique().tolist() == ["faces", "places"]
    assert set(table["n_pictures"]) == {5}
    assert table["r"].isna().all()  # no localiser was measured here
    by_target = read_tsv(found.path("selectivity.tsv"))
    with found.hdf5("predictions.h5") as file, found_encode(all_root, found) as encode:
        predicted, measured = file["predicted"][:], encode["test/measured"][:]
    apart = (predicted[:5].mean(0) - predicted[5:].mean(0)) / measured.std(0)
    np.testing.assert_allclose(by_target["difference-faces"], apart, rtol=1e-4, atol=1e-5)
    assert read_tsv(found.path("images.tsv"))["category"].tolist() == ["adult"] * 5 + ["house"] * 5


def found_encode(root: Path, predicted: Artefact) -> h5py.File:
    return h5py.File(root / "encode" / predicted.inputs["encode"]["label"] / "predictions.h5")
