"""Retrieval under the null and over simulations: p is uniform, intervals cover what they say."""

from __future__ import annotations

import time

import numpy as np
from scipy.stats import kstest

from neuroattn.stats.bootstrap import percentile_interval
from neuroattn.stats.retrieval import (
    BRAIN_FROM_IMAGE,
    DIRECTIONS,
    IMAGE_FROM_BRAIN,
    bootstrap,
    draws_of,
    hits,
    permutation_tests,
    rank_tables,
    ranks,
)


def test_p_is_uniform_when_nothing_is_decoded() -> None:
    rng = np.random.default_rng(0)
    tests = [
        permutation_tests([rng.normal(size=(24, 24)) for _ in range(2)], draws=99, seed=run)
        for run in range(150)
    ]
    for direction in DIRECTIONS:
        p = np.array([found[direction, "percentile"].p for found in tests])
        assert kstest(p, "uniform").pvalue > 0.01
        assert p.min() >= 0.01
        # Top-1 has steps, so its p may only be too large.
        assert np.mean([found[direction, "top1"].p <= 0.05 for found in tests]) < 0.09


def test_intervals_over_images_cover() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for run in range(200):
        hit = (rng.random(200) < 0.5).astype(float)
        low, high = percentile_interval(bootstrap([hit], [np.arange(200)], draws=300, seed=run))
        covered += int(low <= 0.5 <= high)
    assert 0.9 <= covered / 200 <= 0.99


def test_chance_of_three_hundred_ways() -> None:
    null = permutation_tests(
        [np.random.default_rng(2).normal(size=(300, 300))], draws=1000
    )[IMAGE_FROM_BRAIN, "top1"].null  # fmt: skip
    assert abs(null.mean() - 1 / 300) < 0.001
    assert np.quantile(null, 0.975) <= 0.0101


def test_a_thousand_permutations_and_thirty_draws_take_no_second_matrix() -> None:
    rng = np.random.default_rng(3)
    similarity = (rng.normal(size=(1000, 1000)) + 3 * np.eye(1000)).astype(np.float32)
    began = time.process_time()
    tested = permutation_tests([similarity])
    drawn = draws_of(similarity, ways=300)
    assert time.process_time() - began < 5
    assert tested[BRAIN_FROM_IMAGE, "top1"].p < 0.01
    assert drawn[IMAGE_FROM_BRAIN].shape == (30,)
    assert rank_tables(similarity)[IMAGE_FROM_BRAIN].dtype == np.int32


def test_a_mean_over_queries_is_what_is_resampled() -> None:
    found = ranks(np.diag([1.0, 1.0, -1.0, 1.0]))
    means = bootstrap([hits(found[IMAGE_FROM_BRAIN])], [np.arange(4)], draws=4000)
    assert abs(means.mean() - 0.75) < 0.02
