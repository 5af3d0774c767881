"""A localiser in silico: predicted selectivity beside what a localiser measured."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_svg, to_webp
from neuroattn.figures.agreement import Panel, found_against_measured
from neuroattn.figures.comparison import Series, values_by_region
from neuroattn.reports.blocks import Block, Column, Notice, Picture, Prose, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column
from neuroattn.reports.wording import cell, count, plural, score, span

FILE, MAPS = "localiser.tsv", "selectivity.tsv"
COLUMNS = ("contrast", "measure", "r", "r_low", "r_high", "auc", "auc_low", "auc_high")
_MEASURES = {"difference": "difference, sd", "t": "t"}


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Agreement by contrast as a figure and a table, then a cloud of targets for each map."""
    artefact = sources.parents["predict"]
    if not artefact.has(FILE):
        return (Notice("note", "The pictures have no categories", _NO_CATEGORIES),)
    table = read_tsv(artefact.path(FILE), COLUMNS)
    maps = read_tsv(artefact.path(MAPS), ("target", "rois"))
    measured = [name for name in table["contrast"].unique() if f"measured-{name}" in maps]
    found: list[Block] = [_areas(sources, table)]
    if measured:
        found.append(_clouds(sources, table, maps, measured))
    else:
        found.append(Notice("note", "No localiser was measured", _NOT_MEASURED))
    planted = (_PLANTED,) if sources.simulated else ()
    return (*found, _table(table), Prose((_READING, *planted)))


_NO_CATEGORIES = "Put them into a folder for each category, or set predict.scenes=60."
_NOT_MEASURED = "The dataset has no t-maps of a localiser; regions alone can be compared."
_READING = (
    "Each category is contrasted with all other pictures. Difference: mean predicted response to"
    " the category less that to the others, in standard deviations of the measured responses; t:"
    " Welch's t of it, which grows with the number of pictures, since predictions have no noise of"
    " measurement. r: correlation over targets with the localiser's t values. Area under the curve:"
    " how often a target in a region drawn for the category is more selective for it than a target"
    " outside; 0.5 is chance. Intervals: 95 % over pictures, the targets being those there are."
)
_PLANTED = (
    "These maps are simulated: their t values were drawn from where a selectivity was planted, with"
    " noise, and know nothing of the responses."
)


def _areas(sources: Sources, table: pd.DataFrame) -> Picture:
    rows = table[table["measure"] == "difference"]
    compared = np.isfinite(column(rows, "auc")) | np.isfinite(column(rows, "r"))
    rows = rows[compared]
    names = [str(name) for name in rows["contrast"]]
    series = [
        Series(title, *(column(rows, f"{key}{end}") for end in ("", "_low", "_high")))
        for key, title in (("auc", "ROC area of its regions"), ("r", "r with measured t"))
        if np.isfinite(column(rows, key)).any()
    ]
    drawn = values_by_region(
        names, series, sources.stamp("predict"), title="A localiser in silico",
        subtitle="difference of predicted responses, category against all others; bars: 95 % over"
        " pictures", unit="Area under the ROC curve (chance 0.5), Pearson r (chance 0)",
        rows_are="Contrast",
    )  # fmt: skip
    told = "; ".join(
        f"{name} r {score(r)}, area {score(area)}"
        for name, r, area in zip(names, column(rows, "r"), column(rows, "auc"), strict=True)
    )
    return Picture(
        to_svg(drawn),
        alt=f"Agreement of predicted with measured selectivity. {cell(told)}",
        caption="Predicted selectivity against the localiser, by contrast: correlation over targets"
        " with the measured t values, and how well the category's regions are told from the rest.",
    )


def _clouds(
    sources: Sources, table: pd.DataFrame, maps: pd.DataFrame, measured: list[str]
) -> Picture:
    rows = table[table["measure"] == "difference"].set_index("contrast")
    panels = [
        Panel(
            title=f"{name}: r = {score(rows.at[name, 'r'])}",
            x=column(maps, f"measured-{name}"),
            y=column(maps, f"difference-{name}"),
            x_label="measured t",
            y_label="predicted difference (sd)",
            members=_members(maps, name),
        )
        for name in measured
    ]
    drawn = found_against_measured(
        panels, sources.stamp("predict"), title="Predicted against measured selectivity",
        subtitle=f"{plural(len(maps), 'target')} in each panel", member_name="in its regions",
    )  # fmt: skip
    return Picture(
        to_webp(drawn),
        alt="Predicted difference against measured t of every target, for "
        + cell(", ".join(measured)),
        caption="Every target: what the localiser measured, and the difference that the encoder"
        " predicts between the category and the other pictures.",
        format="webp",
    )


def _members(maps: pd.DataFrame, name: str) -> np.ndarray[Any, np.dtype[np.bool_]] | None:
    if f"region-{name}" not in maps:
        return None
    return column(maps, f"region-{name}") > 0


def _table(table: pd.DataFrame) -> Table:
    rows = tuple(
        (
            cell(row["contrast"]),
            _MEASURES.get(str(row["measure"]), cell(row["measure"])),
            score(row["r"]),
            span(row["r_low"], row["r_high"]),
            score(row["auc"]),
            span(row["auc_low"], row["auc_high"]),
            f"{count(row['n_pictures'])} / {count(row['n_others'])}",
            f"{count(row['n_region'])} / {count(row['n_targets'])}",
        )
        for _, row in table.iterrows()
    )
    numeric = ("r", "95 %", "area", "95 %", "pictures in / out", "targets in regions / with t")
    columns = (Column("Contrast"), Column("Measure"), *(Column(n, numeric=True) for n in numeric))
    return Table("Predicted selectivity by contrast.", columns, rows)
