from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroattn.generators.exemplars import exemplar_scores, exemplars
from neuroattn.generators.scenes import SceneSet

DIM = 16
KINDS = np.array([["cat", ""], ["cat", ""], ["cat", ""], ["", "bus"], ["", "bus"], ["cat", "bus"]])
GROUPS = np.array([0, 0, 1, 0, 0, 0])


def _scenes() -> SceneSet:
    count = len(KINDS)
    return SceneSet(
        ids=np.arange(count), pixels=np.zeros((count, 1, 1, 3), dtype=np.uint8),
        presence=(KINDS != "").astype(np.uint8), attributes=np.zeros((count, 2, 1), np.float32),
        place=np.zeros(count, dtype=np.int64), kinds=KINDS, captions=np.full((count, 1), ""),
        group=GROUPS, folder=Path(), layout="near",
    )  # fmt: skip


def _vectors(noise: float = 0.0) -> np.ndarray:
    """Each exemplar has an axis of its own; the last scene, with two things, stands apart."""
    rows = np.eye(DIM)[[0, 0, 1, 2, 2, 5]]
    return rows + noise * np.random.default_rng(0).standard_normal(rows.shape)


def test_an_exemplar_is_a_kind_of_one_source_shown_alone() -> None:
    known = exemplars(_scenes(), _vectors(0.01))
    assert sorted(known.kinds) == ["bus", "cat", "cat"]
    unit = known.directions / np.linalg.norm(known.directions, axis=1, keepdims=True)
    assert np.allclose(unit @ unit.T, np.eye(3), atol=0.1)
    assert abs(unit[:, 5]).max() < 0.05, "scenes with two things have no say"


def test_copies_have_distance_0_and_kinds_are_counted() -> None:
    known = exemplars(_scenes(), _vectors())
    asked = np.array([["cat", ""], ["cat", ""], ["", "bus"], ["cat", ""]])
    shown = np.eye(DIM)[[0, 1, 2, 2]]
    assert exemplar_scores(shown, asked, known) == {"exemplar.distance": 0, "exemplar.kind": 0.75}
    far = exemplar_scores(3 * (shown + np.eye(DIM)[9]), asked, known)
    assert far["exemplar.distance"] == pytest.approx(1 - np.sqrt(0.5))


def test_scenes_of_several_things_alone_have_no_exemplars() -> None:
    scenes = _scenes()
    with pytest.raises(ValueError, match="one thing"):
        exemplars(replace(scenes, presence=np.ones_like(scenes.presence)), _vectors())
