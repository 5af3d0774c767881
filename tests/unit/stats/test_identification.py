"""Two-way identification and n-way semantic accuracy."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.stats.identification import n_way, two_way


def test_equal_features_are_always_identified_and_independent_ones_at_chance() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(60, 40))
    assert two_way(true, true).accuracy == 1
    assert two_way(true, 3 * true + 2).accuracy == 1
    assert two_way(true, rng.normal(size=true.shape)).accuracy == pytest.approx(0.5, abs=0.1)


def test_a_constant_reconstruction_is_flagged_and_not_scored() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(10, 8))
    made = true.copy()
    made[3] = 0.4
    found = two_way(true, made)
    assert found.undefined == 1
    assert np.isnan(found.share[3])
    assert np.isnan(found.accuracy)


def test_one_reconstruction_for_all_is_not_identified() -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(30, 8))
    made = np.tile(true.mean(0), (30, 1))
    assert two_way(true, made).accuracy == pytest.approx(0.5, abs=0.02)
    with pytest.raises(ValueError, match="pair"):
        two_way(true, made[:5])


def test_a_reconstruction_competes_with_other_true_images() -> None:
    # made[1] is a copy of true[0] too: reconstruction 0 wins, reconstruction 1 loses to image 0.
    true = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0.1], [0, 0, 1.0, 0.3]])
    made = np.array([[1.0, 0, 0, 0], [1.0, 0.2, 0, 0], [0, 0, 1.0, 0.3]])
    assert two_way(true, made).share.tolist() == [1, 0.5, 1]


def test_n_way_has_its_chance_its_ceiling_and_its_seed() -> None:
    rng = np.random.default_rng(0)
    true, made = rng.random((400, 100)), rng.random((400, 100))
    assert n_way(true, made, ways=10, k=3).mean() == pytest.approx(0.3, abs=0.04)
    assert n_way(true, true, ways=50).mean() == 1
    assert n_way(true, np.ones_like(made), ways=50).mean() == 0
    drawn = n_way(true, made, ways=10, trials=300)
    np.testing.assert_array_equal(drawn, n_way(true, made, ways=10, trials=300))
    np.testing.assert_allclose(drawn, n_way(true, made, ways=10), atol=0.13)
    assert drawn.mean() == pytest.approx(n_way(true, made, ways=10).mean(), abs=0.01)
    with pytest.raises(ValueError, match="ways"):
        n_way(true, made, ways=101)
    with pytest.raises(ValueError, match="not numbers"):
        n_way(true, np.full_like(made, np.nan))
