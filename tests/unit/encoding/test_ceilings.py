"""Scales and ceilings inside ``encode``: fitted on training images, recorded, never leaking."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.stage import StageContext
from neuroattn.core.tables import CEILINGS, RESAMPLED, SCORES, read_tsv
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import CeilingConfig, CeilingMethod, Normalise, SplitConfig, SplitKind
from neuroattn.encoding import ceilings, stage
from neuroattn.encoding.registry import RidgeConfig

from .conftest import IMAGES, TARGETS, finish

Contexts = Callable[..., StageContext]
Array = np.ndarray[Any, Any]
RANDOM = SplitConfig(kind=SplitKind.random, test_fraction=0.3)


def scores_of(context: StageContext) -> pd.DataFrame:
    return read_tsv(context.out.folder / "scores.tsv")


def drift(trials: pd.DataFrame, responses: Array) -> Array:
    """Sessions of 40 trials that differ in offset and scale."""
    session = np.arange(len(trials)) // 40
    trials["session"] = 1 + session
    return (responses * (1 + session)[:, None] + 20 * session[:, None]).astype(np.float32)


def noisy_last(trials: pd.DataFrame, responses: Array) -> Array:
    """The last two targets are noise."""
    responses[:, 4:] = np.random.default_rng(9).normal(size=(len(responses), 2))
    return responses


def test_scores_gain_columns_after_the_shared_ones(context_for: Contexts) -> None:
    context = context_for("a", split=RANDOM)
    result = stage.run(context)
    scores = scores_of(context)
    assert tuple(scores.columns) == (*SCORES, *CEILINGS, "alpha", "r_selection", *RESAMPLED)
    assert (scores["nc"] > 0.9).all()
    np.testing.assert_allclose(scores["r_squared_over_nc"], scores["r_squared"] / scores["nc"])
    assert (scores["n_images"] == round(0.3 * IMAGES)).all()
    assert result.metrics["test.targets_over_nc"] == TARGETS
    assert "Noise ceilings were computed from the variance over repeats" in result.methods


def test_without_repeats_there_is_no_ceiling(context_for: Contexts) -> None:
    ceiling = CeilingConfig(method=CeilingMethod.none)
    context = context_for("a", split=RANDOM, ceiling=ceiling)
    result = stage.run(context)
    assert scores_of(context)[list(CEILINGS[:3])].isna().all(axis=None)
    assert not [name for name in result.metrics if "nc" in name]
    assert "ceiling" not in result.methods


@pytest.mark.parametrize("method", [CeilingMethod.repeats, CeilingMethod.split_half])
def test_a_target_of_noise_is_left_out_of_normalised_means(
    context_for: Contexts, method: CeilingMethod
) -> None:
    ceiling = CeilingConfig(method=method, threshold=0.6)
    context = context_for("a", split=RANDOM, ceiling=ceiling, change=noisy_last)
    result = stage.run(context)
    scores = scores_of(context)
    assert scores["r_squared_over_nc"].isna().tolist() == [False] * 4 + [True] * 2
    assert scores["r"].notna().all()
    assert result.metrics["test.targets_over_nc"] == 4
    mean = (scores["r_squared"] / scores["nc"])[:4].mean()
    assert result.metrics["test.r_squared_over_nc"] == pytest.approx(mean)


def test_selection_by_training_repeats(context_for: Contexts) -> None:
    ceiling = CeilingConfig(select=0.6)
    context = context_for("a", split=RANDOM, ceiling=ceiling, change=noisy_last)
    result = stage.run(context)
    assert scores_of(context)["r"].isna().tolist() == [False] * 4 + [True] * 2
    kept = load_file(context.out.folder / "fold-0" / "selection.safetensors")
    assert kept["targets"].tolist() == [0, 1, 2, 3]
    model = load_file(context.out.folder / "fold-0" / "model.safetensors")
    assert model["intercept"].shape == (4,)
    assert result.metrics["test.undefined"] == 2
    assert "0.6 or more on the training images were fitted" in result.methods
    plain = context_for("b", split=RANDOM, change=noisy_last)
    stage.run(plain)
    np.testing.assert_allclose(scores_of(context)["r"][:4], scores_of(plain)["r"][:4], atol=1e-6)


def test_selection_that_cannot_be_is_an_error(context_for: Contexts) -> None:
    with pytest.raises(DataError, match="no target reaches"):
        stage.run(context_for("a", split=RANDOM, ceiling=CeilingConfig(select=0.9999)))
    prepared = Prepared(context_for("b").parents["prepare"])
    once = np.array([10, 13, 16])
    with pytest.raises(ConfigError, match="without repeats"):
        ceilings.select(prepared, once, CeilingConfig(select=0.1), Normalise.none)


def test_supplied_ceilings_are_recorded_as_having_seen_test_data(context_for: Contexts) -> None:
    supplied = CeilingConfig(method=CeilingMethod.supplied)
    with pytest.raises(ConfigError, match="no noise ceilings came"):
        stage.run(context_for("a", split=RANDOM, ceiling=supplied))
    ncsnr = np.array([0.5, 1.0, 2.0, 0.0, np.nan, 1.0])
    context = context_for("b", split=RANDOM, ceiling=supplied, ncsnr=ncsnr)
    result = stage.run(context)
    images = read_tsv(context.out.folder / "folds.tsv").query("side == 'test'")["image"]
    k = np.mean(1 / (1 + (images - 10) % 3))
    np.testing.assert_allclose(scores_of(context)["nc"], ncsnr**2 / (ncsnr**2 + k))
    assert result.metrics["test.targets_over_nc"] == 4
    protocol = json.loads((context.out.folder / "protocol.json").read_text())
    assert protocol["ceiling_from"] == "all trials"
    assert "over all trials" in result.methods


@pytest.mark.parametrize("normalise", [Normalise.session_train, Normalise.session_all])
def test_z_scores_undo_drift_of_sessions(context_for: Contexts, normalise: Normalise) -> None:
    raw = context_for("raw", change=drift)
    stage.run(raw)
    context = context_for("z", change=drift, normalise=normalise)
    result = stage.run(context)
    assert scores_of(context)["r"].mean() > 0.8 > scores_of(raw)["r"].mean()
    protocol = json.loads((context.out.folder / "protocol.json").read_text())
    assert protocol["normalise_saw_test"] == (normalise is Normalise.session_all)
    scales = [
        load_file(context.out.folder / f"fold-{fold}" / "normalise.safetensors")["mean"]
        for fold in range(3)
    ]
    alike = np.array_equal(scales[0], scales[1])
    assert alike == (normalise is Normalise.session_all)
    assert ("test trials included" in result.methods) == alike


def test_test_responses_reach_nothing_that_is_fitted(context_for: Contexts) -> None:
    more = {
        "split": RANDOM, "normalise": Normalise.session_train, "ceiling": CeilingConfig(select=0.5),
    }  # fmt: skip
    first = context_for("a", change=drift, **more)
    stage.run(first)
    folds = read_tsv(first.out.folder / "folds.tsv")
    held_out = folds["image"][folds["side"] == "test"].to_numpy()

    def noise(trials: pd.DataFrame, responses: Array) -> Array:
        responses = drift(trials, responses)
        rows = trials["image"].isin(held_out).to_numpy()
        responses[rows] = 1000 * np.random.default_rng(3).normal(size=(rows.sum(), TARGETS))
        return responses

    second = context_for("b", change=noise, **more)
    stage.run(second)
    names = ("model.safetensors", "model.json", "normalise.safetensors", "selection.safetensors")
    for name in names:
        one, other = (c.out.folder / "fold-0" / name for c in (first, second))
        assert one.read_bytes() == other.read_bytes(), name
    assert not scores_of(first).equals(scores_of(second))


def test_both_ways_of_reading_repeats_agree(context_for: Contexts) -> None:
    prepared = Prepared(context_for("a", change=noisy_last).parents["prepare"])
    images = prepared.image_ids
    found = [
        ceilings.ceiling(prepared, images, method, Normalise.none)
        for method in (CeilingMethod.repeats, CeilingMethod.split_half)
    ]
    np.testing.assert_allclose(found[0][:4], found[1][:4], atol=0.05)
    assert (found[0][4:] < 0.6).all()


def test_every_draw_of_training_images_is_tested_on_one_scale(context_for: Contexts) -> None:
    """Else the points of a learning curve would have other responses to predict."""
    found = {}
    for images in (None, 12):
        encoder = RidgeConfig(n_alphas=2, inner_folds=2, images=images)
        context = context_for(str(images), encoder=encoder, normalise=Normalise.session_train)
        stage.run(context)
        with finish(context.out, "encode").hdf5("predictions.h5") as file:
            found[images] = file["test/measured"][:]
    np.testing.assert_array_equal(found[12], found[None])
