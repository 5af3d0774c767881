"""Weights as colours: alike targets, alike colours; one palette for all subjects."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.captioning.colours import concept_map, palette
from neuroattn.core.errors import DataError


def _clusters(seed: int, each: int = 20) -> np.ndarray:
    middles = np.random.default_rng(0).normal(size=(4, 16))
    rng = np.random.default_rng(seed)
    return np.concatenate([row + 0.1 * rng.normal(size=(each, 16)) for row in middles])


def test_alike_weights_have_alike_colours_in_all_subjects() -> None:
    first, second = _clusters(1), _clusters(2)
    fitted = palette([first, second])
    left, right = fitted.paint(first), fitted.paint(second)
    assert ((left >= 0) & (left <= 1)).all()
    means = left.reshape(4, 20, 3).mean(axis=1)
    others = right.reshape(4, 20, 3).mean(axis=1)
    between = np.linalg.norm(means[:, None] - others[None], axis=2)
    assert (between.argmin(axis=1) == np.arange(4)).all()
    assert between.diagonal().max() < 0.5 * between[~np.eye(4, dtype=bool)].min()


def test_subjects_have_the_same_say_whatever_their_size() -> None:
    few, many = _clusters(1)[:20], _clusters(2, 400)[400:800]
    both = palette([few, many]).middle
    unit = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (few, many)]
    np.testing.assert_allclose(both, np.mean([each.mean(axis=0) for each in unit], axis=0))


def test_length_does_not_matter_and_nothing_has_no_colour() -> None:
    weights = _clusters(3)
    fitted = palette([weights])
    np.testing.assert_allclose(fitted.paint(weights), fitted.paint(7 * weights), atol=1e-9)
    weights[0], weights[1] = 0, np.nan
    assert np.isnan(fitted.paint(weights)[:2]).all()
    assert np.isfinite(fitted.paint(weights)[2:]).all()


def test_weights_of_two_spaces_are_refused() -> None:
    with pytest.raises(DataError, match="together"):
        palette([np.ones((8, 3)), np.ones((8, 4))])
    with pytest.raises(DataError, match="together"):
        palette([])


def test_a_concept_map_is_a_cosine() -> None:
    found = concept_map(np.array([[3.0, 4.0], [0.0, 0.0]]), np.array([2.0, 0.0]))
    assert found[0] == pytest.approx(0.6)
    assert np.isnan(found[1])
