"""From noiseless responses to betas: amplitude, repeat noise, drift, and ncsnr back again.

A beta of target v in session s is ``mean_v + offset_sv + gain_sv * spread_v * (n z + e) /
sqrt(n**2 + 1)``: ``z`` the noiseless response with variance 1 over images, ``e`` fresh noise
with variance 1, ``n`` the planted ncsnr (standard deviation of signal over that of noise).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate.cortex import Cortex
from neuroattn.data.simulate.rois import Kind, load_rois

Floats = NDArray[np.float64]
Betas = NDArray[np.float32]
Ids = NDArray[np.int64]

#: Medians of ncsnr within nsdgeneral by subject: betas b3 (``betas_fithrf_GLMdenoise_RR``) on
#: fsaverage, all sessions (NSD's own ncsnr files; Allen et al. 2022, Nat Neurosci 25:116).
NSD_MEDIAN: Final = (0.490, 0.510, 0.431, 0.392, 0.542, 0.439, 0.371, 0.323)
VERSION: Final = "b3"
SPACE: Final = "fsaverage"
#: Standard deviation of the noise over that in b3, by which ncsnr is smaller: NSD's ceilings
#: rise from b1 to b2 to b3 (Allen et al. 2022, Extended Data Fig. 8); by how much is ours.
NOISE: Final = {"b1": 1.5, "b2": 1.35, "b3": 1.0}
#: Levels, and ncsnr over its median there. The median is cited; the spread around it is ours.
LEVELS: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
SHAPE: Final = (0.25, 0.45, 0.68, 1.0, 1.34, 1.65, 2.0)
OUTSIDE_SHARE: Final = 0.5  # of the median, outside nsdgeneral: ours, not cited

# Mean and spread of single-trial betas, % signal change. fsaverage, subject 1, session 1:
# mean 0.25 and sd 1.75 over a hemisphere, 1.13 and 2.50 in V1; the others lie between.
_AMPLITUDE: Final = {Kind.early: (1.1, 2.4), Kind.category: (0.7, 2.1), Kind.network: (0.2, 1.8)}
_NULL_AMPLITUDE: Final = (0.2, 1.7)
_OFFSET, _GAIN, _GAIN_TARGET = 0.25, 0.06, 0.03
_LOST: Final = {6: 12, 8: 12}  # subjects with vertices that a session lost, per hemisphere
_LOST_SESSION: Final = 2


@dataclass(frozen=True, eq=False)
class Noise:
    """What is planted beside the signal, for all targets of a subject.

    Parameters
    ----------
    ncsnr, mean, spread : (targets,); ncsnr is 0 where nothing is planted.
    offset, gain : (sessions, targets).
    lost : targets without data in session 2 (subjects 6 and 8, as in NSD).
    """

    ncsnr: Floats
    mean: Floats
    spread: Floats
    offset: Betas
    gain: Betas
    lost: Ids


def ncsnr_quantiles(subject: int, general: bool) -> Floats:
    """Planted ncsnr at `LEVELS` for the regions in (or out of) nsdgeneral."""
    median = NSD_MEDIAN[(subject - 1) % len(NSD_MEDIAN)]
    return np.asarray(SHAPE) * median * (1.0 if general else OUTSIDE_SHARE)


def plan_noise(cortex: Cortex, sessions: int, seed: int, subject: int) -> Noise:
    """Draw amplitudes, drift and ncsnr; the quantiles of ncsnr hold in every region."""
    random = generator(seed, "amplitude", subject)
    count = len(cortex.roi)
    kinds = [_AMPLITUDE[roi.kind] for roi in load_rois()] + [_NULL_AMPLITUDE]
    mean, spread = np.array(kinds)[cortex.roi].T
    mean = mean + 0.3 * random.normal(size=count)
    spread = spread * np.exp(0.15 * random.normal(size=count))
    drift = generator(seed, "drift", subject)
    offset = _OFFSET * spread * drift.normal(size=(sessions, count))
    common = _GAIN * drift.normal(size=(sessions, 1))
    gain = np.exp(common + _GAIN_TARGET * drift.normal(size=(sessions, count)))
    return Noise(
        ncsnr=_planted_ncsnr(cortex, seed, subject),
        mean=mean,
        spread=spread,
        offset=offset.astype(np.float32),
        gain=gain.astype(np.float32),
        lost=_lost(cortex, seed, subject),
    )


def _planted_ncsnr(cortex: Cortex, seed: int, subject: int) -> Floats:
    """Evenly spaced quantiles of the table in every region, higher towards its peak."""
    ncsnr = np.zeros(len(cortex.roi))
    for index, roi in enumerate(load_rois()):
        members = np.flatnonzero(cortex.roi == index)
        random = generator(seed, "ncsnr", subject, roi.name)
        rank = np.argsort(cortex.distance[members] + 4.0 * random.normal(size=len(members)))
        levels = 1.0 - (np.arange(len(members)) + 0.5) / max(len(members), 1)
        ncsnr[members[rank]] = np.interp(levels, LEVELS, ncsnr_quantiles(subject, roi.general))
    return ncsnr


def _lost(cortex: Cortex, seed: int, subject: int) -> Ids:
    count = _LOST.get(subject, 0)
    random, per = generator(seed, "lost", subject), cortex.per_hemisphere
    null = np.flatnonzero(cortex.roi < 0)
    sides = [null[(null // per) == side] for side in range(2)]
    return np.sort(np.concatenate([random.permutation(side)[:count] for side in sides]))


def session_noise(noise: Noise, seed: int, subject: int, experiment: str) -> Noise:
    """``noise`` with the drift of the one session of a further experiment."""
    drift = generator(seed, "drift", subject, experiment)
    count = len(noise.mean)
    offset = _OFFSET * noise.spread * drift.normal(size=(1, count))
    gain = np.exp(_GAIN * drift.normal() + _GAIN_TARGET * drift.normal(size=(1, count)))
    return replace(
        noise, offset=offset.astype(np.float32), gain=gain.astype(np.float32), lost=noise.lost[:0]
    )


def session_betas(
    noise: Noise,
    cortex: Cortex,
    signal: Betas,
    session: int,
    *,
    seed: int,
    subject: int,
    version: str = VERSION,
    experiment: str = "",
) -> Betas:
    """Betas of one session (trials, targets), % signal change; NaN where a vertex was lost.

    Parameters
    ----------
    signal : (trials, planted) noiseless responses of the trials' images.
    session : from 1.
    version : a key of `NOISE`; the noise of a better one is part of that of a worse one.
    experiment : names the noise of another experiment than the main one.
    """
    stream: tuple[int | str, ...] = ("noise", subject, session)
    stream += (experiment,) if experiment else ()
    betas = _noise((len(signal), len(noise.mean)), version, seed, stream)
    planted = cortex.planted
    betas[:, planted] += signal * noise.ncsnr[planted].astype(np.float32)
    scale = noise.gain[session - 1] * noise.spread / np.sqrt(1.0 + noise.ncsnr**2)
    betas *= scale.astype(np.float32)
    betas += (noise.mean + noise.offset[session - 1]).astype(np.float32)
    if session == _LOST_SESSION:
        betas[:, noise.lost] = np.nan
    return betas


def _noise(shape: tuple[int, int], version: str, seed: int, stream: tuple[int | str, ...]) -> Betas:
    """Noise of a version; variance 1 in b3, and what a worse one adds is its own."""
    noise = generator(seed, *stream).standard_normal(shape, dtype=np.float32)
    steps = sorted(NOISE, key=lambda name: NOISE[name])
    for better, worse in pairwise(steps[: steps.index(version) + 1]):
        added = generator(seed, *stream, worse).standard_normal(shape, dtype=np.float32)
        noise += np.float32(np.sqrt(NOISE[worse] ** 2 - NOISE[better] ** 2)) * added
    return noise


class Repeats:
    """Sums over the repeats of every image, from which ncsnr and image means follow.

    One session is held at a time; the sums need 4 bytes per image and target.

    Parameters
    ----------
    images : (images,) ids in the order of the rows of `sums`.
    """

    def __init__(self, images: Ids, targets: int) -> None:
        self.images = images
        self.row = {int(image): row for row, image in enumerate(images)}
        self.sums = np.zeros((len(images), targets), dtype=np.float32)
        self.count = np.zeros(len(images), dtype=np.int64)
        self._squares = np.zeros((4, targets))  # by how often the image is shown in all

    def add(self, shown: Ids, betas: Betas, total: NDArray[np.int64]) -> None:
        """Add a session (trials, targets), z-scored within itself as NSD does.

        Parameters
        ----------
        shown : (trials,) image of each trial.
        total : (trials,) how often that image is shown over all sessions.
        """
        rows = np.array([self.row[int(image)] for image in shown])
        mean = betas.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = betas.std(axis=0, ddof=1, dtype=np.float64).astype(np.float32)
        for block in _blocks(len(betas)):
            z = (betas[block] - mean) / np.where(spread > 0, spread, 1)
            for trial, row in enumerate(rows[block]):
                self.sums[row] += z[trial]
            z *= z
            for often in range(1, 4):
                self._squares[often] += z[total[block] == often].sum(axis=0, dtype=np.float64)
        self.count += np.bincount(rows, minlength=len(self.count))

    def means(self, rows: Ids, columns: Ids) -> Betas:
        """Mean over repeats (rows, columns) of session-z-scored betas."""
        count = self.count[rows, None].astype(np.float32)
        return np.asarray(self.sums[np.ix_(rows, columns)] / count)

    def ncsnr(self) -> Betas:
        """Ncsnr (targets,) as NSD estimates it, from the images shown three times.

        Noise variance is the mean variance over repeats; signal variance is what is left of
        the total of 1, never below 0 (Allen et al. 2022, Methods, "Noise ceiling").
        """
        thrice = np.flatnonzero(self.count == 3)
        if len(thrice) == 0:
            return np.full(self.sums.shape[1], np.nan, dtype=np.float32)
        between = np.zeros(self.sums.shape[1])
        for block in _blocks(len(thrice)):
            between += (self.sums[thrice[block]].astype(np.float64) ** 2).sum(axis=0) / 3
        variance = (self._squares[3] - between) / (2 * len(thrice))
        signal = np.maximum(1.0 - variance, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(signal / variance), dtype=np.float32)


def _blocks(count: int, size: int = 128) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def ceiling(ncsnr: Floats, repeats: float) -> Floats:
    """Correlation of the noiseless response with a mean over ``repeats``: the oracle's."""
    squared = ncsnr**2
    return np.sqrt(squared / (squared + 1.0 / repeats))
