"""Noise, drift, and ncsnr back again."""

from __future__ import annotations

import numpy as np
import pytest

from neuroattn.core.seeding import generator
from neuroattn.data.simulate import noise as noises
from neuroattn.data.simulate.cortex import Cortex, plan_cortex
from neuroattn.data.simulate.noise import LEVELS, Noise, Repeats, plan_noise, session_betas
from neuroattn.data.simulate.rois import load_rois

SESSIONS, IMAGES, TRIALS = 4, 1000, 750


@pytest.fixture(scope="module")
def cortex() -> Cortex:
    return plan_cortex(0, 1)


@pytest.fixture(scope="module")
def planted(cortex) -> tuple[Noise, Repeats, np.ndarray, np.ndarray]:
    """Four sessions of 1,000 images three times, over the planted targets and some null ones."""
    keep = np.sort(np.concatenate([cortex.planted, np.flatnonzero(cortex.roi < 0)[::40]]))
    small = Cortex(*(getattr(cortex, part)[keep] for part in cortex.__dataclass_fields__))
    noise = plan_noise(cortex, SESSIONS, 0, 1)
    parts = (noise.ncsnr[keep], noise.mean[keep], noise.spread[keep], noise.offset[:, keep])
    noise = Noise(*parts, gain=noise.gain[:, keep], lost=np.zeros(0, dtype=np.int64))
    random = generator(0, "test")
    signal = random.standard_normal((IMAGES, len(small.planted))).astype(np.float32)
    signal = (signal - signal.mean(axis=0)) / signal.std(axis=0)
    shown = random.permutation(np.repeat(np.arange(IMAGES), 3))
    repeats = Repeats(np.arange(IMAGES), len(keep))
    for session in range(1, SESSIONS + 1):
        part = shown[(session - 1) * TRIALS : session * TRIALS]
        betas = session_betas(noise, small, signal[part], session, seed=0, subject=1)
        repeats.add(part, betas, np.full(TRIALS, 3))
    return noise, repeats, small.planted, signal


def test_planted_ncsnr_is_recovered(planted):
    noise, repeats, targets, _ = planted
    error = repeats.ncsnr()[targets] - noise.ncsnr[targets]
    assert abs(error.mean()) < 0.006
    assert error.std() < 0.05
    clear = noise.ncsnr[targets] > 0.3
    assert abs(error[clear].mean()) < 0.005


def test_null_targets_have_an_ncsnr_near_zero(planted):
    noise, repeats, _, _ = planted
    null = repeats.ncsnr()[noise.ncsnr == 0]
    assert np.median(null) < 0.1
    assert null.max() < 0.35


def test_drift_is_gone_after_z_scoring(planted):
    """Means over repeats follow the signal as closely as the ceiling says, drift or not."""
    noise, repeats, targets, signal = planted
    measured = repeats.means(np.arange(IMAGES), targets)
    found = [np.corrcoef(measured[:, i], signal[:, i])[0, 1] for i in range(len(targets))]
    expected = noises.ceiling(noise.ncsnr[targets], 3)
    assert abs(np.mean(found - expected)) < 0.005
    assert np.std(found - expected) < 0.04


@pytest.mark.parametrize("subject", [1, 2])
def test_quantiles_hold_in_every_region(subject):
    cortex = plan_cortex(0, subject)
    ncsnr = plan_noise(cortex, 2, 0, subject).ncsnr
    for index, roi in enumerate(load_rois()):
        wanted = noises.ncsnr_quantiles(subject, roi.general)
        found = np.quantile(ncsnr[cortex.roi == index], LEVELS[1:-1])
        assert np.abs(found - wanted[1:-1]).max() < 0.03, roi.name
        assert wanted[3] == pytest.approx(
            noises.NSD_MEDIAN[subject - 1] * (0.5 + 0.5 * roi.general)
        )


def test_ncsnr_is_higher_towards_the_middle_of_a_region(cortex):
    ncsnr = plan_noise(cortex, 2, 0, 1).ncsnr
    members = cortex.members("FFA-2")
    assert np.corrcoef(cortex.distance[members], ncsnr[members])[0, 1] < -0.4


def test_betas_have_the_scale_of_nsd(cortex):
    noise = plan_noise(cortex, 1, 0, 1)
    signal = np.zeros((100, len(cortex.planted)), dtype=np.float32)
    betas = session_betas(noise, cortex, signal, 1, seed=0, subject=1)
    assert betas.dtype == np.float32
    assert 0.1 < betas.mean() < 0.5
    assert 1.4 < betas.std() < 2.2
    assert np.abs(betas).max() < 109  # what int16 / 300 can hold


def test_sessions_and_subjects_have_other_noise(cortex):
    noise, signal = plan_noise(cortex, 2, 0, 1), np.zeros((5, len(cortex.planted)), np.float32)

    def draw(session: int, subject: int) -> np.ndarray:
        return session_betas(noise, cortex, signal, session, seed=0, subject=subject)

    assert not np.array_equal(draw(1, 1), draw(1, 2))
    assert abs(np.corrcoef(draw(1, 1)[0], draw(1, 2)[0] * 0 + draw(2, 1)[1])[0, 1]) < 0.2
    assert np.array_equal(draw(1, 1), draw(1, 1))


def test_subject_6_loses_null_vertices_in_one_session(cortex):
    noise, signal = plan_noise(cortex, 2, 0, 6), np.zeros((3, len(cortex.planted)), np.float32)
    lost = np.isnan(session_betas(noise, cortex, signal, 2, seed=0, subject=6)).all(axis=0)
    assert np.array_equal(np.flatnonzero(lost), noise.lost)
    assert lost.sum() == 24
    assert not lost[cortex.planted].any()
    assert np.isfinite(session_betas(noise, cortex, signal, 1, seed=0, subject=6)).all()


def test_ncsnr_uses_only_images_shown_three_times():
    repeats = Repeats(np.arange(2), 1)
    betas = np.array([[1.0], [2.0], [3.0], [50.0]], dtype=np.float32)
    repeats.add(np.array([0, 0, 0, 1]), betas, np.array([3, 3, 3, 1]))
    z = (betas[:, 0] - betas.mean()) / betas.std(ddof=1)
    variance = z[:3].var(ddof=1)
    assert repeats.ncsnr()[0] == pytest.approx(np.sqrt((1 - variance) / variance), rel=1e-5)


def test_without_repeats_there_is_no_ncsnr():
    repeats = Repeats(np.arange(3), 2)
    repeats.add(np.arange(3), np.ones((3, 2), np.float32), np.ones(3, np.int64))
    assert np.isnan(repeats.ncsnr()).all()


def test_the_ceiling_of_known_cases():
    assert noises.ceiling(np.array([0.0, 1.0]), 1).tolist() == [0.0, pytest.approx(np.sqrt(0.5))]
    assert noises.ceiling(np.array([1.0]), 3)[0] == pytest.approx(np.sqrt(0.75))
