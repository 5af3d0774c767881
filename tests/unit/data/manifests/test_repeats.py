"""Resemblance of repeats: known answers, and files in each other's place."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.data.manifests import repeats

PLACES = 200


@pytest.fixture
def sessions() -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Five sessions of 60 trials over 100 images shown three times; planted ncsnr."""
    rng = np.random.default_rng(4)
    snr = np.linspace(0, 1.5, PLACES)
    ids = np.split(rng.permutation(np.tile(np.arange(100), 3)), 5)
    signal = rng.standard_normal((100, PLACES)) * snr
    values = [(signal[each] + rng.standard_normal((60, PLACES))).astype(np.float32) for each in ids]
    return values, ids, snr


def test_pairs_are_all_trials_of_one_image() -> None:
    left, right = repeats.repeat_pairs(np.array([7, 3, 7, 7, 5, 3]))
    pairs = sorted(zip(left.tolist(), right.tolist(), strict=True))
    assert pairs == [(0, 2), (0, 3), (1, 5), (2, 3)]
    assert repeats.repeat_pairs(np.arange(4))[0].size == 0


def test_patterns_are_centred_units(sessions: tuple) -> None:
    found = repeats.patterns(sessions[0][0])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(found.mean(axis=1), 0, atol=1e-6)


def test_resemblance_is_symmetric_and_counts_pairs_once(sessions: tuple) -> None:
    values, ids, _ = sessions
    found = repeats.resemblance([repeats.patterns(each) for each in values], ids)
    np.testing.assert_array_equal(found.counts, found.counts.T)
    assert np.triu(found.counts).sum() == 300  # three pairs of each of 100 images
    assert repeats.is_there(found)
    assert not repeats.suspects(found).any()


def test_ncsnr_recovers_what_was_planted(sessions: tuple) -> None:
    values, ids, snr = sessions
    found = repeats.ncsnr(values, ids)
    assert repeats.correlation(found, snr) > 0.95
    assert abs(float(np.median(found - snr))) < 0.1


def test_ncsnr_by_hand() -> None:
    # One place: z-scores 1, -1, 1, -1 of images a, b, a, b have no noise within an image.
    values = np.array([[2.0], [0.0], [2.0], [0.0]], np.float32)
    assert repeats.ncsnr([values], [np.array([1, 2, 1, 2])])[0] > 1e3
    # Of images a, a, b, b the variance within is 2, more than all there is: no signal.
    assert repeats.ncsnr([values], [np.array([1, 1, 2, 2])])[0] == 0


def test_swapped_sessions_are_suspects_and_fit_each_other(sessions: tuple) -> None:
    values, ids, _ = sessions
    values[1], values[3] = values[3], values[1]
    shapes = [repeats.patterns(each) for each in values]
    found = repeats.resemblance(shapes, ids)
    assert np.flatnonzero(repeats.suspects(found)).tolist() == [1, 3]
    good = [0, 2, 4]
    typical = found.of(0, np.isin(np.arange(5), good))[0]
    others = [shapes[k] for k in good], [ids[k] for k in good]
    assert repeats.fits(shapes[1], ids[3], *others, typical)
    assert not repeats.fits(shapes[1], ids[1], *others, typical)


def test_a_permuted_session_of_two_is_found(sessions: tuple) -> None:
    values, ids, _ = sessions
    rng = np.random.default_rng(0)
    pair = [np.concatenate(values[:2]), np.concatenate(values[2:])]
    shown = [np.concatenate(ids[:2]), np.concatenate(ids[2:])]
    pair[1] = rng.permutation(pair[1])
    found = repeats.resemblance([repeats.patterns(each) for each in pair], shown)
    assert repeats.suspects(found).tolist() == [False, True]


def test_noise_resembles_nothing() -> None:
    rng = np.random.default_rng(1)
    ids = [rng.integers(0, 20, 60) for _ in range(4)]
    noise = [repeats.patterns(rng.standard_normal((60, PLACES))) for _ in ids]
    assert not repeats.is_there(repeats.resemblance(noise, ids))


def test_correlation_leaves_out_what_is_missing() -> None:
    left = np.array([1.0, 2.0, 3.0, np.nan])
    assert repeats.correlation(left, np.array([2.0, 4.0, 6.0, 1.0])) == pytest.approx(1)
    assert repeats.correlation(left, np.ones(4)) == 0
    assert repeats.correlation(np.full(4, np.nan), left) == 0
