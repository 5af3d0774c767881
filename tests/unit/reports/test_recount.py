from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroattn.core.errors import ArtefactError
from neuroattn.reports.recount import recount


def predictions(path: Path, measured, predicted, fold, **attributes: str) -> h5py.File:
    with h5py.File(path, "w") as file:
        file["test/measured"], file["test/predicted"] = measured, predicted
        file["test/measured"].attrs.update(attributes)
        file["test/fold"] = np.asarray(fold, "i4")
    return h5py.File(path)


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    measured = random.normal(size=(90, 7)).astype("f4")
    predicted = (measured + random.normal(size=(90, 7))).astype("f4")
    return measured, predicted, np.arange(90) % 3


@pytest.mark.parametrize("block", [1, 300, 10**9])
@pytest.mark.parametrize("offset", [0, 1e5])
def test_blocks_give_numpys_correlation_within_each_fold(tmp_path, pair, block, offset) -> None:
    measured, predicted, fold = pair[0] + np.float32(offset), pair[1], pair[2]
    with predictions(tmp_path / "p.h5", measured, predicted, fold) as file:
        found = recount(file, [2, 5], block_bytes=block)
    for index, number in enumerate(found.folds):
        rows = fold == number
        x, y = measured[rows].astype("f8"), predicted[rows].astype("f8")
        expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(x.T, y.T, strict=True)]
        np.testing.assert_allclose(found.r[index], expected, atol=1e-10)
    np.testing.assert_array_equal(found.measured, measured[:, [2, 5]])
    np.testing.assert_array_equal(found.predicted, predicted[:, [2, 5]])
    np.testing.assert_allclose(found.mean, found.r.mean(0))


def test_a_constant_side_has_no_correlation(tmp_path, pair) -> None:
    measured, predicted, fold = pair
    predicted[:, 3] = 0.1
    measured[fold == 1, 4] = 7
    with predictions(tmp_path / "p.h5", measured, predicted, fold) as file:
        found = recount(file, [])
    assert np.isnan(found.r[:, 3]).all()
    assert np.isnan(found.r[:, 4]).tolist() == [False, True, False]
    assert np.isnan(found.mean).tolist() == [False] * 3 + [True] * 2 + [False] * 2
    assert found.measured.shape == (90, 0)


def test_folds_need_not_stand_in_order(tmp_path, pair) -> None:
    measured, predicted, fold = pair
    shuffled = np.random.default_rng(1).permutation(90)
    with predictions(tmp_path / "a.h5", measured, predicted, fold) as file:
        expected = recount(file, []).r
    rows = (measured[shuffled], predicted[shuffled], fold[shuffled])
    with predictions(tmp_path / "b.h5", *rows) as file:
        np.testing.assert_allclose(recount(file, []).r, expected, atol=1e-10)


def test_the_unit_of_the_stored_responses_is_read(tmp_path, pair) -> None:
    with predictions(tmp_path / "p.h5", *pair, units="z-scores") as file:
        assert recount(file, []).unit == "z-scores"


def test_a_missing_dataset_and_other_shapes_are_named(tmp_path, pair) -> None:
    measured, predicted, fold = pair
    shorter = predictions(tmp_path / "a.h5", measured, predicted[:-1], fold)
    with shorter as file, pytest.raises(ArtefactError, match="inconsistent"):
        recount(file, [])
    with h5py.File(tmp_path / "b.h5", "w") as file, pytest.raises(ArtefactError, match="lack"):
        recount(file, [])
