"""Tests err as often as they say: 500 simulated datasets with spatially correlated noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from neuroattn.stats.bootstrap import bootstrap_r, percentile_interval
from neuroattn.stats.permutation import permutation_test

DATASETS, IMAGES, TARGETS = 500, 100, 80
FOLD = np.repeat([0, 1], IMAGES // 2)


def simulated(seed: int, correlation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Predictions and responses whose targets are neighbours on a ring, with a planted r."""
    rng = np.random.default_rng(seed)

    def smooth() -> np.ndarray:  # type: ignore[type-arg]
        noise = gaussian_filter1d(rng.normal(size=(IMAGES, TARGETS)), 3, axis=1, mode="wrap")
        return noise / noise.std()

    predicted, noise = smooth(), smooth()
    return predicted, correlation * predicted + np.sqrt(1 - correlation**2) * noise


@pytest.mark.slow
def test_false_positives_and_false_discoveries_are_at_their_level() -> None:
    null = np.zeros(TARGETS)
    half = np.where(np.arange(TARGETS) < TARGETS // 2, 0.5, 0.0)
    single, family, discoveries = [], [], []
    for seed in range(DATASETS):
        found = permutation_test(*simulated(seed, null), FOLD, draws=199, seed=seed)
        single.append((found.p <= 0.05).mean())
        family.append(bool((found.p_max <= 0.05).any()))
        mixed = permutation_test(*simulated(seed, half), FOLD, draws=199, seed=seed)
        rejected = mixed.q <= 0.05
        discoveries.append(rejected[TARGETS // 2 :].sum() / max(1, rejected.sum()))
    print(
        f"single {np.mean(single):.4f} family {np.mean(family):.4f} fdr {np.mean(discoveries):.4f}"
    )
    assert np.mean(single) == pytest.approx(0.05, abs=0.01)
    assert np.mean(family) == pytest.approx(0.05, abs=0.025)
    assert np.mean(discoveries) <= 0.06


@pytest.mark.slow
def test_intervals_cover_the_planted_correlation() -> None:
    truth = np.full(TARGETS, 0.4)
    covered = []
    for seed in range(DATASETS):
        ((_, r),) = list(bootstrap_r(*simulated(seed, truth), FOLD, draws=400, seed=seed))
        low, high = percentile_interval(r)
        covered.append(((low <= truth) & (truth <= high)).mean())
    print(f"coverage {np.mean(covered):.4f}")
    assert 0.93 <= np.mean(covered) <= 0.97
