"""What captions of many targets say together: nouns by region, classes, people, maps.

A noun counts in a target as the share of its captions that have it (one caption for each draw of
the bank and each concept), so every number lies between 0 and 1. **Chance** is the share of the
bank's own captions that have the noun: what a target would say that prefers nothing. Null targets
and targets below the gate are rows beside the regions, never left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_array

from neuroattn.captioning.lexicon import CLASSES, OTHER, PEOPLE
from neuroattn.captioning.nouns import Finder, kind_of, nouns_of
from neuroattn.core.seeding import generator
from neuroattn.core.tables import rois_of
from neuroattn.stats.bootstrap import percentile_interval
from neuroattn.stats.text_tokens import words

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NULLS, ALL = "null targets", "all gated targets"
TOP_NOUNS: Final = ("roi", "noun", "class", "n", "share", "low", "high", "chance", "null")
_BLOCK = 2_000_000  # draws x targets of one group held at a time
_KEPT = 100_000  # captions whose nouns are remembered


@dataclass(frozen=True, eq=False)
class Said:
    """Which noun stands in the captions of which target.

    Parameters
    ----------
    nouns : in the singular, the most frequent first; kinds : class of each.
    share : (targets, nouns) share of a target's captions that have the noun; sparse, as most
        targets say a few of thousands.
    """

    nouns: tuple[str, ...]
    kinds: tuple[str, ...]
    share: Any

    def by_class(self) -> Floats:
        """Weight of each of `CLASSES` among a target's nouns (targets, classes).

        Rows add up to 1; NaN where a target has no noun.
        """
        one_hot = np.array([[kind == name for name in CLASSES] for kind in self.kinds], dtype=float)
        return _unit_sum(self.share @ one_hot.reshape(len(self.kinds), len(CLASSES)))


def _unit_sum(weight: Floats) -> Floats:
    """Rows that add up to 1; NaN where there is nothing."""
    total = weight.sum(axis=-1, keepdims=True)
    out: Floats = np.divide(weight, total, out=np.full_like(weight, np.nan), where=total > 0)
    return out


def said(captions: Sequence[Sequence[str]], find: Finder = nouns_of) -> Said:
    """Nouns of every target.

    Parameters
    ----------
    captions : of each target, one or more; none for a target that was not captioned.
    """
    rows = list(_shares(captions, find))
    count = _sums(rows)
    order = sorted(count, key=lambda word: (-round(count[word], 9), word))
    place = {word: column for column, word in enumerate(order)}
    ends = np.cumsum([0, *map(len, rows)])
    columns = np.array([place[word] for row in rows for word in row], dtype=np.int64)
    values = np.array([share for row in rows for share in row.values()], dtype=np.float64)
    table = csr_array((values, columns, ends), shape=(len(rows), len(order)))
    table.sort_indices()
    return Said(tuple(order), tuple(map(kind_of, order)), table)


def _shares(items: Iterable[Sequence[str]], find: Finder) -> Iterator[dict[str, float]]:
    """Of each item, noun -> share of its captions that have it; one item is held at a time."""
    known = lru_cache(_KEPT)(lambda caption: sorted({noun.word for noun in find(caption)}))
    for own in items:
        row: dict[str, float] = {}
        for caption in own:
            for word in known(caption):
                row[word] = row.get(word, 0.0) + 1 / len(own)
        yield row


def _sums(rows: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for row in rows:
        for word, share in row.items():
            total[word] = total.get(word, 0.0) + share
    return total


def base_rate(
    nouns: Sequence[str], bank: Sequence[Sequence[str]], find: Finder = nouns_of
) -> Floats:
    """Chance (nouns,): mean over the bank's items of the share of captions with each noun.

    NaN where the bank has no captions.

    Parameters
    ----------
    bank : captions of each item, one or more; items without any are passed over.
    """
    known = sum(map(bool, bank))
    if not known:
        return np.full(len(nouns), np.nan)
    total = _sums(_shares(bank, find))
    return np.array([total.get(noun, 0.0) / known for noun in nouns])


def groups(rois: Iterable[object], gated: Bools, null: Bools) -> dict[str, NDArray[np.int64]]:
    """Rows of each region, of all gated targets and of the null ones.

    Parameters
    ----------
    rois : cell of each target, names joined by ``|``.
    gated : (targets,) captioned because it passed the gate.
    null : (targets,) of shuffled responses.
    """
    members: dict[str, list[int]] = {}
    kept = gated & ~null
    for row, cell in enumerate(rois):
        if kept[row]:
            for name in rois_of(cell):
                members.setdefault(name, []).append(row)
    found = {ALL: np.flatnonzero(kept), NULLS: np.flatnonzero(null)}
    found |= {name: np.array(members[name], dtype=np.int64) for name in sorted(members)}
    return {name: rows for name, rows in found.items() if len(rows)}


def top_nouns(
    table: Said,
    members: Mapping[str, NDArray[np.int64]],
    chance: Floats,
    *,
    most: int = 10,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """The nouns that stand out in each group, with intervals over targets: `TOP_NOUNS`.

    First come nouns whose lower end lies above chance and above what null targets say, which is
    a captioner's habit, the furthest above first; then the others, the most frequent first.
    Neighbouring targets share signal and noise, and intervals over targets are narrow for it.

    Parameters
    ----------
    chance : (nouns,) base rate of each.
    most : nouns of a group.
    """
    null = members.get(NULLS, np.empty(0, dtype=np.int64))
    of_null = table.share[null].mean(axis=0) if len(null) else np.full(len(table.nouns), np.nan)
    habit = np.nan_to_num(np.fmax(chance, of_null))
    rows = []
    for name, targets in members.items():
        share = table.share[targets]
        value, (low, high) = share.mean(axis=0), _interval(share, draws, seed, name)
        above = np.nan_to_num(low) - habit
        order = np.lexsort((-value, np.where(above > 0, -above, 0.0)))
        rows += [
            (name, table.nouns[n], table.kinds[n], len(targets), value[n], low[n], high[n],
             chance[n], of_null[n])
            for n in [int(n) for n in order if value[n] > 0][:most]
        ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(TOP_NOUNS))


def class_shares(
    table: Said,
    members: Mapping[str, NDArray[np.int64]],
    bank: Sequence[Sequence[str]],
    *,
    find: Finder = nouns_of,
    draws: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Share of each class among the nouns of each group, with intervals over targets.

    Columns: roi class n share low high chance.
    """
    weights, chances = table.by_class(), class_chance(bank, find)
    rows = []
    for name, targets in members.items():
        own = weights[targets]
        own = own[np.isfinite(own).all(axis=1)]
        if not len(own):
            continue
        value, (low, high) = own.mean(axis=0), _interval(own, draws, seed, name)
        rows += [
            (name, kind, len(own), value[k], low[k], high[k], chances[k])
            for k, kind in enumerate(CLASSES)
        ]
    return pd.DataFrame(rows, columns=["roi", "class", "n", "share", "low", "high", "chance"])


def class_chance(bank: Sequence[Sequence[str]], find: Finder = nouns_of) -> Floats:
    """Chance (classes,): mean over the bank's items of the weight of each class; NaN without."""
    total, known = np.zeros(len(CLASSES)), 0
    for row in _shares(bank, find):
        weight = np.zeros(len(CLASSES))
        for word, share in row.items():
            weight[CLASSES.index(kind_of(word))] += share
        if row:  # an item without a noun has no classes
            total, known = total + _unit_sum(weight), known + 1
    return total / known if known else np.full(len(CLASSES), np.nan)


def _interval(values: Any, draws: int, seed: int, name: str) -> tuple[Floats, Floats]:
    """95 % of the means (columns,) over targets (targets, columns) drawn with replacement."""
    count = values.shape[0]
    if count < 2:
        nothing = np.full(values.shape[1], np.nan)
        return nothing, nothing
    rng = generator(seed, "captions", name)
    step = max(1, _BLOCK // count)
    parts = [
        rng.multinomial(count, np.full(count, 1 / count), size=min(step, draws - start)) @ values
        for start in range(0, draws, step)
    ]
    return percentile_interval(np.concatenate(parts) / count)


def person_share(table: Said) -> Floats:
    """Share (targets,) of a target's nouns that mean people, faces or parts of bodies."""
    weights = table.by_class()
    people = np.array([float(name in PEOPLE) for name in CLASSES])
    return np.asarray(weights @ people, dtype=np.float64)


def leading_class(table: Said, chance: Floats | None = None) -> list[str]:
    """The class of each target's nouns that lies furthest above chance; "" where no noun is.

    Parameters
    ----------
    chance : (classes,) share of each in the bank's captions: every caption may name a place, and
        that alone says nothing. NaN or None compares with nothing. `OTHER` decides no tie.
    """
    weights = table.by_class()
    expected = np.nan_to_num(chance) if chance is not None else np.zeros(len(CLASSES))
    expected = expected + 1e-9 * np.array([name == OTHER for name in CLASSES])
    above = np.where(weights > 0, weights - expected, -np.inf)
    known = np.asarray(np.isfinite(weights).all(axis=1)).tolist()
    return [
        CLASSES[best] if there else "" for best, there in zip(above.argmax(1), known, strict=True)
    ]


def vocabulary(captions: Iterable[str]) -> int:
    """Different words in all captions."""
    return len({word for caption in captions for word in words(caption)})
