"""Every closed form through the stage ``encode``: scores, its own columns, Methods text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from neuroattn.encoding import stage
from neuroattn.encoding.readout import read_model
from neuroattn.encoding.registry import (
    ENCODERS,
    BandedRidgeConfig,
    EncoderConfig,
    FieldRidgeConfig,
    LinearPoolConfig,
    PcaRidgeConfig,
    RidgeConfig,
    Select,
)

from .conftest import TARGETS, finish

FEW = {"n_alphas": 3, "inner_folds": 2}
CASES: dict[str, tuple[EncoderConfig, set[str], str]] = {
    "linear_pool": (LinearPoolConfig(**FEW), set(), "the mean over tokens of"),
    "best_layer": (
        RidgeConfig(select=Select.best_layer, **FEW), {"layer"}, "layer and penalty were chosen"
    ),
    "pca_ridge": (PcaRidgeConfig(components=12, **FEW), set(), "first 12 principal components"),
    "banded_ridge": (
        BandedRidgeConfig(candidates=5, **FEW), {"share_early", "share_late"}, "(bands)"
    ),
    "field_ridge": (
        FieldRidgeConfig(cells=2, places=2, sizes=[0.3], **FEW),
        {"rf_x", "rf_y", "rf_size"},
        "Gaussian receptive field, chosen for each target among 5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_it_runs_and_says_what_it_did(name: str, context_for: Callable[..., Any]) -> None:
    config, columns, words = CASES[name]
    context = context_for("a", encoder=config)
    result = stage.run(context)
    assert words in result.methods
    assert "\n" not in result.methods
    scores = finish(context.out, "encode").table("scores.tsv")
    assert columns | {"alpha", "r_selection"} <= set(scores)
    assert len(scores) == TARGETS
    if name != "linear_pool":  # the responses are linear in all tokens
        assert result.metrics["test.r"] > 0.8


def test_a_stored_fit_is_read_again(context_for: Callable[..., Any], store: Any) -> None:
    config = CASES["field_ridge"][0]
    context = context_for("a", encoder=config)
    stage.run(context)
    artefact = finish(context.out, "encode")
    model = read_model(config, artefact, "fold-1")
    with artefact.hdf5("predictions.h5") as file:
        rows = file["test/fold"][:] == 1
        expected, images = file["test/predicted"][:][rows], file["test/image"][:][rows]
    assert model.predict(store, images) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["linear_pool", "linear_cls"])
def test_two_names_are_thin(name: str) -> None:
    assert ENCODERS[name].target == ENCODERS["ridge"].target
