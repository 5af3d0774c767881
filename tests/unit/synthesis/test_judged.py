"""A judge says what the guide was asked for, of targets that it predicts itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.synthesis.guide import Source
from neuroattn.synthesis.judged import Opinion
from neuroattn.synthesis.objectives import Facts, Objective
from neuroattn.synthesis.wishes import parse
from tests.unit.synthesis.conftest import facts_of

ROIS = ["A", "A", "A", "A", "B", "B"]
SUBJECTS = ["s1", "s1", "s1", "s2", "s1", "s2"]


def judged(text: str, guide: Facts, judge: Facts) -> Objective:
    nothing: Any = None
    wishes = [parse(text)]
    first = Opinion.of([Source(nothing, nothing, guide)], wishes)
    found = Opinion.like(Source(nothing, nothing, judge), first, wishes)
    return found.objectives[0][0]


def facts(fitted: list[int], **given: Any) -> Facts:
    member = [row in fitted for row in range(len(ROIS))]
    return facts_of(ROIS, subjects=SUBJECTS, fitted=member, **given)


def test_targets_that_the_judge_was_not_fitted_to_do_not_dilute_it() -> None:
    found = judged("A - B", facts([0, 1, 2, 3, 4]), facts([0, 1, 3, 4, 5]))
    # Of A two of the first subject's are left; the guide has no other target of B than one.
    assert found.raised.tolist() == pytest.approx([0.25, 0.25, 0, 0.5, -1, 0])
    strong = torch.tensor([[2.0, 2.0, 0.0, 2.0, 0.0, 0.0]])
    assert found(strong).tolist() == [2], "the mean of what answers 2"
    lost = judged("A", facts([0, 1, 2, 3]), facts([0, 1, 2]))
    assert lost.raised.tolist() == pytest.approx([1 / 3] * 3 + [0] * 3), "a subject fewer"


def test_a_judge_of_the_same_targets_has_the_weights_of_the_guide() -> None:
    found = judged("A - B", facts(list(range(6))), facts(list(range(6))))
    assert found.raised.tolist() == pytest.approx([1 / 6] * 3 + [0.5] + [-0.5] * 2)


def test_clusters_and_directions_are_the_guides(tmp_path: Path) -> None:
    far = np.array([[1, 0], [0, 1], [1, 0], [1, 0], [0, 0], [0, 0]], np.float32)
    other = facts([0, 1, 3], profiles=far[:, ::-1].copy())
    found = judged("cluster:1/2@A", facts([0, 1, 2, 3], profiles=far), other)
    assert found.raised.tolist() == pytest.approx([0.5, 0, 0, 0.5, 0, 0])
    np.save(tmp_path / "d.npy", np.array([3.0, -1.0, 4.0, 0, 0, 0]))
    given: Any = {"directions": {"odd": tmp_path / "d.npy"}}
    found = judged("direction:odd", facts([0, 1, 2], **given), facts([0, 1], **given))
    assert found.raised.tolist() == pytest.approx([0.75, -0.25, 0, 0, 0, 0])


def test_what_is_usual_is_the_judges_own() -> None:
    guide = facts([0, 1, 2, 3, 4, 5], predicted=np.full((2, 6), 9, np.float32))
    judge = facts([0, 1, 2, 3, 4], predicted=np.full((2, 6), 3, np.float32))
    found = judged("A and not B", guide, judge)
    assert found.spared.tolist() == [[0, 0, 0, 0, 1, 0]]
    assert found.usual.tolist() == [3]


def test_a_judge_of_none_of_the_targets_is_refused() -> None:
    with pytest.raises(ConfigError, match="no target of this objective was fitted"):
        judged("B", facts([0, 4, 5]), facts([0, 1]))
