"""Responses to a folder of pictures, through the same path as those of the dataset."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import read_tsv
from neuroattn.encoding.predict import pictures_in
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
    assert [path.name for path in pictures_in(str(tmp_path))] == ["a.JPG", "b.png"]
