"""The stage ``encode`` as a whole: payload, leaks, resumption, modes of responses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.stage import StageContext
from neuroattn.core.tables import read_tsv
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ResponsesMode, SplitConfig, SplitKind
from neuroattn.encoding import sides, stage
from neuroattn.encoding.readout import read_model
from neuroattn.encoding.registry import AttentionConfig, RidgeConfig
from neuroattn.encoding.ridge import Ridge
from neuroattn.stats.correlation import pearson
from neuroattn.training.registry import TrainingConfig

from .conftest import IMAGES, TARGETS, Store, finish

Contexts = Callable[..., StageContext]


def payload(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    named = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: content for name, content in named.items() if not name.startswith(".work")}


def test_payload_and_metrics_agree(context_for: Contexts) -> None:
    context = context_for("a")
    result = stage.run(context)
    folder = context.out.folder
    assert set(payload(folder)) == {
        "predictions.h5", "targets.tsv", "scores.tsv", "rois.tsv", "folds.tsv", "protocol.json",
        *(f"fold-{k}/model.{kind}" for k in range(3) for kind in ("json", "safetensors")),
    }  # fmt: skip
    with h5py.File(folder / "predictions.h5") as file:
        test = {name: file["test"][name][:] for name in file["test"]}
    scores = read_tsv(folder / "scores.tsv")
    assert test["predicted"].shape == test["measured"].shape == (IMAGES, TARGETS)
    assert sorted(test["image"]) == list(range(10, 10 + IMAGES))
    sides = [test["fold"] == fold for fold in range(3)]
    by_fold = [pearson(test["predicted"][side], test["measured"][side]) for side in sides]
    np.testing.assert_allclose(scores["r"], np.mean(by_fold, axis=0), atol=1e-12)
    np.testing.assert_allclose(
        scores["r_pooled"], pearson(test["predicted"], test["measured"]), atol=1e-12
    )
    assert result.metrics["test.r"] == pytest.approx(scores["r"].mean())
    assert result.metrics["roi.V1.r"] == pytest.approx(scores["r"][:2].mean())
    assert result.metrics["test.r"] > 0.8
    assert "3 held-out folds" in result.methods


def test_measured_is_the_mean_over_repeats_of_its_image(context_for: Contexts) -> None:
    context = context_for("a")
    stage.run(context)
    prepared = Prepared(context.parents["prepare"])
    with h5py.File(context.out.folder / "predictions.h5") as file:
        image, measured = int(file["test/image"][7]), file["test/measured"][7]
    rows = np.flatnonzero(prepared.trials["image"] == image)
    np.testing.assert_allclose(measured, prepared.responses(rows).mean(0), rtol=1e-6)


def test_folds_table_names_every_image_of_every_fold_once(context_for: Contexts) -> None:
    context = context_for("a")
    stage.run(context)
    table = read_tsv(context.out.folder / "folds.tsv")
    assert len(table) == 3 * IMAGES
    assert not table.duplicated(["fold", "image"]).any()
    assert (table["side"] == "test").sum() == IMAGES


@pytest.mark.parametrize("encoder", [RidgeConfig(), RidgeConfig(layers=["early"])])
def test_test_responses_and_test_features_do_not_reach_the_model(
    context_for: Contexts, encoder: RidgeConfig
) -> None:
    split = SplitConfig(kind=SplitKind.random)
    first = context_for("a", encoder=encoder, split=split)
    stage.run(first)
    folds = read_tsv(first.out.folder / "folds.tsv")
    held_out = folds["image"][folds["side"] == "test"].to_numpy()

    def noise(trials: pd.DataFrame, responses: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        rows = trials["image"].isin(held_out).to_numpy()
        responses[rows] = 1000 * np.random.default_rng(3).normal(size=(rows.sum(), TARGETS))
        return responses

    loud = Store()
    for values in loud.values.values():
        values[held_out - 10] *= 50
    second = context_for("b", encoder=encoder, split=split, change=noise, features=loud)
    stage.run(second)
    for name in ("fold-0/model.safetensors", "fold-0/model.json"):
        assert payload(first.out.folder)[name] == payload(second.out.folder)[name]


class KilledError(Exception):
    """Stands for a kill."""


@pytest.mark.parametrize("survivors", [0, 1, 2])
@pytest.mark.parametrize("when", ["fit", "predict", "keep"])
def test_a_killed_run_resumes_at_its_fold_with_the_same_bytes(
    context_for: Contexts, monkeypatch: pytest.MonkeyPatch, survivors: int, when: str
) -> None:
    whole = context_for("whole")
    expected = stage.run(whole)
    killed = context_for("killed")
    owner, name = {
        "fit": (Ridge, "fit"), "predict": (stage.Prepared, "image_responses"),
        "keep": (stage, "fsync_file"),
    }[when]  # fmt: skip
    calls_a_fold = {"fit": 1, "predict": 1, "keep": 5}[when]
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, dying(getattr(owner, name), survivors * calls_a_fold))
        with pytest.raises(KilledError):
            stage.run(killed)
    fits = count_calls(monkeypatch)
    resumed = stage.run(killed)
    assert len(fits) == 3 - survivors
    assert resumed == expected
    assert payload(killed.out.folder) == payload(whole.out.folder)


def dying(function: Callable[..., Any], after: int) -> Callable[..., Any]:
    count = [0]

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        count[0] += 1
        if count[0] > after:
            raise KilledError
        return function(*args, **kwargs)

    return wrapper


def count_calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    calls: list[int] = []
    fit = Ridge.fit

    def counted(self: Ridge, train: Any) -> Any:
        calls.append(1)
        return fit(self, train)

    monkeypatch.setattr(Ridge, "fit", counted)
    return calls


def test_training_rows_by_mode(context_for: Contexts) -> None:
    prepared = Prepared(context_for("a").parents["prepare"])
    images = np.array([12, 10, 11])  # shown three times, once and twice
    rows, mean = stage.training_rows(prepared, images, ResponsesMode.mean)
    assert rows.tolist() == [12, 10, 11]
    rows, single = stage.training_rows(prepared, images, ResponsesMode.single)
    assert rows.tolist() == [12, 12, 12, 10, 11, 11]
    np.testing.assert_allclose(single[:3].mean(0), mean[0], rtol=1e-5)
    rows, weighted = stage.training_rows(prepared, images, ResponsesMode.weighted)
    assert rows.tolist() == [12, 12, 12, 10, 11, 11]
    np.testing.assert_array_equal(weighted[3:], mean[[1, 2, 2]])
    rows, _ = stage.training_rows(prepared, np.array([12, 15]), ResponsesMode.weighted)
    assert rows.tolist() == [12, 15]


@pytest.mark.parametrize("mode", list(ResponsesMode))
def test_rows_written_block_by_block_are_the_rows_in_memory(
    context_for: Contexts, mode: ResponsesMode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = Prepared(context_for("a").parents["prepare"])
    images, targets = np.array([12, 10, 11]), np.array([2, 0])
    images_, whole = stage.training_rows(prepared, images, mode, targets)
    monkeypatch.setattr(sides, "BLOCK", 16)  # two rows of two targets
    file = tmp_path / "rows.npy"
    rows, table = stage.training_rows(prepared, images, mode, targets, file)
    assert isinstance(table, np.memmap)
    np.testing.assert_array_equal(rows, images_)
    np.testing.assert_array_equal(table, whole)


@pytest.mark.parametrize("mode", list(ResponsesMode))
def test_every_mode_is_tested_on_the_same_means(context_for: Contexts, mode: ResponsesMode) -> None:
    plain, context = context_for("plain"), context_for("mode", mode=mode)
    stage.run(plain)
    assert stage.run(context).metrics["test.r"] > 0.8
    with (
        h5py.File(plain.out.folder / "predictions.h5") as first,
        h5py.File(context.out.folder / "predictions.h5") as second,
    ):
        np.testing.assert_array_equal(first["test/measured"], second["test/measured"])


@pytest.mark.parametrize("encoder", [RidgeConfig(), RidgeConfig(primal_gb=0.0)])
def test_the_stored_model_predicts_what_was_stored(
    context_for: Contexts, store: Store, encoder: RidgeConfig
) -> None:
    context = context_for("a", encoder=encoder)
    result = stage.run(context)
    with h5py.File(context.out.folder / "predictions.h5") as file:
        rows = file["test/fold"][:] == 1
        images, predicted = file["test/image"][:][rows], file["test/predicted"][:][rows]
    artefact = finish(context.out, "encode", result.metrics)
    model = read_model(encoder, artefact, "fold-1")
    np.testing.assert_allclose(model.predict(store, images), predicted, atol=1e-5)
    assert not (context.out.folder / ".work").exists()


def test_a_readout_that_attends_leaves_its_maps_by_name(context_for: Contexts) -> None:
    encoder = AttentionConfig(
        layers=["early"], heads=1, hidden=0, dim=4, training=TrainingConfig(epochs=1)
    )
    context = context_for("a", encoder=encoder)
    stage.run(context)
    with h5py.File(context.out.folder / "attention.h5") as file:
        names = list(file.attrs["queries"])
        assert names == ["lh.V1", "lh.V2", "lh.rest", "rh.V1", "rh.V2", "rh.V4", "rh.rest"]
        assert file.attrs["grid"].tolist() == [2, 2]
        for fold in range(3):
            weights = file[f"fold-{fold}/attention"][:]
            assert weights.shape == (3, len(names), 4)
            np.testing.assert_allclose(weights.sum(-1, dtype=np.float32), 1, atol=5e-3)
            assert len(file[f"fold-{fold}/image"]) == 3
