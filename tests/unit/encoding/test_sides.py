"""One session alone: its images, and of their trials none but its own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import ConfigError
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ResponsesMode
from neuroattn.data.splits import Fold
from neuroattn.encoding.sides import images_of, training_rows, units_of

from .conftest import TARGETS, trials_of, write_prepared


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    """Image 10 is shown in sessions 1 and 2, 11 in 2 alone, 12 in 1 twice and in 2."""
    trials = trials_of(np.array([2, 1, 3])).assign(session=[1, 2, 2, 1, 1, 2])
    responses = np.arange(6.0, dtype=np.float32)[:, None] + np.zeros(TARGETS, np.float32)
    return Prepared(write_prepared(tmp_path, trials, responses))


@pytest.mark.parametrize(
    ("mode", "rows", "means"),
    [
        (ResponsesMode.mean, [10, 12], [0, 3.5]),
        (ResponsesMode.single, [10, 12, 12], [0, 3, 4]),
        (ResponsesMode.weighted, [10, 12, 12], [0, 3.5, 3.5]),
    ],
)
def test_trials_of_other_sessions_do_not_count(
    prepared: Prepared, mode: ResponsesMode, rows: list[int], means: list[float]
) -> None:
    (unit,) = units_of(prepared)
    fold = Fold(0, "f", np.array([10, 11, 12]), np.array([13]))
    images, test = images_of(fold, unit, None, 0, [1])
    assert images.tolist() == [10, 12]
    assert test.tolist() == [13]
    found, table = training_rows(prepared, images, mode, sessions=[1])
    assert found.tolist() == rows
    np.testing.assert_allclose(table[:, 0], means)
    _, whole = training_rows(prepared, images, mode)
    assert not np.array_equal(whole[: len(table)], table)


def test_a_session_without_training_images_is_refused(prepared: Prepared) -> None:
    (unit,) = units_of(prepared)
    fold = Fold(0, "f", np.array([11]), np.array([12]))
    with pytest.raises(ConfigError, match="no training image"):
        images_of(fold, unit, None, 0, [1])
