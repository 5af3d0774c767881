"""Overlap of test and training images."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats.overlap import labels_seen, train_test_overlap


def test_copies_are_found_and_blocks_change_nothing() -> None:
    rng = np.random.default_rng(0)
    train = rng.normal(size=(50, 16))
    test = np.vstack([train[[7, 11]], rng.normal(size=(20, 16))])
    found = train_test_overlap(test, train, block=7)
    assert found.index[:2].tolist() == [7, 11]
    np.testing.assert_allclose(found.nearest[:2], 1, atol=1e-6)
    assert found.among_training.max() < 0.99
    assert set(found.thirds()[:2]) == {2}
    whole = train_test_overlap(test, train)
    np.testing.assert_allclose(whole.nearest, found.nearest, atol=1e-6)
    with pytest.raises(ValueError, match="embeddings"):
        train_test_overlap(test, train[:, :5])


def test_alike_sides_are_as_near_as_training_images_are() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(600, 8))
    assert train_test_overlap(values[:300], values[300:]).share_as_near == pytest.approx(
        0.5, abs=0.1
    )


def test_sets_of_kinds_that_training_had() -> None:
    assert labels_seen([["a", "b"], ["c"]], [["b", "a"], ["a"]]) == 0.5
