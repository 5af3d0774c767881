"""What objectives are resolved on, of encoders that were fitted subject by subject."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import save_file

from neuroattn.encoding.attention_readout import AttentionModel
from neuroattn.encoding.design import Scaler
from neuroattn.encoding.encoder import SideBySide, Widened
from neuroattn.encoding.queries import asked_to_json, query_table
from neuroattn.encoding.registry import QueryKind
from neuroattn.encoding.ridge import RidgeModule
from neuroattn.synthesis import guide
from neuroattn.synthesis.guide import parcels, profiles
from neuroattn.synthesis.objectives import resolve
from neuroattn.synthesis.wishes import parse
from tests.unit.synthesis.conftest import facts_of

ROIS = ["A", "B", "A", "B", "B", "A", "A"]  # three targets of one subject, four of the other
SUBJECTS = ["s-1"] * 3 + ["s-2"] * 4


@pytest.fixture
def several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two subjects in two folds: in the second fold, fewer of the second one were fitted."""
    targets = facts_of(ROIS, subjects=SUBJECTS).targets
    chosen = {
        "fold-0-s-1": [0, 1, 2], "fold-0-s-2": [0, 2, 3],
        "fold-1-s-1": [0, 1, 2], "fold-1-s-2": [1, 2],
    }  # fmt: skip

    def model(config: Any, artefact: Any, folder: str) -> AttentionModel:
        own = targets[targets["subject"] == folder[7:]].iloc[chosen[folder]]
        plan = asked_to_json(query_table(own, QueryKind.rois))
        nothing: Any = None
        return AttentionModel("attention", nothing, {}, plan, nothing, nothing, nothing)

    monkeypatch.setattr(guide, "read_model", model)
    files = ["predictions.h5", *(f"{folder}/model.json" for folder in chosen)]
    for folder, rows in chosen.items():
        if len(rows) < SUBJECTS.count(folder[7:]):
            files.append(f"{folder}/selection.safetensors")
            (tmp_path / folder).mkdir()
            save_file({"targets": np.array(rows)}, tmp_path / files[-1])
    config = {"encoder": {"name": "attention"}}
    return SimpleNamespace(config=config, files=files, path=lambda name: tmp_path / name)


@pytest.mark.parametrize(
    ("fold", "of_a", "of_b"),
    [(0, [0, 2, 5, 6], [1, 3]), (1, [0, 2, 5], [1, 4]), (None, [0, 2, 5, 6], [1, 3])],
)
def test_a_query_is_read_by_targets_of_every_subject(
    several: Any, fold: int | None, of_a: list[int], of_b: list[int]
) -> None:
    targets = facts_of(ROIS, subjects=SUBJECTS).targets
    found = parcels(several, targets, fold)
    assert {name: rows.tolist() for name, rows in found.items()} == {"lh.A": of_a, "lh.B": of_b}
    facts = facts_of(ROIS, subjects=SUBJECTS, parcels=found)
    raised = resolve(parse("parcel:lh.A"), facts).raised.numpy()
    assert raised[:3] == pytest.approx([0.25, 0, 0.25]), "half of it is the first subject's"
    assert np.flatnonzero(raised).tolist() == of_a


def _ridge(weights: np.ndarray) -> RidgeModule:
    count = len(weights)
    scaler = Scaler(np.zeros(count), np.ones(count))
    return RidgeModule({"layer": scaler}, {"layer": weights}, np.zeros(weights.shape[1]))


def test_clusters_of_several_subjects_are_made_by_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(5, 2)), rng.normal(size=(5, 2))
    part = Widened(_ridge(other), np.array([0, 2]), 3)
    encoder: Any = SimpleNamespace(
        readouts=[SideBySide([_ridge(one), part])], fitted=np.array([True] * 3 + [False, True])
    )
    artefact: Any = None
    found = profiles(encoder, artefact)
    assert found.dtype == np.float32
    wide = np.stack([*one.T, other[:, 0], np.zeros(5), other[:, 1]])
    np.testing.assert_allclose(found, wide, rtol=1e-6)

    predicted = rng.normal(size=(6, 5)).astype(np.float32)
    monkeypatch.setattr(guide, "test_predictions", lambda artefact: predicted)
    encoder.readouts = [SideBySide([_ridge(one), torch.nn.Identity()])]
    by_response = profiles(encoder, artefact)
    assert by_response.shape == (5, 6), "not every readout has weights"
    assert not by_response[3].any()


def test_a_fold_learned_from_its_own_training_pictures() -> None:
    rows = [(0, "train", 1), (0, "test", 2), (1, "train", 2), (1, "test", 1)]
    table = pd.DataFrame(rows, columns=["fold", "side", "image"])
    artefact: Any = SimpleNamespace(table=lambda name: table)
    assert guide.trained_on(artefact, 0) == {1}
    assert guide.trained_on(artefact, None) == {1, 2}
