"""Other encoders of the same dataset beside the main one: accuracy with intervals by region.

Whether two of them differ is told by the stage ``compare``, which resamples them together.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_svg
from neuroattn.figures.comparison import MOST, Series, values_by_region
from neuroattn.reports.blocks import Block, Column, Details, Notice, Picture, Prose, Table
from neuroattn.reports.registry import OTHER
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import ALL_TARGETS
from neuroattn.reports.wording import cell, count, plural, score, span

ROIS = ("roi", "n_targets", "r", "r_low", "r_high", "r_squared_over_nc")
MOST_OPEN = 8  # regions whose table is not folded away
Tables = dict[str, pd.DataFrame]


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Figure and table; nothing where no other encoder is named."""
    others = {key: item for key, item in sources.parents.items() if key.startswith(OTHER)}
    if not others or not sources.has("encode"):
        return ()
    artefacts = [sources.parents["encode"], *others.values()]
    tables = {
        artefact.label: read_tsv(artefact.path("rois.tsv"), ROIS).set_index("roi")
        for artefact in artefacts
    }
    first = next(iter(tables.values()))
    order = [ALL_TARGETS, *first.drop(ALL_TARGETS).sort_values("r", ascending=False).index]
    regions = [name for name in order if name in first.index][: sources.options.max_rois + 1]
    found: list[Block] = [*_cautions(artefacts), _picture(sources, tables, regions)]
    if len(tables) > MOST:
        found.append(Notice("note", f"{plural(len(tables) - MOST, 'model')} only in the table"))
    table: Block = _table(tables, regions)
    if len(regions) > MOST_OPEN:
        table = Details("All numbers of this figure", (table,))
    return (*found, table, Prose((_READING,)))


_READING = (
    "Intervals are from the bootstrap over test images: how a model's mean over these targets would"
    " vary with other test images. They overlap even where one model is better at nearly every"
    " image; the stage compare tests paired differences."
)


def _cautions(artefacts: list[Artefact]) -> list[Block]:
    """What makes the numbers of two encoders incomparable."""
    main, *others = artefacts
    found: list[Block] = []
    for other in others:
        if _prepared(main) != _prepared(other):
            text = "Fit both on one dataset, with the same keys under dataset."
            found.append(Notice("warning", f"{other.label} was fitted to other data", text))
        elif not _same_folds(main, other):
            text = "Scores on different images are no comparison: give both the same dataset.split."
            found.append(Notice("warning", f"{other.label} was tested on other images", text))
    return found


def _prepared(artefact: Artefact) -> Any:
    return artefact.inputs.get("prepare")


def _same_folds(first: Artefact, second: Artefact) -> bool:
    left, right = (item.table("folds.tsv") for item in (first, second))
    return left.equals(right)


def _picture(sources: Sources, tables: Tables, regions: list[str]) -> Picture:
    series = [
        Series(name, *(_column(table, regions, key) for key in ("r", "r_low", "r_high")))
        for name, table in tables.items()
    ]
    drawn = values_by_region(
        regions,
        series,
        sources.stamp("encode"),
        title="Prediction accuracy of each model",
        subtitle="mean over targets; bars: 95 % intervals over test images",
        unit="Prediction accuracy (Pearson r, mean over folds)",
    )
    overall = "; ".join(f"{each.name} {score(float(each.value[0]))}" for each in series)
    return Picture(
        to_svg(drawn),
        alt=f"Accuracy by region and model. Mean r over all targets: {cell(overall)}",
        caption="Prediction accuracy by region and model, with bootstrap intervals over test"
        " images. Regions stand from the best mean of the first model to its worst.",
    )


def _table(tables: Tables, regions: list[str]) -> Table:
    rows = tuple(
        (
            cell(roi) if place == 0 else "",
            cell(name),
            score(table["r"].get(roi)),
            span(table["r_low"].get(roi, np.nan), table["r_high"].get(roi, np.nan)),
            score(table["r_squared_over_nc"].get(roi)),
            count(table["n_targets"].get(roi)),
        )
        for roi in regions
        for place, (name, table) in enumerate(tables.items())
    )
    numeric = ("Mean r", "95 % interval over images", "r\u00b2 / ceiling", "n targets")
    columns = (Column("Region"), Column("Model"), *(Column(name, numeric=True) for name in numeric))
    return Table(f"{plural(len(tables), 'model')} by region of interest.", columns, rows)


def _column(table: pd.DataFrame, regions: list[str], key: str) -> np.ndarray[Any, Any]:
    values = pd.to_numeric(table[key], errors="coerce").reindex(regions)
    return np.asarray(values, dtype=np.float64)
