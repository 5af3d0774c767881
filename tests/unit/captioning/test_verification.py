"""The sentence-level score: what it is, and that true captions part from dealt ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from neuroattn.captioning.verification import (
    _others,
    alignment,
    image_text,
    top_targets,
    verify,
)
from neuroattn.core.errors import DataError

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(80, 12))
TARGETS = RNG.normal(size=(60, 12))
RESPONSES = IMAGES @ TARGETS.T + 12 * RNG.normal(size=(80, 60))


def test_the_score_is_spearmans_over_images() -> None:
    found = alignment(TARGETS, IMAGES, np.exp(RESPONSES / 9))  # ranks know no scale
    expected = [
        spearmanr(IMAGES @ (row / np.linalg.norm(row)), RESPONSES[:, n]).statistic
        for n, row in enumerate(TARGETS)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_true_captions_part_from_dealt_ones() -> None:
    found = verify("sentence", TARGETS, IMAGES, RESPONSES, deals=10, draws=200)
    table = found.table.set_index("captions")
    assert table.loc["true", "low"] > table.loc["shuffled", "high"]
    assert table.loc["difference", "low"] > 0.1
    assert abs(table.loc["shuffled", "value"]) < 0.05
    assert found.p == pytest.approx(1 / 11)


def test_captions_that_know_nothing_do_not_part() -> None:
    found = verify("sentence", TARGETS[::-1], IMAGES, RESPONSES, deals=10, draws=200)
    table = found.table.set_index("captions")
    assert table.loc["difference", "low"] < 0 < table.loc["difference", "high"]
    assert found.p > 1 / 11


def test_one_caption_for_all_scores_no_better_than_dealt() -> None:
    same = np.repeat(TARGETS[:1], len(TARGETS), axis=0)
    table = verify("sentence", same, IMAGES, RESPONSES, deals=3, draws=50).table
    assert table.set_index("captions").loc["difference", "value"] == pytest.approx(0, abs=1e-12)


def test_targets_are_chosen_by_training_data() -> None:
    assert top_targets(np.array([0.1, np.nan, 0.5, 0.3]), 2).tolist() == [2, 3]


def test_what_is_told_of_an_image_is_the_mean_of_its_captions() -> None:
    found = image_text([np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([[0.0, 1.0]])])
    np.testing.assert_allclose(found, [[0.5, 0.5], [0, 1]])


@pytest.mark.parametrize(
    ("targets", "images", "responses"),
    [
        (TARGETS[:, :5], IMAGES, RESPONSES),
        (TARGETS, IMAGES, RESPONSES[:, :3]),
        (TARGETS[:1], IMAGES, RESPONSES[:, :1]),
        (TARGETS, IMAGES[:2], RESPONSES[:2]),
        (np.full_like(TARGETS, np.nan), IMAGES, RESPONSES),
    ],
)
def test_what_does_not_fit_is_refused(
    targets: np.ndarray, images: np.ndarray, responses: np.ndarray
) -> None:
    with pytest.raises(DataError, match="verified"):
        verify("sentence", targets, images, responses)


def test_dealt_captions_are_never_ones_own() -> None:
    orders = [_others(7, seed=0, deal=deal) for deal in range(20)]
    assert all((order != np.arange(7)).all() for order in orders)
    assert all(sorted(order) == list(range(7)) for order in orders)
    assert len({tuple(order) for order in orders}) > 15
