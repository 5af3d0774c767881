"""Do trials of one image resemble each other? What swapped files and permuted trials destroy.

Betas of one image, shown again, share a pattern over places. Where the design that is assumed
is not that of the file (another session, another hemisphere, another order) the resemblance
is gone, however plausible each value is. The same sums give ncsnr, which is held against the
one that comes with the data (Allen et al. 2022, Methods, "noise ceiling estimation").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Ids = NDArray[np.int64]

_SIGNIFICANT = 5.0  # standard errors by which repeats must resemble each other at all
_DROP, _DROP_ERRORS = 0.35, 3.0  # of the typical resemblance, and in standard errors below it
_FOUND = 0.6  # of the typical resemblance: where a suspect file belongs instead
_FEWEST = 6  # pairs of repeats on which a session is judged


@dataclass(frozen=True, eq=False)
class Resemblance:
    """Correlations of repeats between sessions: their sums, squares and counts, all square."""

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    counts: NDArray[np.int64]

    def of(self, session: int, trusted: NDArray[np.bool_]) -> tuple[float, float, int]:
        """Mean, standard error and number of pairs of a session with the trusted ones."""
        count = int(self.counts[session, trusted].sum())
        if count < 2:
            return 0.0, np.inf, count
        mean = self.sums[session, trusted].sum() / count
        spread = self.squares[session, trusted].sum() / count - mean**2
        return float(mean), float(np.sqrt(max(spread, 1e-12) / count)), count

    def overall(self) -> tuple[float, float, int]:
        """Mean, standard error and number over all pairs."""
        upper = np.triu(np.ones_like(self.counts, dtype=bool))
        count = int(self.counts[upper].sum())
        if count < 2:
            return 0.0, np.inf, count
        mean = self.sums[upper].sum() / count
        spread = self.squares[upper].sum() / count - mean**2
        return float(mean), float(np.sqrt(max(spread, 1e-12) / count)), count


def patterns(values: Values) -> Values:
    """Betas (trials, places) of a session as unit patterns: z-scored by place, then by trial."""
    centred = np.nan_to_num(values - np.nanmean(values, axis=0))
    scale = centred.std(axis=0)
    scored = centred / np.where(scale > 0, scale, 1)
    scored -= scored.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(scored, axis=1, keepdims=True)
    return np.asarray(scored / np.where(norm > 0, norm, 1), dtype=np.float32)


def resemblance(sessions: list[Values], ids: list[Ids]) -> Resemblance:
    """Correlations of all pairs of trials with one image.

    Parameters
    ----------
    sessions : patterns (trials, places) of each session.
    ids : images (trials,) that each session is assumed to have shown.
    """
    count = len(sessions)
    left, right = repeat_pairs(np.concatenate(ids))
    stacked = np.concatenate(sessions)
    owner = np.repeat(np.arange(count), [len(each) for each in ids])
    r = np.einsum("pk,pk->p", stacked[left], stacked[right]).astype(np.float64)
    first, second = owner[left], owner[right]
    sums, squares = np.zeros((count, count)), np.zeros((count, count))
    counts = np.zeros((count, count), np.int64)
    np.add.at(sums, (first, second), r)
    np.add.at(squares, (first, second), r**2)
    np.add.at(counts, (first, second), 1)
    diagonal = np.eye(count, dtype=bool)
    sums, squares, counts = (
        np.where(diagonal, each, each + each.T) for each in (sums, squares, counts)
    )
    return Resemblance(sums, squares, counts)


def repeat_pairs(ids: Ids) -> tuple[Ids, Ids]:
    """Rows (pairs,) and (pairs,) of all pairs of trials with one image; the first is earlier."""
    order = np.argsort(ids, kind="stable")
    sorted_ids = ids[order]
    left: list[Ids] = []
    right: list[Ids] = []
    lag = 1
    while lag < len(ids):
        same = np.flatnonzero(sorted_ids[lag:] == sorted_ids[:-lag])
        if not same.size:
            break
        left.append(order[same])
        right.append(order[same + lag])
        lag += 1
    empty = np.zeros(0, np.int64)
    return (
        np.concatenate(left).astype(np.int64) if left else empty,
        np.concatenate(right).astype(np.int64) if right else empty,
    )


def is_there(found: Resemblance) -> bool:
    """Whether repeats resemble each other beyond chance."""
    mean, error, _ = found.overall()
    return mean > _SIGNIFICANT * error


def suspects(found: Resemblance) -> NDArray[np.bool_]:
    """(sessions,) whose repeats do not resemble those of the others.

    The worst is set aside and the rest is judged again, since a swapped session spoils the
    mean of every session that shares images with it.
    """
    trusted = np.ones(len(found.counts), dtype=bool)
    while trusted.sum() > 1:
        rows = [found.of(session, trusted) for session in range(len(trusted))]
        typical = float(
            np.median([row[0] for row, keep in zip(rows, trusted, strict=True) if keep])
        )
        worst, lowest = -1, np.inf
        for session, (mean, error, count) in enumerate(rows):
            low = mean < _DROP * typical and typical - mean > _DROP_ERRORS * error
            if trusted[session] and count >= _FEWEST and low and mean < lowest:
                worst, lowest = session, mean
        if worst < 0:
            break
        trusted[worst] = False
    return ~trusted


def fits(
    candidate: Values, ids: Ids, sessions: list[Values], shown: list[Ids], typical: float
) -> bool:
    """Whether a file, read as having shown ``ids``, resembles the trusted sessions."""
    found = resemblance([candidate, *sessions], [ids, *shown])
    others = np.ones(len(sessions) + 1, dtype=bool)
    others[0] = False
    mean, error, count = found.of(0, others)
    return count >= _FEWEST and mean > _FOUND * typical and mean > _SIGNIFICANT / 2 * error


def ncsnr(
    sessions: list[Values], ids: list[Ids], images: NDArray[np.bool_] | None = None
) -> Values:
    """Ratio of signal to noise standard deviations (places,) from repeats, as NSD defines it.

    Betas are z-scored by place and session; the noise variance is the mean over images of the
    variance of an image's repeats, and signal and noise variance add up to one.

    Parameters
    ----------
    images : which of the repeated images (by ascending id) to use; all by default.
    """
    stacked = np.concatenate([_scored(values) for values in sessions])
    shown, place, count = np.unique(np.concatenate(ids), return_inverse=True, return_counts=True)
    use = count >= 2
    if images is not None:
        use[np.flatnonzero(use)[~images]] = False
    sums = np.zeros((len(shown), stacked.shape[1]))
    squares = np.zeros_like(sums)
    np.add.at(sums, place, stacked)
    np.add.at(squares, place, stacked.astype(np.float64) ** 2)
    variance = (squares - sums**2 / count[:, None])[use] / (count[use, None] - 1)
    noise = variance.mean(axis=0) if use.any() else np.ones(stacked.shape[1])
    return np.asarray(np.sqrt(np.maximum(1 - noise, 0) / np.maximum(noise, 1e-12)), np.float32)


def _scored(values: Values) -> Values:
    centred = np.nan_to_num(values - np.nanmean(values, axis=0))
    scale = centred.std(axis=0)
    return np.asarray(centred / np.where(scale > 0, scale, 1), dtype=np.float32)


def correlation(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Pearson correlation over places that both have; 0 where either is constant."""
    both = np.isfinite(left) & np.isfinite(right)
    if both.sum() < 3 or not left[both].std() > 0 or not right[both].std() > 0:
        return 0.0
    return float(np.corrcoef(left[both], right[both])[0, 1])


def repeated_images(ids: list[Ids]) -> int:
    """Number of images that were shown more than once."""
    _, count = np.unique(np.concatenate(ids), return_counts=True)
    return int((count >= 2).sum())
