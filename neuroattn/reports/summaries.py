"""The arithmetic of the report: scores by region, checks of the split. Tables in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from neuroattn.core.tables import CEILINGS, rois_of

Floats = np.ndarray[Any, np.dtype[np.float64]]

LEVEL = 0.95
FEWEST = 5  # targets of which an interval is told
ALL_TARGETS = "all targets"


@dataclass(frozen=True)
class Region:
    """Scores of the targets of one region.

    ``n`` counts its targets, ``scores`` (n,) holds their r with NaN where undefined; the
    other numbers are means over targets with a defined value. ``over_nc`` and ``capped`` are
    r squared over the noise ceiling, ``n_nc`` the targets that reach the ceiling's threshold.
    """

    name: str
    scores: Floats
    mean: float
    low: float
    high: float
    median: float
    r_squared: float
    r2: float
    r_pooled: float
    over_nc: float = math.nan
    capped: float = math.nan
    n_nc: int = 0

    @property
    def n(self) -> int:
        """Number of targets, scored or not."""
        return int(self.scores.size)


def regions(scores: pd.DataFrame) -> list[Region]:
    """All targets first, then every region from the best mean to the worst.

    A target counts in every region that it belongs to; ties keep the order of the table.
    """
    return [_region(name, scores.iloc[rows]) for name, rows in rows_by_region(scores)]


def rows_by_region(scores: pd.DataFrame) -> list[tuple[str, list[int]]]:
    """Names and rows in the order of `regions`."""
    members: dict[str, list[int]] = {}
    for row, value in enumerate(scores["rois"]):
        for name in rois_of(value):
            members.setdefault(name, []).append(row)
    r = column(scores, "r")
    best = {name: mean(r[rows]) for name, rows in members.items()}
    named = sorted(members, key=lambda name: -best[name] if math.isfinite(best[name]) else math.inf)
    everything = (ALL_TARGETS, list(range(len(scores))))
    return [everything, *((name, members[name]) for name in named)]


def _region(name: str, scores: pd.DataFrame) -> Region:
    r = column(scores, "r")
    known = r[np.isfinite(r)]
    low, high = interval(known)
    return Region(
        name=name,
        scores=r,
        mean=mean(known),
        low=low,
        high=high,
        median=float(np.median(known)) if known.size else math.nan,
        r_squared=mean(column(scores, "r_squared")),
        r2=mean(column(scores, "r2")),
        r_pooled=mean(column(scores, "r_pooled")),
        **_over_nc(scores),
    )


def _over_nc(scores: pd.DataFrame) -> dict[str, Any]:
    """Scores over the noise ceiling, where the table has them."""
    _, uncapped, capped, _ = CEILINGS
    if uncapped not in scores:
        return {}
    over = column(scores, uncapped)
    return {
        "over_nc": mean(over),
        "capped": mean(column(scores, capped)),
        "n_nc": int(np.isfinite(over).sum()),
    }


def column(table: pd.DataFrame, name: str) -> Floats:
    """A column as float64 (rows,), NaN where missing."""
    return np.asarray(pd.to_numeric(table[name], errors="coerce"), dtype=np.float64)


def mean(values: Floats) -> float:
    """Mean over finite values; NaN where there are none."""
    known = values[np.isfinite(values)]
    return float(np.mean(known)) if known.size else math.nan


def interval(values: Floats, level: float = LEVEL) -> tuple[float, float]:
    """Student's t interval of the mean over ``values`` (targets,); NaN for fewer than five.

    It treats targets as independent draws. Neighbouring targets are not, so it is narrow. With
    two or three targets it would reach beyond -1 and 1, and tell nothing.
    """
    if values.size < FEWEST:
        return math.nan, math.nan
    error = float(np.std(values, ddof=1)) / math.sqrt(values.size)
    reach = float(stdtrit(values.size - 1, 0.5 + level / 2)) * error
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach


@dataclass(frozen=True)
class Fold:
    """One fold: images on each side, and images that stand on both."""

    name: str
    train: frozenset[int]
    test: frozenset[int]

    @property
    def both(self) -> frozenset[int]:
        """Images on both sides; any is a leak."""
        return self.train & self.test


def folds(table: pd.DataFrame) -> list[Fold]:
    """The folds of ``folds.tsv``, in the order of their numbers."""

    def images(rows: pd.DataFrame, side: str) -> frozenset[int]:
        return frozenset(int(image) for image in rows.loc[rows["side"] == side, "image"])

    return [
        Fold(str(name), images(rows, "train"), images(rows, "test"))
        for name, rows in table.groupby("fold", sort=True)
    ]


@dataclass(frozen=True)
class SourceShare:
    """How many of a fold's test images use a source that training images use as well."""

    sources: int
    test_images: int
    seen: int


def source_share(images: pd.DataFrame, split: list[Fold]) -> SourceShare | None:
    """Shared sources (original photographs, exemplars) summed over folds; None if none is known.

    Compositions of one source are no independent images, so sources are what is counted.
    """
    known = {int(image): set(names) for image, names in _sources(images)}
    if not any(known.values()):
        return None
    tested = seen = 0
    for fold in split:
        trained = set().union(*(known.get(image, set()) for image in fold.train))
        tested += len(fold.test)
        seen += sum(bool(known.get(image, set()) & trained) for image in fold.test)
    return SourceShare(len(set().union(*known.values())), tested, seen)


def _sources(images: pd.DataFrame) -> Iterator[tuple[Any, list[str]]]:
    for image, source in zip(images["image"], images["source"], strict=True):
        names = "" if pd.isna(source) else str(source)
        yield image, [name for name in names.split("|") if name]
