"""Paired differences of retrieval: what each query is worth, and what the interval covers."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats.retrieval import NOT_PAIRED, bootstrap, expected_accuracy
from neuroattn.stats.retrieval_paired import Statistic, paired_difference


def test_each_query_is_worth_its_share_of_galleries() -> None:
    rank = np.array([0, 1, 4, NOT_PAIRED])
    assert Statistic(2).of(rank, 4)[:3].tolist() == [1, 1, 0]
    # Of two images the rival is one of four, of which `rank` win.
    np.testing.assert_allclose(Statistic(ways=2).of(rank, 4), [1, 0.75, 0, np.nan])
    mean = np.nanmean(Statistic(ways=3).of(rank, 4))
    assert mean == pytest.approx(expected_accuracy(rank, 4, 3))
    assert [Statistic(5).name, Statistic(ways=300).name] == ["top 5", "300-way"]


def test_what_is_common_to_both_falls_out() -> None:
    random = np.random.default_rng(0)
    easy = (random.random(200) < 0.5).astype(float)
    better = easy.copy()
    better[np.flatnonzero(easy == 0)[:12]] = 1.0
    images = {"a": np.arange(200)}
    found = paired_difference({"a": better}, {"a": easy}, images)
    assert found.difference == pytest.approx(0.06)
    assert 0 < found.low < 0.06 < found.high
    alone = np.quantile(bootstrap([better], [images["a"]]), [0.025, 0.975])
    assert alone[1] - alone[0] > 1.5 * (found.high - found.low)


def test_subjects_are_drawn_after_images() -> None:
    ones, zeros = np.ones(50), np.zeros(50)
    images = {"a": np.arange(50), "b": np.arange(50)}
    found = paired_difference({"a": ones, "b": zeros}, {"a": zeros, "b": zeros}, images)
    assert (found.low, found.difference, found.high, found.subjects) == (0.0, 0.5, 1.0, 2)


def test_queries_have_to_pair() -> None:
    images = {"a": np.arange(3)}
    with pytest.raises(ValueError, match="subjects"):
        paired_difference({"a": np.ones(3)}, {"b": np.ones(3)}, images)
    with pytest.raises(ValueError, match="other numbers of queries"):
        paired_difference({"a": np.ones(3)}, {"a": np.ones(2)}, images)
