"""Several subjects of a comparison: each one, the mean over them, and the prevalence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_svg
from neuroattn.figures.comparison import MOST, Series, values_by_region
from neuroattn.reports.blocks import Block, Column, Details, Picture, Prose, Subheading, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import ALL_TARGETS, column
from neuroattn.reports.wording import cell, score, span

SUBJECTS = ("subject", "model", "roi", "r", "r_low", "r_high")
GROUP = ("model", "roi", "n_subjects", "r", "r_low", "r_high", "prevalence")
PAIRS = ("first", "second", "roi", "difference", "difference_low", "difference_high")


def subjects(sources: Sources) -> tuple[Block, ...]:
    """Figures over regions and the table over all targets; nothing with a single subject."""
    artefact = sources.parents["compare"]
    if not artefact.has("subjects.tsv"):
        return ()
    each = read_tsv(artefact.path("subjects.tsv"), SUBJECTS)
    group = read_tsv(artefact.path("group.tsv"), GROUP)
    regions = _regions(group, sources.options.max_rois)
    found: list[Block] = [Subheading("Subjects"), _accuracy(sources, group, regions)]
    if artefact.has("group-pairs.tsv"):
        pairs = read_tsv(artefact.path("group-pairs.tsv"), PAIRS)
        found.append(_differences(sources, pairs, regions))
    found += [_table(each, group), Prose((_READING,)), _single(sources, each, regions)]
    return tuple(found)


_READING = (
    "Prevalence: the share of the population that would show the effect in this experiment, from"
    " how many subjects show it (most probable value and interval of highest density). Regions and"
    " pairs stand in group.tsv and group-pairs.tsv."
)


def _regions(group: pd.DataFrame, most: int) -> list[str]:
    """All targets, then regions from the highest mean."""
    means = group.assign(r=column(group, "r")).groupby("roi", sort=False)["r"].mean()
    named = means.drop(ALL_TARGETS, errors="ignore").sort_values(ascending=False, kind="stable")
    return [ALL_TARGETS, *map(str, named.index[:most])]


def _accuracy(sources: Sources, group: pd.DataFrame, regions: Sequence[str]) -> Picture:
    named = list(group.groupby("model", sort=False))[:MOST]
    series = [_series(str(name), part, regions, "r") for name, part in named]
    drawn = values_by_region(
        regions, series, sources.stamp("compare"), title="Accuracy over subjects",
        subtitle=f"mean over {_counted(group)}; bars: 95 % intervals over subjects",
        unit="Prediction accuracy (Pearson r)",
    )  # fmt: skip
    told = "; ".join(f"{each.name} {score(float(each.value[0]))}" for each in series)
    return Picture(
        to_svg(drawn),
        alt=f"Mean accuracy over subjects by region and model. All targets: {cell(told)}",
        caption="Accuracy by region and model, averaged over subjects. Bars say how the mean would"
        " vary with other subjects.",
    )


def _differences(sources: Sources, pairs: pd.DataFrame, regions: Sequence[str]) -> Picture:
    named = list(pairs.groupby(["first", "second"], sort=False))[:MOST]
    series = [
        _series(f"{first} \u2212 {second}", part, regions, "difference")
        for (first, second), part in named
    ]
    drawn = values_by_region(
        regions, series, sources.stamp("compare"), title="Differences over subjects",
        subtitle="right of 0: the first model is better; bars: 95 % intervals over subjects",
        unit="Difference in accuracy (Pearson r)",
    )  # fmt: skip
    told = "; ".join(f"{each.name} {score(float(each.value[0]))}" for each in series)
    return Picture(
        to_svg(drawn),
        alt=f"Mean differences over subjects by region. All targets: {cell(told)}",
        caption="Differences between two models within each subject, averaged over subjects.",
    )


def _single(sources: Sources, each: pd.DataFrame, regions: Sequence[str]) -> Details:
    """A figure for each model with every subject in it."""
    pictures = []
    for model, part in each.groupby("model", sort=False):
        named = list(part.groupby("subject", sort=False))
        series = [_series(str(name), own, regions, "r") for name, own in named]
        drawn = values_by_region(
            regions, series[:MOST], sources.stamp("compare"), title=f"Every subject: {model}",
            subtitle="mean over targets; bars: 95 % intervals over test images",
            unit="Prediction accuracy (Pearson r)",
        )  # fmt: skip
        told = "; ".join(f"{one.name} {score(float(one.value[0]))}" for one in series)
        alt = f"Accuracy of {cell(model)} in every subject. All targets: {cell(told)}"
        caption = f"{cell(model)}: accuracy of every subject by region, {MOST} subjects at most."
        pictures.append(Picture(to_svg(drawn), alt=alt, caption=caption))
    return Details("Every subject by region", tuple(pictures))


def _series(name: str, part: pd.DataFrame, regions: Sequence[str], key: str) -> Series:
    index = part["roi"].map(str)
    values = (
        pd.Series(column(part, f"{key}{end}"), index=index).reindex(list(regions)).to_numpy()
        for end in ("", "_low", "_high")
    )
    return Series(name, *(np.asarray(value, dtype=np.float64) for value in values))


def _counted(group: pd.DataFrame) -> str:
    known = column(group, "n_subjects")
    return f"{int(np.nanmax(known))} subjects"


def _table(each: pd.DataFrame, group: pd.DataFrame) -> Table:
    whole = each[each["roi"] == ALL_TARGETS]
    names = list(dict.fromkeys(whole["subject"].map(str)))
    rows = []
    for _, row in group[group["roi"] == ALL_TARGETS].iterrows():
        part = whole[whole["model"] == row["model"]]
        own = dict(zip(part["subject"].map(str), column(part, "r"), strict=True))
        rows.append(
            (
                cell(row["model"]),
                *(score(own.get(name)) for name in names),
                f"{score(row['r'])} ({span(row['r_low'], row['r_high'])})",
                f"{score(row['prevalence'])} ({_span(row, 'prevalence')})",
            )
        )
    titles = (*names, "Mean (95 % over subjects)", "Prevalence of r above 0 (95 %)")
    columns = (Column("Model"), *(Column(cell(title), numeric=True) for title in titles))
    return Table("Mean r over all targets, every subject.", columns, tuple(rows))


def _span(row: pd.Series[Any], name: str) -> str:
    return span(row[f"{name}_low"], row[f"{name}_high"])
