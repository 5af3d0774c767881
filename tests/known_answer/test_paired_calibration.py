"""The paired test errs as often as it says: two models with a common part, 500 datasets."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from neuroattn.stats.bootstrap import bootstrap_r, percentile_interval
from neuroattn.stats.multiple import benjamini_hochberg
from neuroattn.stats.paired import exchange_models, two_sided

DATASETS, IMAGES, TARGETS = 500, 100, 80
FOLD = np.repeat([0, 1], IMAGES // 2)
NULL = np.zeros(TARGETS)

Floats = NDArray[np.float64]


def simulated(seed: int, better: Floats) -> tuple[Floats, Floats, Floats]:
    """Two predictions that share half of their variance, of one accuracy where ``better`` is 0.

    Both correlate 0.5 with the response; ``better`` (targets,) is what the first has on top. The
    second is on another scale, and noise is shared by neighbouring targets.
    """
    rng = np.random.default_rng(seed)

    def smooth() -> Floats:
        noise = gaussian_filter1d(rng.normal(size=(IMAGES, TARGETS)), 3, axis=1, mode="wrap")
        return np.asarray(noise / noise.std())

    common, own, other, rest = (smooth() for _ in range(4))
    first, second = (common + own) / np.sqrt(2), (common + other) / np.sqrt(2)
    # Weights of both models in the response: with correlation 1/2 between them, w1 + w2 / 2 is r1.
    r1, r2 = 0.5 + better, np.full(TARGETS, 0.5)
    w1, w2 = (r1 - r2 / 2) / 0.75, (r2 - r1 / 2) / 0.75
    explained = w1 * r1 + w2 * r2
    return first, 5 * second + 2, w1 * first + w2 * second + np.sqrt(1 - explained) * rest


def outcome(seed: int, better: Floats, draws: int) -> tuple[Floats, Floats, Floats]:
    """Difference, p of each target, and of their mean."""
    (block,) = exchange_models(*simulated(seed, better), FOLD, draws=draws, seed=seed)
    mean = two_sided(block.observed.mean(keepdims=True), block.null.mean(1, keepdims=True))
    return block.observed, block.p, mean


def test_at_few_datasets_it_is_near_its_level_and_finds_what_is_there() -> None:
    rates = [(outcome(seed, NULL, 99)[1] <= 0.05).mean() for seed in range(12)]
    assert np.mean(rates) < 0.09
    found = [(outcome(seed, NULL + 0.25, 99)[1] <= 0.05).mean() for seed in range(4)]
    assert np.mean(found) > 0.5


@pytest.mark.slow
def test_false_positives_and_false_discoveries_are_at_their_level() -> None:
    half = np.where(np.arange(TARGETS) < TARGETS // 2, 0.25, 0.0)
    single, regions, discoveries = [], [], []
    for seed in range(DATASETS):
        _, p, mean = outcome(seed, NULL, 199)
        single.append((p <= 0.05).mean())
        regions.append(float(mean[0] <= 0.05))
        rejected = benjamini_hochberg(outcome(seed, half, 199)[1]) <= 0.05
        discoveries.append(rejected[TARGETS // 2 :].sum() / max(1, rejected.sum()))
    print(
        f"single {np.mean(single):.4f} mean {np.mean(regions):.4f} fdr {np.mean(discoveries):.4f}"
    )
    assert np.mean(single) == pytest.approx(0.05, abs=0.01)
    assert np.mean(regions) == pytest.approx(0.05, abs=0.025)
    assert np.mean(discoveries) <= 0.06


@pytest.mark.slow
def test_intervals_of_the_difference_cover_it() -> None:
    truth, covered = np.full(TARGETS, 0.15), []
    for seed in range(DATASETS):
        first, second, measured = simulated(seed, truth)
        ((_, a),), ((_, b),) = (
            list(bootstrap_r(each, measured, FOLD, draws=400, seed=seed))
            for each in (first, second)
        )
        low, high = percentile_interval(a - b)
        covered.append(((low <= truth) & (truth <= high)).mean())
    print(f"coverage {np.mean(covered):.4f}")
    assert 0.93 <= np.mean(covered) <= 0.97
