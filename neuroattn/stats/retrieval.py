"""Which image was seen? Retrieval accuracy from one matrix of similarities.

A row is a brain, a column an image. Two questions are asked of one matrix, and named after what
is looked for and what it is looked for with:

- ``image_from_brain``: a brain is the query, all images are the gallery. It reads **rows**.
- ``brain_from_image``: an image is the query, all brains are the gallery. It reads **columns**.

Public code calls these "forward" and "backward", after a cosine function that returns the
transpose, so that published figures stand under each other's name; hence our names.

**Ties are failures.** A rank counts the rivals that are at least as similar as the own item, and
a similarity that is not a number loses to all, so that a constant prediction scores 0.

**Cost.** Sorting every row and every column of n x n once (n^2 log n) gives the rank that *any*
pairing would have. N-way draws are sub-matrices, permutations of the pairing are n look-ups each,
and the mean over all N-way draws has a closed form: nothing is embedded or multiplied again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import generator

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

IMAGE_FROM_BRAIN: Final = "image_from_brain"
BRAIN_FROM_IMAGE: Final = "brain_from_image"
DIRECTIONS: Final = (IMAGE_FROM_BRAIN, BRAIN_FROM_IMAGE)
NOT_PAIRED: Final = -1  # the rank of an image that no brain belongs to: it is no query


def cosine_similarity(
    brains: Array, images: Array, centre: tuple[Array, Array] | None = None
) -> NDArray[np.float32]:
    """Similarity (brains, images) of two tables of embeddings; NaN for a vector of length 0.

    Parameters
    ----------
    brains, images : (brains, dim) and (images, dim).
    centre : means (dim,) of brains and of images that are taken off first, those of the training
        side. Predictions that are shrunk towards their mean make a few images the neighbours of
        every brain (hubs); centring takes away what all predictions share.

    Raises
    ------
    ValueError : the embeddings do not lie in one space.
    """
    if brains.ndim != 2 or images.ndim != 2 or brains.shape[1] != images.shape[1]:
        raise ValueError(f"embeddings of two spaces: {brains.shape} and {images.shape}")
    if centre is not None:
        brains, images = brains - centre[0], images - centre[1]
    return np.asarray(unit_rows(brains) @ unit_rows(images).T, dtype=np.float32)


def unit_rows(values: Array) -> NDArray[np.float32]:
    """Rows of length 1; NaN for a row of length 0."""
    values = np.asarray(values, dtype=np.float64)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(length > 0, values / length, np.nan).astype(np.float32)


def average_repeats(outputs: Array, image: NDArray[Any]) -> tuple[Floats, Ints]:
    """Mean output of the brains of each image: (images, dim), and their ids (images,) ascending.

    An image with fewer repeats has the mean of those that there are; none is shown twice to fill
    up. The order of the brains changes nothing but the last bits.

    Raises
    ------
    ValueError : not one image id for each output.
    """
    if len(outputs) != len(image):
        raise ValueError(f"{len(outputs)} outputs and {len(image)} image ids")
    ids, place = np.unique(np.asarray(image, dtype=np.int64), return_inverse=True)
    sums = np.zeros((len(ids), *outputs.shape[1:]))
    np.add.at(sums, place, np.asarray(outputs, dtype=np.float64))
    counts = np.bincount(place, minlength=len(ids))
    return sums / counts.reshape(-1, *[1] * (outputs.ndim - 1)), ids


def ranks(similarity: Array, own: NDArray[Any] | None = None) -> dict[str, Ints]:
    """Rivals at least as similar as the own item, for every query, by direction.

    Parameters
    ----------
    similarity : (brains, images).
    own : (brains,) column of each brain's image; several brains may share one. Without it the
        matrix is square and pairs stand on its diagonal.

    Returns
    -------
    ``image_from_brain`` (brains,): other images at least as similar as the own one; 0 is first.
    ``brain_from_image`` (images,): brains of other images at least as similar as the best of the
    own ones; `NOT_PAIRED` for an image without a brain, which remains a rival.

    Raises
    ------
    ValueError : the pairs do not fit the matrix.
    """
    similarity = np.asarray(similarity)
    own = _pairs(similarity, own)
    rows = np.arange(len(own))
    mine = similarity[rows, own]
    rival = ~(similarity < mine[:, None])  # a comparison with NaN is false: it is a rival
    rival[rows, own] = False
    best = np.full(similarity.shape[1], -np.inf, dtype=np.float64)
    np.fmax.at(best, own, mine)
    other = ~(similarity < best[None, :])
    other[rows, own] = False
    paired = np.isin(np.arange(similarity.shape[1]), own)
    return {
        IMAGE_FROM_BRAIN: rival.sum(1).astype(np.int64),
        BRAIN_FROM_IMAGE: np.where(paired, other.sum(0), NOT_PAIRED).astype(np.int64),
    }


def _pairs(similarity: Array, own: NDArray[Any] | None) -> Ints:
    brains, images = similarity.shape
    if own is None:
        if brains != images:
            raise ValueError(f"{brains} brains and {images} images need to be told their pairs")
        return np.arange(brains)
    own = np.asarray(own, dtype=np.int64)
    if len(own) != brains or (brains and (own.min() < 0 or own.max() >= images)):
        raise ValueError(f"pairs do not fit {brains} brains and {images} images")
    return own


def hits(rank: Ints, k: int = 1) -> Floats:
    """1 where a query found its own within the first ``k``, 0 where not, NaN where it is none."""
    return np.where(rank == NOT_PAIRED, np.nan, (rank < k).astype(np.float64))


def accuracy(rank: Ints, k: int = 1) -> float:
    """Share of the queries that find their own within the first ``k``."""
    kept = rank[rank != NOT_PAIRED]
    return float(np.mean(kept < k)) if kept.size else float("nan")


def expected_accuracy(rank: Ints, rivals: int, ways: int, k: int = 1) -> float:
    """Accuracy in galleries of ``ways``, averaged over all such galleries and not a few draws.

    Of ``rivals`` others, ``rank`` are at least as similar, and ``ways - 1`` are drawn without
    replacement: the number of them that stand before the own item is hypergeometric.

    Raises
    ------
    ValueError : the gallery is smaller than ``ways``.
    """
    if not 1 <= ways <= rivals + 1:
        raise ValueError(f"{ways} ways in a gallery of {rivals + 1}")
    kept = rank[rank != NOT_PAIRED].clip(max=rivals)
    found, times = np.unique(kept, return_counts=True)
    chance = np.array([_below(int(r), rivals, ways - 1, k) for r in found])
    return float(chance @ times / times.sum()) if times.size else float("nan")


def _below(better: int, rivals: int, drawn: int, k: int) -> float:
    """Probability that fewer than ``k`` of ``drawn`` are among the ``better``."""
    from math import lgamma

    def choose(n: int, m: int) -> float:
        return lgamma(n + 1) - lgamma(m + 1) - lgamma(n - m + 1)

    low = max(0, drawn - (rivals - better))
    terms = [
        choose(better, hit) + choose(rivals - better, drawn - hit) - choose(rivals, drawn)
        for hit in range(low, min(k, better + 1, drawn + 1))
    ]
    return float(min(1.0, sum(np.exp(terms)))) if terms else 0.0


def draws_of(
    similarity: Array, *, ways: int, draws: int = 30, k: int = 1, seed: int = 0
) -> dict[str, Floats]:
    """Accuracy (draws,) by direction in sub-matrices of ``ways`` random pairs.

    The convention of published figures (300 ways, 30 draws). Their spread says how much a
    drawing changes the figure, and nothing of other images or subjects: see `bootstrap`.

    Parameters
    ----------
    similarity : (pairs, pairs), pairs on the diagonal.

    Raises
    ------
    ValueError : the matrix is not square, or smaller than ``ways``.
    """
    count = len(_pairs(similarity, None))
    if not 1 <= ways <= count:
        raise ValueError(f"{ways} ways in a gallery of {count}")
    rng = generator(seed, "retrieval draws", ways)
    found: dict[str, list[float]] = {direction: [] for direction in DIRECTIONS}
    for _ in range(draws):
        chosen = rng.choice(count, size=ways, replace=False)
        for direction, rank in ranks(similarity[np.ix_(chosen, chosen)]).items():
            found[direction].append(accuracy(rank, k))
    return {direction: np.array(values) for direction, values in found.items()}


def rank_tables(similarity: Array) -> dict[str, NDArray[np.int32]]:
    """The rank that every possible pair would have: (brains, images), by direction.

    Entry (b, i) counts the other images (brains) at least as similar to brain b (image i).
    """
    similarity = np.asarray(similarity)
    return {
        IMAGE_FROM_BRAIN: _rank_rows(similarity),
        BRAIN_FROM_IMAGE: _rank_rows(similarity.T).T,
    }


def _rank_rows(values: Array) -> NDArray[np.int32]:
    count = values.shape[1]
    out = np.empty(values.shape, dtype=np.int32)
    for row, line in enumerate(values):
        # NaN is sorted last, so it counts as a rival of all the others.
        ordered = np.sort(line)
        out[row] = count - np.searchsorted(ordered, line, side="left") - 1
    out[np.isnan(values)] = max(count - 1, 1)
    return out


@dataclass(frozen=True)
class Chance:
    """A statistic beside what it is when brains and images are paired at random.

    Parameters
    ----------
    observed : the statistic of the true pairs, averaged over subjects.
    null : (draws,) the same of random pairings within each subject.
    p : one-sided; the true pairing counts as one draw, so it is never 0.
    """

    observed: float
    null: Floats
    p: float


def permutation_tests(
    similarities: Sequence[Array],
    owns: Sequence[NDArray[Any]] | None = None,
    *,
    top: Sequence[int] = (1, 5),
    draws: int = 1000,
    seed: int = 0,
) -> dict[tuple[str, str], Chance]:
    """Test retrieval against random pairings within each subject.

    Parameters
    ----------
    similarities : one (brains, images) for each subject; one brain an image (average repeats
        first), and perhaps images without a brain.
    owns : (brains,) columns of the own images, for each subject; None for diagonals.

    Returns
    -------
    (direction, statistic) -> `Chance`, with statistics ``top1``, ``top5`` … and ``percentile``,
    the mean share of rivals that the own item leaves behind (0.5 by chance), which has no steps.

    Raises
    ------
    ValueError : no subject, or an image has two brains.
    """
    if not similarities:
        raise ValueError("retrieval of no subject")
    observed: dict[tuple[str, str], list[float]] = {}
    null: dict[tuple[str, str], list[Floats]] = {}
    for subject, similarity in enumerate(similarities):
        own = _pairs(similarity, None if owns is None else owns[subject])
        if len(np.unique(own)) < len(own):
            raise ValueError("an image has two brains: average repeats first")
        shuffles = _shuffles(own, draws, seed, subject)
        tables = rank_tables(similarity)
        for direction, table in tables.items():
            rivals = similarity.shape[direction == IMAGE_FROM_BRAIN] - 1
            drawn = table[np.arange(len(own)), shuffles]  # (draws + 1, brains), the true one first
            for name, values in _statistics(drawn, rivals, top).items():
                observed.setdefault((direction, name), []).append(float(values[0]))
                null.setdefault((direction, name), []).append(values[1:])
    return {
        key: _chance(float(np.mean(values)), np.mean(null[key], axis=0))
        for key, values in observed.items()
    }


def _shuffles(own: Ints, draws: int, seed: int, subject: int) -> Ints:
    rng = generator(seed, "retrieval permutation", subject)
    shuffled = rng.permuted(np.tile(own, (draws, 1)), axis=1)
    return np.vstack([own[None], shuffled])


def _statistics(drawn: NDArray[np.int32], rivals: int, top: Sequence[int]) -> dict[str, Floats]:
    found = {f"top{k}": np.mean(drawn < k, axis=1) for k in top}
    return found | {"percentile": 1.0 - drawn.mean(axis=1) / max(rivals, 1)}


def _chance(observed: float, null: Floats) -> Chance:
    # Means over subjects are equal up to rounding, and a tie is no evidence.
    reached = int(np.sum(null >= observed - 1e-12))
    return Chance(observed, null, (1 + reached) / (1 + len(null)))


def bootstrap(
    values: Sequence[Floats], images: Sequence[NDArray[Any]], *, draws: int = 1000, seed: int = 0
) -> Floats:
    """Means (draws,) over other images, then over other subjects.

    An image comes with all its queries, in all subjects that saw it. Subjects are drawn as well
    where there are two or more; with four to eight of them look at each. The gallery stays as it
    is: an image that was drawn twice would be its own rival.

    Parameters
    ----------
    values : (queries,) of each subject, such as `hits`; NaN is no query.
    images : (queries,) the image of each query.
    """
    every = np.unique(np.concatenate([np.asarray(ids, dtype=np.int64) for ids in images]))
    rng = generator(seed, "retrieval bootstrap")
    weight = rng.multinomial(len(every), np.full(len(every), 1 / len(every)), size=draws)
    means = np.stack(
        [
            _weighted(np.asarray(own), weight[:, np.searchsorted(every, ids)])
            for own, ids in zip(values, images, strict=True)
        ]
    )
    if len(means) == 1:
        return np.asarray(means[0])
    chosen = rng.integers(0, len(means), size=(draws, len(means)))
    return np.asarray(means[chosen, np.arange(draws)[:, None]].mean(axis=1))


def _weighted(values: Floats, weight: NDArray[np.int64]) -> Floats:
    known = np.isfinite(values)
    total = weight[:, known].sum(axis=1)
    share = weight[:, known] @ values[known] / np.maximum(total, 1)
    return np.asarray(np.where(total > 0, share, np.nan))


@dataclass(frozen=True, eq=False)
class HardGallery:
    """Rivals that show the same kinds of things as the own image.

    Parameters
    ----------
    rivals : (queries, size) columns of each query's rivals, the most alike first.
    query : (queries,) columns of the images that have as many rivals.
    """

    rivals: Ints
    query: Ints

    @property
    def ways(self) -> int:
        """Size of a gallery, the own image included; 0 where there is none."""
        return self.rivals.shape[1] + 1 if len(self.query) else 0


def hard_gallery(labels: Sequence[Sequence[str]], size: int, seed: int = 0) -> HardGallery:
    """For every image the ``size`` others whose objects overlap most with its own.

    Overlap is the share of kinds in common of all kinds in either (Jaccard); equals are in random
    order, and images that share nothing are no rivals. Images with fewer rivals are no queries.

    Parameters
    ----------
    labels : the kinds of things in each image.
    """
    member = _membership(labels)
    both = member @ member.T
    count = np.diag(both)
    overlap = both / np.maximum(count[:, None] + count[None, :] - both, 1)
    np.fill_diagonal(overlap, 0.0)
    order = generator(seed, "hard gallery").permutation(len(labels))
    ranked = order[np.argsort(-overlap[:, order], axis=1, kind="stable")[:, :size]]
    query = np.flatnonzero((overlap > 0).sum(axis=1) >= size)
    return HardGallery(ranked[query].astype(np.int64), query)


def _membership(labels: Sequence[Sequence[str]]) -> Floats:
    kinds = sorted({name for names in labels for name in names})
    place = {name: column for column, name in enumerate(kinds)}
    member = np.zeros((len(labels), len(kinds)))
    for row, names in enumerate(labels):
        member[row, [place[name] for name in names]] = 1.0
    return member


def hard_hits(similarity: Array, gallery: HardGallery) -> dict[str, Floats]:
    """1 where a query is first among its own rivals, 0 where not: (queries,) by direction.

    Parameters
    ----------
    similarity : (pairs, pairs), pairs on the diagonal.
    """
    square = np.asarray(similarity)
    _pairs(square, None)
    query, mine = gallery.query[:, None], square[gallery.query, gallery.query][:, None]
    beaten: Mapping[str, Any] = {
        IMAGE_FROM_BRAIN: square[query, gallery.rivals] < mine,
        BRAIN_FROM_IMAGE: square[gallery.rivals, query] < mine,
    }
    return {name: won.all(axis=1).astype(np.float64) for name, won in beaten.items()}
