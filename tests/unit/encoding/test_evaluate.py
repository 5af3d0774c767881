"""Scores by hand: order of averaging, constant predictions, overlapping ROIs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import DataError
from neuroattn.core.hdf5 import create_hdf5
from neuroattn.encoding import evaluate
from neuroattn.encoding.evaluate import FoldResult
from neuroattn.stats.correlation import pearson

Array = np.ndarray[Any, Any]


def fold(index: int, predicted: Array, measured: Array, **columns: Array) -> FoldResult:
    test = np.arange(len(predicted)) + 100 * index
    tables = (predicted.astype(np.float32), measured.astype(np.float32))
    return FoldResult(index, np.arange(5) + 1000, test, *tables, columns)


def targets(*rois: str) -> pd.DataFrame:
    return pd.DataFrame({"target": range(len(rois)), "rois": rois, "hemisphere": "lh"})


def two_folds() -> list[FoldResult]:
    """Each fold is predicted perfectly, or upside down, but for an offset of its own."""
    x = np.random.default_rng(0).normal(size=(20, 2))
    y = np.random.default_rng(1).normal(size=(30, 2))
    return [
        fold(0, x, x + np.array([10, 0]), alpha=np.array([0.1, 1.0])),
        fold(1, y, y * np.array([1, -1]), alpha=np.array([10.0, 1.0])),
    ]


def test_r_is_averaged_over_folds_and_pooled_r_is_not() -> None:
    folds = two_folds()
    scores = evaluate.score_table(targets("", ""), folds)
    np.testing.assert_allclose(scores["r"], [1.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(scores["r_squared"], [1.0, 0.5], atol=1e-6)
    predicted = np.concatenate([part.predicted for part in folds])
    measured = np.concatenate([part.measured for part in folds])
    np.testing.assert_allclose(scores["r_pooled"], pearson(predicted, measured), atol=1e-12)
    assert scores["r_pooled"][0] < 0.5
    assert scores["r2"][0] < 0 < scores["r"][0]


def test_penalties_are_averaged_geometrically() -> None:
    scores = evaluate.score_table(targets("", ""), two_folds())
    np.testing.assert_allclose(scores["alpha"], [1.0, 1.0])
    assert list(scores.columns)[-1] == "alpha"


def test_other_columns_of_a_readout_are_averaged_as_they_are() -> None:
    folds = [
        replace(part, columns={"rf_size": np.full(2, size)})
        for part, size in zip(two_folds(), (0.1, 0.9), strict=True)
    ]
    np.testing.assert_allclose(evaluate.score_table(targets("", ""), folds)["rf_size"], 0.5)


def test_a_constant_prediction_scores_nothing_and_a_constant_measurement_is_undefined() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3))
    flat, silent = x.copy(), x.copy()
    flat[:, 1], silent[:, 2] = 4.0, 4.0
    r = evaluate.correlation(flat.astype(np.float32), silent.astype(np.float32))
    assert r[1] == 0.0
    assert np.isnan(r).tolist() == [False, False, True]


def test_a_fold_in_which_a_target_is_silent_leaves_its_other_folds() -> None:
    x = np.random.default_rng(0).normal(size=(20, 1))
    scores = evaluate.score_table(targets(""), [fold(0, x, x), fold(1, x, np.zeros_like(x))])
    assert scores["r"][0] == pytest.approx(1.0)
    assert scores["r_squared"][0] == pytest.approx(1.0)


def test_metrics_count_overlapping_rois_and_leave_out_silent_targets() -> None:
    r = [0.1, 0.5, np.nan]
    scores = targets("V1|faces", "faces", "silent").assign(r=r, r_squared=r, r2=r, r_pooled=r)
    found = evaluate.metrics(scores)
    assert found["test.r"] == pytest.approx(0.3)
    assert found["test.undefined"] == 1.0
    assert found["roi.V1.r"] == pytest.approx(0.1)
    assert found["roi.faces.r"] == pytest.approx(0.3)
    assert "roi.silent.r" not in found
    assert all(np.isfinite(list(found.values())))


def test_no_defined_target_is_an_error() -> None:
    scores = targets("V1").assign(r=np.nan, r_squared=np.nan, r2=np.nan, r_pooled=np.nan)
    with pytest.raises(DataError, match="no correlation is defined"):
        evaluate.metrics(scores)


@pytest.mark.parametrize("block", [1, 4096])
def test_blocks_of_targets_pool_alike(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    whole = evaluate.pooled_correlation(two_folds())
    monkeypatch.setattr(evaluate, "BLOCK", block)
    np.testing.assert_allclose(evaluate.pooled_correlation(two_folds()), whole, atol=1e-12)


def test_predictions_file_and_fold_table(tmp_path: Path) -> None:
    folds = two_folds()
    with create_hdf5(tmp_path / "predictions.h5") as file:
        evaluate.write_predictions(file, folds)
    with h5py.File(tmp_path / "predictions.h5") as file:
        test = {name: file["test"][name][:] for name in file["test"]}
        assert file["test/predicted"].fletcher32
    np.testing.assert_array_equal(test["measured"][20:], folds[1].measured)
    np.testing.assert_array_equal(test["predicted"][:20], folds[0].predicted)
    assert test["image"].tolist() == [*range(20), *range(100, 130)]
    assert test["fold"].tolist() == [0] * 20 + [1] * 30
    assert (test["image"].dtype, test["fold"].dtype) == (np.int64, np.int32)
    table = evaluate.fold_table(folds)
    assert list(table.columns) == ["fold", "image", "side"]
    assert table.groupby(["fold", "side"]).size().tolist() == [20, 5, 30, 5]
