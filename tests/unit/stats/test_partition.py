"""Variance partitioning: the parts add up, and are those that were planted."""

from __future__ import annotations

import numpy as np

from neuroattn.stats.correlation import pearson
from neuroattn.stats.partition import partition


def test_the_parts_add_up_to_the_joint_model() -> None:
    first, second, joint = np.array([0.3, 0.5]), np.array([0.2, 0.1]), np.array([0.4, 0.45])
    found = partition(first, second, joint)
    np.testing.assert_allclose(found.first + found.second + found.shared, joint)
    np.testing.assert_allclose(found.first, [0.2, 0.35])
    np.testing.assert_allclose(found.second, [0.1, -0.05])


def test_planted_shares_come_back() -> None:
    """Response = a + b + c + noise, model A sees a and c, B sees b and c; 4 : 1 : 3 : 2 parts."""
    rng = np.random.default_rng(1)
    a, b, c, noise = np.sqrt([[4.0], [1.0], [3.0], [2.0]]) * rng.normal(size=(4, 200_000))
    response = a + b + c + noise
    explained = [pearson(guess, response) ** 2 for guess in (a + c, b + c, a + b + c)]
    found = partition(*explained)
    for part, planted in ((found.first, 0.4), (found.second, 0.1), (found.shared, 0.3)):
        np.testing.assert_allclose(part, planted, atol=0.01)
