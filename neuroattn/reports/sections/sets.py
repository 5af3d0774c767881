"""Sets of pictures side by side: from captions, guided, unguided, and the real ones on top.

Which way of asking for pictures drives a region most? Artefacts of ``synthesize`` by several
methods stand beside each other for the objectives that they share, by guide and by judge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_svg
from neuroattn.figures.comparison import Series, values_by_region
from neuroattn.reports.blocks import Block, Column, Details, Picture, Prose, Table
from neuroattn.reports.registry import SYNTHESIS
from neuroattn.reports.sections.synthesis import GAINS, IMAGES, NONE, REAL, STAGE
from neuroattn.reports.sections.words import CAPTIONS, PRIMED, method, words
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count, score, span
from neuroattn.stats.pictures import mean_and_interval

_NAMES = {
    CAPTIONS: "from captions", PRIMED: "words, then guided", NONE: "unguided",
    "best_of_n": "best of n", "retrieval": "retrieval",
}  # fmt: skip
_REAL = "top natural pictures"
_BY = (
    ("judge", "Predicted activation by the judge"),
    ("guide", "Predicted activation by the guide"),
)
_OBJECTIVES = 24
Rows = list[tuple[str, str, str, float, float, float, int]]  # objective set by value low high n


def blocks(sources: Sources) -> tuple[Block, ...]:
    """A figure by each encoder that looks, the table, and what captions said; else nothing."""
    parts = _parts(sources)
    if len(parts) < 2 and CAPTIONS not in parts:
        return ()
    table = pd.DataFrame(
        _measured(parts), columns=["objective", "set", "by", "value", "low", "high", "n"]
    )
    return (
        Prose((_READING,)),
        *_figures(sources, table),
        _table(table),
        *_said(parts, sources.parents.get(STAGE)),
    )


_READING = (
    "The same objectives by several ways: pictures drawn from the captions of a region's targets,"
    " pictures guided by the encoder's gradient, the generator alone, and the real test pictures"
    " that the guide puts highest. Guided pictures were made to please the guide, and the real ones"
    " were selected by it, so the judge, which had a part in neither, is the one to believe. Real"
    " pictures that an encoder learned from are left out of its mean: with two folds that is every"
    " one for the judge; three folds, or named test pictures, leave it some."
    " Pictures from captions are worth something if they stand above unguided ones."
)


def _parts(sources: Sources) -> dict[str, Artefact]:
    """Method -> the first artefact by it, the main one before the others."""
    all_of = [sources.parents[STAGE]] if sources.has(STAGE) else []
    all_of += [one for name, one in sorted(sources.parents.items()) if name.startswith(SYNTHESIS)]
    found: dict[str, Artefact] = {}
    for one in all_of:
        found.setdefault(method(one), one)
    return found


def _measured(parts: Mapping[str, Artefact]) -> Iterator[tuple[Any, ...]]:
    """Every set of every part once: drawn, unguided (of the first that has them), real."""
    seen: set[tuple[str, str, str]] = set()
    for artefact in parts.values():
        drawn = read_tsv(artefact.path("images.tsv"), IMAGES)
        sets = [(str(name), rows) for name, rows in drawn.groupby("method", sort=False)]
        if artefact.has("real.tsv"):
            sets.append((_REAL, read_tsv(artefact.path("real.tsv"), REAL)))
        for name, rows in sets:
            for objective, own in rows.groupby("objective", sort=False):
                for by, _ in _BY:
                    key = (str(objective), _NAMES.get(name, name), by)
                    values = _predicted(own, by)
                    known = int(np.isfinite(values).sum())
                    if known and key not in seen:
                        seen.add(key)
                        yield (*key, *mean_and_interval(values), known)


def _predicted(rows: pd.DataFrame, by: str) -> NDArray[np.float64]:
    """What an encoder says of pictures that it did not learn from."""
    values = rows[f"{by}_activation"].to_numpy(dtype=float)
    if f"{by}_learned" not in rows:
        return values
    kept: NDArray[np.float64] = values[rows[f"{by}_learned"].to_numpy() == 0]
    return kept


def _figures(sources: Sources, table: pd.DataFrame) -> Iterator[Picture]:
    objectives = [str(one) for one in dict.fromkeys(table["objective"])][:_OBJECTIVES]
    for by, unit in _BY:
        own = table[table["by"] == by]
        if not len(own):
            continue
        series = [
            _series(str(name), rows, objectives) for name, rows in own.groupby("set", sort=False)
        ]
        figure = values_by_region(
            objectives, series, sources.stamp(STAGE), title=unit,
            subtitle="mean over pictures; bars: 95 % intervals over pictures", unit=unit,
            rows_are="Objective",
        )  # fmt: skip
        told = "; ".join(f"{one.name} {score(float(np.nanmean(one.value)))}" for one in series)
        yield Picture(
            to_svg(figure),
            alt=f"{unit} of sets of pictures, by objective. Means: {cell(told)}",
            caption=f"{unit}. A predicted activation is what an encoder believes, not a measured"
            " one. Numbers of pictures stand in the table.",
        )


def _series(name: str, rows: pd.DataFrame, objectives: list[str]) -> Series:
    own = rows.set_index("objective").reindex(objectives)
    return Series(name, *(own[key].to_numpy(dtype=float) for key in ("value", "low", "high")))


def _table(table: pd.DataFrame) -> Table:
    rows = []
    for (objective, name), own in table.groupby(["objective", "set"], sort=False):
        by = own.set_index("by").reindex([who for who, _ in _BY])
        cells: list[str] = []
        for value, low, high in by[["value", "low", "high"]].to_numpy(dtype=float):
            cells += [score(value), span(low, high)]
        rows.append((cell(objective), cell(name), *cells, count(int(own["n"].max()))))
    titles = ("Judge", "95 %", "Guide", "95 %", "n pictures")
    columns = (Column("Objective"), Column("Pictures"),
               *(Column(title, numeric=True) for title in titles))  # fmt: skip
    return Table("Predicted activation of each set of pictures.", columns, tuple(rows))


def _said(parts: Mapping[str, Artefact], main: Artefact | None) -> Iterator[Block]:
    """The words of other artefacts than the main one, whose section has its own; their gains."""
    for one in parts.values():
        if one is not main:
            yield from words(one)
    artefact = parts.get(CAPTIONS)
    if artefact is not None and artefact.has("gains.tsv"):
        gains = read_tsv(artefact.path("gains.tsv"), GAINS)
        cells = tuple(
            (cell(row["objective"]), cell(row["measure"]), score(row["gain"]),
             span(row["low"], row["high"]), count(row["n"]))
            for _, row in gains.iterrows()
        )  # fmt: skip
        titles = ("Gain", "95 % interval over seeds", "n seeds")
        heads = (
            Column("Objective"),
            Column("By"),
            *(Column(name, numeric=True) for name in titles),
        )
        caption = "Pictures from captions less unguided pictures of the same seeds."
        yield Details("Gains of pictures from captions", (Table(caption, heads, cells),))
