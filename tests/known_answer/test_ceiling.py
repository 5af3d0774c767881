"""Noise ceilings against planted truth, against published figures, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.encoding.evaluate import FoldResult, metrics, score_table
from neuroattn.stats.ceiling import (
    Repeats,
    mean_inverse_repeats,
    noise_ceiling,
    over_ceiling,
    repeats_of,
    split_half_ncsnr,
)
from neuroattn.stats.correlation import pearson, r_squared

Array = np.ndarray[Any, Any]
PLANTED = np.repeat([0.0, 0.2, 0.4, 0.8], 250)  # ncsnr of 1,000 targets


def simulate(repeats: Array, ncsnr: Array, seed: int, offset: float = 0.0) -> tuple[Array, Array]:
    """Signal (images, targets) and trials (trials, targets) with a noise variance of 1."""
    random = np.random.default_rng(seed)
    signal = random.normal(size=(len(repeats), len(ncsnr))) * ncsnr
    trials = np.repeat(signal, repeats, axis=0)
    return signal, trials + random.normal(size=trials.shape) + offset


def sums(trials: Array, repeats: Array) -> tuple[Array, Array, Array]:
    starts = np.cumsum(repeats) - repeats
    return (
        repeats,
        np.add.reduceat(trials, starts, axis=0),
        np.add.reduceat(np.square(trials), starts, axis=0),
    )


def estimate(trials: Array, repeats: Array) -> Repeats:
    return repeats_of([sums(trials, repeats)], trials.shape[1])


@pytest.mark.parametrize(
    ("repeats", "spreads", "silent"),
    [
        (np.full(500, 3), (0.08, 0.06, 0.035), 0.04),
        (np.full(2000, 3), (0.045, 0.03, 0.018), 0.02),
        (np.tile([1, 2, 3, 3], 150), (0.1, 0.085, 0.04), 0.055),
    ],
    ids=["500 images three times", "2,000 three times", "600 one to three times"],
)
def test_planted_ncsnr_is_recovered(
    repeats: Array, spreads: tuple[float, ...], silent: float
) -> None:
    """Bias and spread of the ceiling at k = 1/3, 250 targets for each planted ncsnr.

    Measured over three seeds, truth .107, .324 and .658. The mean is off by .009 at most.
    Standard deviations over targets: .061-.068, .045-.053 and .026-.028 for 500 images three
    times, .034-.036, .024-.025 and .012-.014 for 2,000, .081-.090, .069-.076 and .030-.032 for
    600 images one to three times. Where there is no signal the mean is .023-.031, .015-.017 and
    .040-.044: half of the estimates are above 0, and the others are cut off there.
    """
    _, trials = simulate(repeats, PLANTED, seed=0)
    found = noise_ceiling(estimate(trials, repeats).ncsnr(), 1 / 3)
    truth = noise_ceiling(PLANTED, 1 / 3)
    for ncsnr, spread in zip((0.2, 0.4, 0.8), spreads, strict=True):
        rows = ncsnr == PLANTED
        assert abs(found[rows].mean() - truth[rows][0]) < 0.012
        assert found[rows].std() < spread
    nothing = found[PLANTED == 0]
    assert 0.4 < (nothing == 0).mean() < 0.6
    assert nothing.mean() < silent


def test_signal_variance_is_unbiased_for_mixed_repeats() -> None:
    repeats = np.array([1, 3, 2, 3, 1, 3] * 4)
    found = []
    for seed in range(40):
        _, trials = simulate(repeats, np.full(100, 1.0), seed, offset=3.0)
        sums_ = estimate(trials, repeats)
        noise, counts = sums_.noise_variance(), repeats.sum()
        about = np.square(trials - trials.mean(0)).sum(0)
        share = counts - np.square(repeats).sum() / counts
        found.append((about - (counts - 1) * noise) / share)  # before it is cut at 0
        np.testing.assert_allclose(sums_.signal_variance(), np.maximum(found[-1], 0), rtol=1e-9)
    error = np.std(found) / np.sqrt(np.size(found))
    assert abs(np.mean(found) - 1.0) < 4 * error


def test_published_definition_takes_the_total_variance_as_one() -> None:
    repeats = np.full(2000, 3)
    _, trials = simulate(repeats, np.full(50, 0.5), seed=1)
    z = (trials - trials.mean(0)) / trials.std(0)
    found = estimate(z, repeats)
    by_hand = np.sqrt((1 - found.noise_variance()) / found.noise_variance())
    np.testing.assert_allclose(found.ncsnr(total=1.0), by_hand, rtol=1e-12)
    np.testing.assert_allclose(found.ncsnr(), by_hand, rtol=0.01)
    doubled = estimate(2 * z, repeats)  # a scale on which 1 - N is no variance of a signal
    assert (doubled.ncsnr(total=1.0) == 0).all()
    np.testing.assert_allclose(doubled.ncsnr(), found.ncsnr(), rtol=1e-9)


def test_noise_variance_by_hand() -> None:
    repeats = np.array([3, 2, 1])
    trials = np.array([[1.0], [2.0], [6.0], [4.0], [8.0], [100.0]])
    found = estimate(trials, repeats)
    assert found.noise_variance() == pytest.approx((7 + 8) / 2)  # variances over n - 1
    assert found.k == pytest.approx((1 / 3 + 1 / 2 + 1) / 3)


def test_blocks_of_images_add_up() -> None:
    repeats = np.tile([1, 2, 3], 20)
    _, trials = simulate(repeats, np.full(7, 0.5), seed=2)
    counts, totals, squares = sums(trials, repeats)
    parts = [(counts[s], totals[s], squares[s]) for s in (slice(0, 11), slice(11, 60))]
    whole, halves = estimate(trials, repeats), repeats_of(parts, 7)
    np.testing.assert_allclose(halves.ncsnr(), whole.ncsnr(), rtol=1e-9)
    assert halves.k == pytest.approx(whole.k)


@pytest.mark.parametrize(("three", "two", "one"), [(515, 0, 0), (515, 251, 141), (0, 0, 5)])
def test_k_of_mixed_repeats_by_hand(three: int, two: int, one: int) -> None:
    repeats = np.repeat([3, 2, 1], [three, two, one])
    expected = (three / 3 + two / 2 + one) / (three + two + one)
    assert mean_inverse_repeats(repeats) == pytest.approx(expected)
    assert noise_ceiling(np.array([1.0]), expected)[0] == pytest.approx(1 / (1 + expected))


@pytest.mark.parametrize(
    ("images", "capped", "uncapped"),
    [
        (159, (0.78, 0.84, 0.92, 0.97), (1.11, 1.05, 1.01, 1.00)),
        (515, (0.87, 0.91, 0.96, 0.98), (1.03, 1.02, 1.00, 1.00)),
    ],
)
def test_a_perfect_model_scores_what_is_known(
    images: int, capped: tuple[float, ...], uncapped: tuple[float, ...]
) -> None:
    """Capping at 1 punishes a perfect model; 2,000 targets for each ceiling.

    The uncapped figures for 515 images follow from 1 + (1 - nc)^2 / (n nc).
    """
    for nc, low, high in zip((0.05, 0.1, 0.3, 0.6), capped, uncapped, strict=True):
        ceiling = np.full(2000, nc)
        signal, trials = simulate(np.full(images, 3), np.sqrt(ceiling / (1 - ceiling) / 3), seed=3)
        measured = trials.reshape(images, 3, -1).mean(1)
        explained = r_squared(pearson(signal, measured))
        for cap, expected in ((True, low), (False, high)):
            score = over_ceiling(explained, ceiling, 0.01, capped=cap)
            error = score.std() / np.sqrt(len(score))
            assert abs(score.mean() - expected) < 0.006 + 3 * error  # they have two digits


def test_shuffled_images_score_nothing() -> None:
    signal, trials = simulate(np.full(515, 3), np.full(1000, 0.6), seed=4)
    measured = trials.reshape(515, 3, -1).mean(1)
    r = pearson(signal[np.random.default_rng(5).permutation(515)], measured)
    error = 1 / np.sqrt(515)
    assert r.std() == pytest.approx(error, rel=0.1)
    assert abs(r.mean()) < 4 * error / np.sqrt(1000)
    share = over_ceiling(r_squared(r), noise_ceiling(np.full(1000, 0.6), 1 / 3), 0.05)
    assert share.mean() < 1.2 * 0.5 * error**2 / 0.5192  # half of chance r squared is cut off


def test_shuffled_repeats_have_no_ceiling() -> None:
    repeats = np.full(600, 3)
    _, trials = simulate(repeats, np.full(400, 0.8), seed=6)
    shuffled = trials[np.random.default_rng(7).permutation(len(trials))]
    nc = noise_ceiling(estimate(shuffled, repeats).ncsnr(), 1 / 3)
    assert nc.mean() < 0.03
    assert 0.4 < (nc == 0).mean() < 0.7


def test_a_target_without_a_ceiling_never_counts() -> None:
    explained = np.array([0.3, 0.3, 0.3, 0.3])
    ceiling = np.array([0.6, 0.0, np.nan, 0.04])
    for capped in (True, False):
        score = over_ceiling(explained, ceiling, 0.05, capped=capped)
        np.testing.assert_array_equal(score, [0.5, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(
        np.isnan(over_ceiling(explained, ceiling, 0.0)), [False, True, True, False]
    )


def test_a_target_without_a_ceiling_never_counts_in_the_scores() -> None:
    random = np.random.default_rng(8)
    measured = random.normal(size=(50, 3)).astype(np.float32)
    predicted = (measured + random.normal(size=(50, 3))).astype(np.float32)
    ceiling = np.array([0.9, 0.0, 0.03])
    fold = FoldResult(0, np.arange(5), np.arange(50), predicted, measured, {}, ceiling)
    table = pd.DataFrame({"target": range(3), "rois": ["V1", "V1", "V2"], "hemisphere": "lh"})
    scores = score_table(table, [fold], threshold=0.05)
    np.testing.assert_allclose(scores["nc"], ceiling)
    assert scores["r_squared_over_nc"].isna().tolist() == [False, True, True]
    assert scores["n_images"].tolist() == [50, 50, 50]
    found = metrics(scores)
    assert found["test.r_squared_over_nc"] == pytest.approx(scores["r_squared"][0] / 0.9)
    assert found["test.targets_over_nc"] == 1
    assert found["roi.V1.r_squared_over_nc"] == pytest.approx(scores["r_squared"][0] / 0.9)
    assert "roi.V2.r_squared_over_nc" not in found


def test_z_scores_of_a_dead_target_have_no_ceiling() -> None:
    """They are zeros, and no part of the variance that z-scores have by definition is signal."""
    counts = np.full(50, 3)
    zeros = np.zeros((50, 1))
    found = repeats_of([(counts, zeros, zeros)], 1)
    assert np.isnan(found.ncsnr()).all()
    assert np.isnan(found.ncsnr(total=1.0)).all()
    assert np.isnan(noise_ceiling(found.ncsnr(total=1.0), found.k)).all()


def test_constant_targets_and_missing_repeats_have_no_ceiling() -> None:
    repeats = np.full(10, 3)
    trials = np.column_stack([np.full(30, 0.1), np.repeat(np.arange(10.0), 3)])
    found = estimate(trials, repeats)
    assert np.isnan(found.ncsnr()[0])
    assert noise_ceiling(found.ncsnr(), 1 / 3)[1] == 1.0  # repeats agree exactly
    once = estimate(trials, np.ones(30, dtype=int))
    assert np.isnan(once.ncsnr()).all()


@pytest.mark.parametrize("halves", [1, 2])
def test_split_half_is_the_spearman_brown_correction(halves: int) -> None:
    repeats = np.full(4000, 2 * halves)
    _, trials = simulate(repeats, np.full(60, 0.7), seed=9)
    by_image = trials.reshape(4000, 2 * halves, -1)
    first, second = by_image[:, :halves].mean(1), by_image[:, halves:].mean(1)
    nc = noise_ceiling(split_half_ncsnr(first, second, 1 / halves), 1 / (2 * halves))
    r = pearson(first, second)
    np.testing.assert_allclose(nc, 2 * r / (1 + r), rtol=1e-9)
    truth = noise_ceiling(np.array([0.7]), 1 / (2 * halves))
    assert nc.mean() == pytest.approx(truth[0], abs=0.01)
    same = noise_ceiling(estimate(trials, repeats).ncsnr(), 1 / (2 * halves))
    np.testing.assert_allclose(nc, same, atol=0.05)
