"""Parcels: clusters of targets that share a query, or the names that an atlas file gives them.

Clusters are found by k-means in each hemisphere, over the standardised responses to the training
images or over places on the cortex. A cluster with too few targets joins the one whose centre is
nearest to its own. (The public code of the whole-brain encoder of Hwang et al. 2025 takes the
largest distance there, so it joins what is most unlike.)
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.tables import read_tsv

Points = NDArray[np.float32]
Labels = NDArray[np.int64]
ROUNDS = 100
AXES = 128  # random directions that stand in for many training images


def parcel_names(
    points: Points,
    hemispheres: Sequence[str],
    count: int,
    least: int,
    random: np.random.Generator,
) -> list[str]:
    """The parcel of each target (targets,), numbered within its hemisphere.

    Parameters
    ----------
    points : (targets, axes); near ones are alike.
    count : clusters of each hemisphere; no more than it has targets.
    least : fewest targets of a cluster.
    """
    sides, names = np.asarray(hemispheres), np.empty(len(points), dtype=object)
    for side in np.unique(sides):
        rows = np.flatnonzero(sides == side)
        labels = clusters(points[rows], min(count, len(rows)), random)
        _, order = np.unique(merged(points[rows], labels, least), return_inverse=True)
        names[rows] = [f"parcel-{number:04d}" for number in order.tolist()]
    return [str(name) for name in names]


def clusters(points: Points, count: int, random: np.random.Generator) -> Labels:
    """Cluster of each point by k-means, begun with far-apart points (k-means++)."""
    centres = _begin(points, count, random)
    labels = np.full(len(points), -1, dtype=np.int64)
    for _ in range(ROUNDS):
        found = _distances(points, centres).argmin(1)
        if np.array_equal(found, labels):
            break
        labels = found
        for one in np.unique(labels):  # an empty cluster keeps its centre
            centres[one] = points[labels == one].mean(0)
    return labels


def merged(points: Points, labels: Labels, least: int) -> Labels:
    """Labels after every cluster of fewer than ``least`` points, smallest first, joined another."""
    labels = labels.copy()
    while True:
        there, sizes = np.unique(labels, return_counts=True)
        small = int(sizes.argmin())
        if len(there) == 1 or sizes[small] >= least:
            return labels
        centres = np.stack([points[labels == one].mean(0) for one in there])
        away = np.square(centres - centres[small]).sum(1)
        away[small] = np.inf
        labels[labels == there[small]] = there[away.argmin()]


def response_points(
    responses: NDArray[np.float32], random: np.random.Generator
) -> NDArray[np.float32]:
    """(targets, axes): standardised responses (rows, targets), of many rows random mixtures.

    Distances between targets survive the random mixtures within a few per cent (Johnson and
    Lindenstrauss), at 1 % of the cost for 9,000 images.
    """
    mean, sd = responses.mean(0, dtype=np.float64), responses.std(0, dtype=np.float64)
    scale = np.divide(1.0, sd, out=np.zeros_like(sd), where=sd > 0).astype(np.float32)
    rows = len(responses)
    mixing: NDArray[np.float32] = np.eye(rows, dtype=np.float32)
    if rows > AXES:
        mixing = (random.standard_normal((AXES, rows)) / AXES**0.5).astype(np.float32)
    mixed = mixing @ responses - np.outer(mixing.sum(1), mean.astype(np.float32))
    return np.asarray((mixed * scale).T, dtype=np.float32)


def atlas_names(path: Path, targets: pd.DataFrame) -> list[str]:
    """The parcel of each target from a file; empty for a target in none.

    Parameters
    ----------
    targets : the fitted ones; their column ``target`` says where they stand in the file.

    Raises
    ------
    DataError : the file does not have a parcel for each of them.
    """
    known = _from_table(path) if path.suffix == ".tsv" else _from_array(path)
    wanted = targets["target"] if "target" in targets else pd.Series(range(len(targets)))
    absent = [int(target) for target in wanted if int(target) not in known]
    if absent:
        raise DataError(
            "the atlas does not belong to these targets",
            file=path,
            expected=f"a parcel, or an empty name, for each of {len(wanted)} targets",
            found=f"none for the targets {', '.join(map(str, absent[:5]))}"
            + (f" and {len(absent) - 5} more" if len(absent) > 5 else ""),
            fix="write one row for each target of targets.tsv, by its column target",
        )
    return [known[int(target)] for target in wanted]


def _from_table(path: Path) -> dict[int, str]:
    table = read_tsv(path, ("target", "parcel"))
    names = table["parcel"].fillna("").astype(str)
    return dict(zip(table["target"].astype(int).tolist(), names.tolist(), strict=True))


def _from_array(path: Path) -> dict[int, str]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            "the atlas cannot be read", file=path, expected="a .npy of names or numbers (targets,)",
            found=str(error), fix="save it with numpy.save, as text or integers",
        ) from error  # fmt: skip
    if values.ndim != 1 or values.dtype.kind not in "iuUS":
        raise DataError(
            "the atlas is no list of parcels", file=path, expected="(targets,) of text or integers",
            found=f"{values.shape} of {values.dtype}", fix="save one name for each target",
        )  # fmt: skip
    return {row: str(value) for row, value in enumerate(values.astype(str).tolist())}


def _begin(points: Points, count: int, random: np.random.Generator) -> Points:
    chosen = [int(random.integers(len(points)))]
    away = np.square(points - points[chosen[0]]).sum(1, dtype=np.float64)
    for _ in range(count - 1):
        total = away.sum()
        share = away / total if total > 0 else np.full(len(points), 1 / len(points))
        chosen.append(int(random.choice(len(points), p=share)))
        away = np.minimum(away, np.square(points - points[chosen[-1]]).sum(1, dtype=np.float64))
    return points[chosen].copy()


def _distances(points: Points, centres: Points) -> Points:
    """Squared distances (points, centres), less the part that is equal for all centres."""
    return np.asarray(np.square(centres).sum(1) - 2 * points @ centres.T, dtype=np.float32)
