from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neuroattn.captioning.gates import (
    confidence,
    evidence,
    evidence_of_nulls,
    gate,
    gate_nulls,
)
from neuroattn.captioning.registry import GateConfig, Measure, Scored
from neuroattn.core.errors import DataError

SCORES = pd.DataFrame(
    {
        "r": [0.5, 0.2, 0.3, -0.4, np.nan, 0.5],
        "r_squared": [0.25, 0.04, 0.09, 0.0, np.nan, 0.25],
        "nc": [0.5, 0.5, 0.02, 0.5, 0.5, 0.5],
        "p": [0.001, 0.04, 0.01, 0.9, np.nan, 0.2],
        "q": [0.004, 0.05, 0.02, 0.9, np.nan, 0.4],
    }
)


def test_a_target_passes_by_its_score_over_its_ceiling() -> None:
    found = gate(SCORES, GateConfig())
    assert found.passed.tolist() == [True, False, False, False, False, False]
    assert found.measure[0] == 0.5
    assert found.reason.tolist() == [
        "", "below the threshold", "no noise ceiling", "not predicted", "not fitted",
        "not significant",
    ]  # fmt: skip
    loose = gate(SCORES, GateConfig(threshold=0.05, q=1.0, min_ceiling=0.01))
    assert loose.passed.tolist() == [True, True, True, False, False, True]
    asked = gate(SCORES, GateConfig(), np.arange(6) > 0)
    assert not asked.passed.any()
    assert asked.reason[0] == "not asked for"


def test_targets_without_a_ceiling_have_a_remedy() -> None:
    with pytest.raises(DataError, match=r"caption\.gate\.measure=r_squared"):
        gate(SCORES.assign(nc=np.nan), GateConfig())
    plain = gate(SCORES.assign(nc=np.nan), GateConfig(measure=Measure.r_squared))
    assert plain.passed.tolist() == [True, False, False, False, False, False]


def test_training_images_decide_where_the_encoder_keeps_what_it_selected_by() -> None:
    known = SCORES.assign(r_selection=[-0.1, 0.4, 0.3, 0.5, 0.5, np.nan])
    found = gate(known, GateConfig())
    assert found.images is Scored.training
    assert found.passed.tolist() == [False, True, False, True, True, False], "whatever test says"
    assert found.measure[1] == pytest.approx(0.16 / 0.5)
    assert found.largest_p == 1, "q is of test images"
    test = gate(known, GateConfig(images=Scored.test))
    assert test.passed.tolist() == gate(SCORES, GateConfig()).passed.tolist()
    assert gate(SCORES, GateConfig()).images is Scored.test, "nothing else is known"


def test_null_targets_meet_the_same_rule() -> None:
    real = gate(SCORES, GateConfig())
    r, nc = np.array([0.5, 0.5, 0.1, -0.9]), np.full(4, 0.5)
    p = np.array([0.001, 0.2, 0.001, 0.001])
    assert gate_nulls(r, p, nc, real).tolist() == [True, False, False, False]


def test_a_null_target_that_is_not_predicted_is_not_let_through() -> None:
    loose = gate(SCORES, GateConfig(threshold=0.0, q=1.0))
    r = np.array([-0.4, 0.0, 0.2])
    found = gate_nulls(r, np.ones(3), np.full(3, 0.5), loose)
    real = gate(SCORES[:3].assign(r=r, r_squared=r.clip(0) ** 2, nc=0.5), loose.config)
    assert found.tolist() == real.passed.tolist() == [False, False, True]


def test_evidence_is_the_share_of_null_targets_that_are_predicted_less_well() -> None:
    nulls = np.array([0.0, 0.1, 0.2, 0.3])
    np.testing.assert_allclose(evidence(np.array([0.9, 0.15, -1.0]), nulls), [0.8, 0.4, 0.0])
    np.testing.assert_allclose(evidence_of_nulls(nulls), [0, 0.25, 0.5, 0.75])
    assert np.isnan(evidence(np.array([0.5]), np.zeros(0))).all()


def test_confidence_is_a_product_of_what_is_known() -> None:
    found = confidence(np.array([0.5, np.nan]), np.array([0.5, 2.0]), np.array([1.0, 0.3]))
    np.testing.assert_allclose(found, [0.25, 0.3])
