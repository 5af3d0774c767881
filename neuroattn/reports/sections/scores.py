"""Scores by region and by target: figures, tables, and what an interval over targets means."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from neuroattn.core.tables import rois_of
from neuroattn.figures import Group, score_histogram, scores_by_roi, to_svg
from neuroattn.reports.blocks import Block, Column, Notice, Picture, Prose, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import ALL_TARGETS, Region, column, regions
from neuroattn.reports.wording import cell, count, plural, score, span

_SCORES = ("Mean r", "95 % interval over targets", "Median r", "r\u00b2", "R\u00b2", "Pooled r")


def by_region(sources: Sources) -> tuple[Block, ...]:
    """Figure and table of regions, best mean first."""
    found = regions(sources.scores)
    limit = sources.options.max_rois + 1  # the row of all targets comes on top
    shown, hidden = found[:limit], found[limit:]
    explained: list[Block] = [_picture(sources, shown), _region_table(sources, shown)]
    if len(found) == 1:
        explained.append(Notice("note", "No target belongs to a named region"))
    if hidden:
        explained.append(
            Notice("note", f"{plural(len(hidden), 'region')} more, with lower means, in scores.tsv")
        )
    ceilings = any(region.n_nc for region in shown)
    return (*explained, Prose((_READING, _READING_CEILING) if ceilings else (_READING,)))


_READING = (
    "r is Pearson's correlation between measured and predicted responses over the test images of"
    " a fold, averaged over folds, then over targets. r\u00b2 is the mean over folds of r squared"
    " with negative r counted as 0; R\u00b2 is the coefficient of determination; pooled r takes the"
    " test images of all folds as one sample. Intervals over images are a bootstrap of the test"
    " images: what other images would give for these targets. Intervals over targets are Student's"
    " t: how well the mean over targets is known; neither says what other subjects would give."
    " Neighbouring targets share signal and noise, which makes the latter narrow."
)


def _picture(sources: Sources, shown: list[Region]) -> Picture:
    found = sources.image_intervals
    over = "test images" if found else "targets"
    groups = [
        Group(
            region.name,
            region.scores,
            region.mean,
            *(found.get(region.name, (math.nan, math.nan)) if found else (region.low, region.high)),
        )
        for region in shown
        if math.isfinite(region.mean)
    ]
    drawn = scores_by_roi(groups, sources.stamp("encode"), over=over)
    listed = "; ".join(f"{group.name} {score(group.mean)}" for group in groups[:12])
    return Picture(
        to_svg(drawn),
        alt=f"Prediction accuracy of every target by region of interest. Mean r: {cell(listed)}",
        caption="Prediction accuracy by region. Points: single targets. Diamond and bar: mean and"
        f" 95 % interval over {over}. Regions stand from the best mean to the worst.",
    )


_OVER_CEILING = ("r\u00b2 / ceiling", "capped at 1", "n with a ceiling")
_READING_CEILING = (
    "r\u00b2 / ceiling is r\u00b2 over the noise ceiling of the test images, the largest share of"
    " variance that any model could explain, over targets whose ceiling reaches the threshold. It"
    " may exceed 1 by sampling error; capped at 1 for each target, as often published, a perfect"
    " model scores below 1."
)


def _region_table(sources: Sources, shown: list[Region]) -> Table:
    over_images = sources.image_intervals
    nowhere = (math.nan, math.nan)
    ceilings = any(region.n_nc for region in shown)
    rows = tuple(
        (
            cell(region.name),
            count(region.n),
            score(region.mean),
            *([span(*over_images.get(region.name, nowhere))] if over_images else []),
            span(region.low, region.high),
            score(region.median),
            score(region.r_squared),
            score(region.r2),
            score(region.r_pooled),
            *(_over_ceiling(region) if ceilings else ()),
        )
        for region in shown
    )
    columns = (
        Column("Region"),
        Column("n targets", numeric=True),
        *(Column(title, numeric=True) for title in _titles(bool(over_images))),
        *(Column(title, numeric=True) for title in (_OVER_CEILING if ceilings else ())),
    )
    caption = "Scores by region of interest; a target counts in every region it belongs to."
    return Table(caption, columns, rows, emphasis=shown[0].name == ALL_TARGETS)


def _titles(over_images: bool) -> list[str]:
    first, *others = _SCORES
    return [first, *(["95 % interval over images"] if over_images else []), *others]


def _over_ceiling(region: Region) -> tuple[str, str, str]:
    return score(region.over_nc), score(region.capped), count(region.n_nc)


def by_target(sources: Sources) -> tuple[Block, ...]:
    """Histogram over targets, then the best and the worst of them."""
    table, most = sources.scores, sources.options.max_targets_in_table
    r = column(table, "r")
    order = [int(row) for row in np.argsort(-r, kind="stable") if np.isfinite(r[row])]
    found: list[Block] = [_histogram(sources, r)]
    if len(order) <= 2 * most:
        found.append(_target_table("All targets with a defined score, best first.", table, order))
    else:
        best, worst = f"The {most} best predicted targets.", f"The {most} worst predicted targets."
        found.append(_target_table(best, table, order[:most]))
        found.append(_target_table(worst, table, order[-most:]))
    undefined = len(table) - len(order)
    if undefined:
        found.append(
            Notice(
                "warning",
                f"{plural(undefined, 'target')} without a defined score",
                "A correlation is undefined where measured or predicted responses are constant.",
            )
        )
    where = f"All {plural(len(table), 'target')} are in scores.tsv of {sources.name('encode')}."
    return (*found, Prose((where,)))


def _histogram(sources: Sources, r: np.ndarray) -> Picture:
    known = r[np.isfinite(r)]
    median = score(float(np.median(known))) if known.size else "n/a"
    return Picture(
        to_svg(score_histogram(r, sources.stamp("encode"))),
        alt=f"Histogram of prediction accuracy over {known.size:,} targets, median {median}",
        caption=f"Prediction accuracy over {plural(known.size, 'target')}; the line marks the"
        " median.",
    )


def _target_table(caption: str, table: pd.DataFrame, rows: list[int]) -> Table:
    chosen = table.iloc[rows]
    named = {
        "Target": [cell(value) for value in chosen["target"]],
        "Hemisphere": [cell(value) for value in chosen["hemisphere"]],
        "Regions": [cell(", ".join(rois_of(value))) or "none" for value in chosen["rois"]],
    }
    if not any(named["Hemisphere"]):
        del named["Hemisphere"]
    titles = {"r": "r", "r_squared": "r\u00b2", "r2": "R\u00b2", "r_pooled": "Pooled r"}
    numbers = {title: map(score, column(chosen, name)) for name, title in titles.items()}
    columns = (*map(Column, named), *(Column(title, numeric=True) for title in numbers))
    cells = zip(*named.values(), *numbers.values(), strict=True)
    return Table(caption, columns, tuple(cells))
