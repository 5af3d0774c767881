"""Which targets are captioned is decided by the captioned fold, not by a mean over folds."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from neuroattn.captioning import told
from neuroattn.captioning.fold_scores import scores_of_fold, selection_of_fold
from neuroattn.captioning.gates import gate
from neuroattn.captioning.registry import GateConfig
from neuroattn.captioning.told import Ground

TARGETS, EACH = 4, 10
OF_FOLDS = np.array([[0.9, 0.1, 0.5, np.nan], [0.1, 0.9, 0.5, 0.8]])


def encoder(folder: Path, folds: int = 2, selection: bool = True) -> Any:
    """An encoder's scores, whose means over folds say that all targets are alike."""
    rng, file = np.random.default_rng(0), folder / f"{folds}{selection}.h5"
    measured = rng.normal(size=(folds * EACH, TARGETS)).astype(np.float32)
    predicted = measured + rng.normal(size=measured.shape).astype(np.float32)
    with h5py.File(file, "w") as made:
        made["test/image"], made["test/fold"] = (
            np.arange(folds * EACH),
            np.arange(folds).repeat(EACH),
        )
        made["test/measured"], made["test/predicted"] = measured, predicted
        if selection:
            made["selection/r"] = OF_FOLDS[:folds].astype(np.float32)
    mean = pd.DataFrame({"r": 0.5, "r_squared": 0.25, "r_selection": 0.5, "nc": np.ones(TARGETS)})
    return SimpleNamespace(table=lambda name: mean.copy(), hdf5=lambda name: h5py.File(file))


def side(images: Any, columns: Any) -> Any:
    return SimpleNamespace(unit=SimpleNamespace(columns=np.array(columns)), test=np.array(images))


def everything(fold: int) -> list[Any]:
    return [side(range(fold * EACH, (fold + 1) * EACH), range(TARGETS))]


@pytest.mark.parametrize("fold", [0, 1])
def test_the_gate_takes_the_row_of_the_fold(tmp_path: Path, fold: int) -> None:
    encode = encoder(tmp_path)
    scores = scores_of_fold(encode, everything(fold), fold)
    np.testing.assert_allclose(scores["r_selection"], OF_FOLDS[fold], atol=1e-6)
    passed = gate(scores, GateConfig(threshold=0.5)).passed
    assert passed.tolist() == [[True, False, False, False], [False, True, False, True]][fold]
    ground = Ground(encode, SimpleNamespace(), fold)  # type: ignore[arg-type]
    np.testing.assert_allclose(ground.selection(), OF_FOLDS[fold], atol=1e-6)


@pytest.mark.parametrize("fold", [0, 1])
def test_the_ground_reads_the_fold_s_images_and_the_named_targets(
    tmp_path: Path, fold: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "_ROWS", 7)  # no divisor of the number of images
    encode = encoder(tmp_path)
    ground = Ground(encode, SimpleNamespace(), fold)  # type: ignore[arg-type]
    rows, targets = np.arange(EACH) + fold * EACH, np.array([3, 0])
    np.testing.assert_array_equal(ground.images(), rows)
    with encode.hdf5("predictions.h5") as file:
        for name in ("measured", "predicted"):
            wanted = file[f"test/{name}"][...][rows][:, targets]
            np.testing.assert_array_equal(ground.test(name, targets), wanted)


def test_r_is_that_of_the_fold_s_test_images(tmp_path: Path) -> None:
    encode = encoder(tmp_path)
    with encode.hdf5("predictions.h5") as file:
        both = file["test/predicted"][EACH:], file["test/measured"][EACH:]
    wanted = [np.corrcoef(*(table[:, n] for table in both))[0, 1] for n in range(TARGETS)]
    scores = scores_of_fold(encode, everything(1), 1)
    np.testing.assert_allclose(scores["r"], wanted, atol=1e-6)
    np.testing.assert_allclose(scores["r_squared"], np.clip(wanted, 0, None) ** 2, atol=1e-6)
    assert (scores["nc"] == 1).all()


def test_each_subject_is_scored_on_the_images_it_was_shown(tmp_path: Path) -> None:
    encode = encoder(tmp_path)
    with encode.hdf5("predictions.h5") as file:
        both = file["test/predicted"][:6, 2], file["test/measured"][:6, 2]
    sides = [side(range(EACH), [0, 1]), side(range(6), [2, 3])]
    whole, found = scores_of_fold(encode, everything(0), 0), scores_of_fold(encode, sides, 0)
    np.testing.assert_allclose(found["r"][:2], whole["r"][:2])
    assert found["r"][2] == pytest.approx(np.corrcoef(*both)[0, 1], abs=1e-6)


def test_a_single_fold_keeps_its_table_and_a_mean_stands_in_for_nothing(tmp_path: Path) -> None:
    one = encoder(tmp_path, folds=1)
    assert scores_of_fold(one, everything(0), 0).equals(one.table("scores.tsv"))
    np.testing.assert_array_equal(selection_of_fold(one, 0), np.full(TARGETS, 0.5))
    unknown = encoder(tmp_path, selection=False)
    assert scores_of_fold(unknown, everything(0), 0)["r_selection"].isna().all()
    ground = Ground(unknown, SimpleNamespace(), 0)  # type: ignore[arg-type]
    np.testing.assert_array_equal(ground.selection(), np.zeros(TARGETS))
