"""What a target prefers: one concept, or several, found among the top pictures of the bank.

Top pictures are clustered by the angle between their embeddings after the bank's mean is taken
out (all pictures share that part: they lie in a cone). Clusters that lie far apart are concepts
of their own, each with a projection of its own: a softmax over its items alone. One caption of a
mean over two concepts would name neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Concept:
    """One thing that a target prefers.

    Parameters
    ----------
    row : the target, as a row of what was projected.
    number : 0 for the first of the target.
    share : of the target's top pictures.
    places : items of the bank, nearest first.
    embedding : (dim,) as that of a picture would be; None without an image-text space.
    """

    row: int
    number: int
    share: float
    places: Places
    embedding: Floats | None = None


@dataclass(frozen=True)
class Splitting:
    """When clusters are concepts of their own.

    Parameters
    ----------
    most : concepts of a target.
    apart : mean distance of clusters.
    least : share of the top pictures that a concept has.
    """

    most: int
    apart: float
    least: float


def clusters(vectors: Floats, mean: Floats, splitting: Splitting) -> list[Places]:
    """Rows of each cluster of unit vectors (items, dim), the one with the first row first.

    Average linkage on 1 - cosine of what is left after ``mean``; clusters that are too small
    belong to none, and if all are, the whole is one.
    """
    everything = [np.arange(len(vectors))]
    if splitting.most == 1 or len(vectors) < 2:
        return everything
    from scipy.cluster.hierarchy import fcluster, linkage

    rest = vectors - mean
    length = np.linalg.norm(rest, axis=1, keepdims=True)
    rest = np.divide(rest, length, out=np.zeros_like(rest), where=length > 0)
    upper = np.triu_indices(len(rest), 1)
    distance = np.clip(1 - (rest @ rest.T)[upper], 0, None).astype(np.float64)
    label = fcluster(linkage(distance, "average"), splitting.apart, "distance")
    found = [np.flatnonzero(label == one) for one in np.unique(label)]
    large = [rows for rows in found if len(rows) >= max(2, splitting.least * len(vectors))]
    by_size = sorted(large, key=lambda rows: (-len(rows), rows[0]))[: splitting.most]
    return by_size or everything


def mean_direction(tiles: Callable[[], object], dim: int) -> Floats:
    """Mean (dim,) of the bank's directions, in one pass."""
    total, count = np.zeros(dim), 0
    for _, _, stored in tiles():  # type: ignore[attr-defined]
        items = stored.astype(np.float32)
        total += (items / np.linalg.norm(items, axis=1, keepdims=True)).sum(0, dtype=np.float64)
        count += len(items)
    return np.asarray(total / max(count, 1), dtype=np.float32)


def part_embedding(weight: Floats, items: Floats, temperature: float) -> Floats:
    """Decoupled projection (dim,) of a unit weight onto some items (items, dim)."""
    norms = np.linalg.norm(items, axis=1)
    unit = items / norms[:, None]
    logits = temperature * (unit @ weight)
    share = np.exp(logits - logits.max())
    share /= share.sum()
    direction = share @ unit
    direction *= (share @ norms) / np.linalg.norm(direction)
    return np.asarray(direction, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Around:
    """What the concepts of one target are found with.

    Parameters
    ----------
    weight : (dim,) of unit length.
    whole : (dim,) its projection onto the whole bank, which stands for a single concept.
    top, vectors : its top places, nearest first, and their embeddings (items, dim).
    """

    weight: Floats
    whole: Floats
    top: Places
    vectors: Floats


def concepts_of(
    row: int, around: Around, mean: Floats, temperature: float, splitting: Splitting
) -> list[Concept]:
    """Concepts of one target.

    Parameters
    ----------
    mean : (dim,) mean direction of the bank.
    """
    top, vectors = around.top, around.vectors
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    parts = clusters(unit, mean, splitting)
    if len(parts) == 1:
        return [Concept(row, 0, len(parts[0]) / len(top), top[parts[0]], around.whole)]
    return [
        Concept(
            row,
            number,
            len(part) / len(top),
            top[part],
            part_embedding(around.weight, vectors[part], temperature),
        )
        for number, part in enumerate(parts)
    ]
