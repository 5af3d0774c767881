"""Comparison of encoders: accuracy, differences, ensemble, variance, subjects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv, rois_of
from neuroattn.figures import to_svg
from neuroattn.figures.comparison import (
    MOST,
    Growth,
    Series,
    learning_curves,
    values_by_region,
    weights_by_region,
)
from neuroattn.reports.blocks import (
    Block,
    Column,
    Details,
    Notice,
    Picture,
    Prose,
    Subheading,
    Table,
)
from neuroattn.reports.sections import group, predictions, scores
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import ALL_TARGETS, column
from neuroattn.reports.wording import cell, count, plural, said, score, span

Floats = np.ndarray[Any, np.dtype[np.float64]]

MODELS = ("model", "roi", "n_targets", "training_images", "r", "r_low", "r_high", "share_best")
PAIRS = ("first", "second", "roi", "difference", "low", "high", "p", "q", "share_first")
CURVE = ("roi", "readout", "training_images", "sessions", "model", "r", "r_low", "r_high")
COMPARED = ("target", "rois", "best")
_PANELS = 6  # of learning curves: all targets and the best regions


def folders(artefact: Artefact) -> list[str]:
    """Prefixes of the groups' files; one, empty, where there are no groups."""
    found = sorted(name for name in artefact.files if name.rpartition("/")[2] == "members.tsv")
    return [name.removesuffix("members.tsv") for name in found]


def models(sources: Sources) -> tuple[Block, ...]:
    """Every model in every region, with intervals; then subjects, if there are several."""
    found: list[Block] = []
    for prefix in folders(sources.parents["compare"]):
        found += [*_heading(prefix), *_models(sources, prefix)]
    return (*found, *group.subjects(sources))


def _models(sources: Sources, prefix: str) -> list[Block]:
    table = _read(sources, f"{prefix}rois.tsv", MODELS)
    members = _read(sources, f"{prefix}members.tsv", ("member", "artefact"))
    regions, hidden = _regions(sources, table)
    series = [
        Series(str(name), *(_by(part, regions, key) for key in ("r", "r_low", "r_high")))
        for name, part in table.groupby("model", sort=False)
    ]
    drawn = values_by_region(
        regions,
        _spaced(series),
        sources.stamp("compare"),
        title="Prediction accuracy of each model",
        subtitle="mean over targets; bars: 95 % intervals over test images",
        unit="Prediction accuracy (Pearson r, mean over folds)",
    )
    overall = "; ".join(f"{each.name} {score(float(each.value[0]))}" for each in series)
    blocks: list[Block] = [
        Picture(
            to_svg(drawn),
            alt=f"Accuracy by region and model. Mean r over all targets: {cell(overall)}",
            caption="Prediction accuracy by region and model. Bars are bootstrap intervals over"
            " test images, the same images for every model.",
        ),
        _model_table(table, regions, members),
    ]
    if len(series) > MOST:
        blocks.append(Notice("note", f"{plural(len(series) - MOST, 'model')} only in the table"))
    if hidden:
        blocks.append(Notice("note", f"{plural(hidden, 'region')} more in rois.tsv"))
    return [*blocks, _member_table(members), *_curve(sources, prefix), Prose((_READING,))]


_READING = (
    "Intervals say how a model's mean over these targets would vary with other test images for the"
    " same subject. They overlap even where one model is better at nearly every image: whether two"
    " models differ is told by the paired differences, not by two intervals. Best: share of the"
    " region's targets at which the member is the best of all members."
)


def _model_table(table: pd.DataFrame, regions: Sequence[str], members: pd.DataFrame) -> Table:
    rows = [
        (
            cell(roi),
            cell(row["model"]),
            score(row["r"]),
            span(row["r_low"], row["r_high"]),
            score(row.get("r_squared_over_nc")),
            _share(row["share_best"]),
            count(int(row["n_targets"])),
        )
        for roi in regions
        for _, row in table[table["roi"] == roi].iterrows()
    ]
    numeric = ("Mean r", "95 % interval over images", "r\u00b2 / ceiling", "Best", "n targets")
    columns = (Column("Region"), Column("Model"), *(Column(name, numeric=True) for name in numeric))
    return Table(
        f"{plural(len(members), 'member')} and their ensemble by region.", columns, tuple(rows)
    )


def _member_table(members: pd.DataFrame) -> Details:
    rows = tuple(
        (
            cell(row["member"]),
            f"encode/{cell(row['artefact'])}",
            cell(said(row.get("encoder"))),
            cell(said(row.get("backbone"))),
            count(row.get("training_images")),
        )
        for _, row in members.iterrows()
    )
    titles = ("Member", "Artefact", "Readout", "Backbone")
    columns = (*map(Column, titles), Column("Training images", numeric=True))
    return Details("Which artefacts were compared", (Table("Members.", columns, rows),))


def _curve(sources: Sources, prefix: str) -> tuple[Block, ...]:
    if not sources.parents["compare"].has(f"{prefix}curve.tsv"):
        return ()
    table = _read(sources, f"{prefix}curve.tsv", CURVE)
    whole = table[table["roi"] == ALL_TARGETS]
    rows = tuple(
        (
            count(row["training_images"]),
            cell(row["model"]),
            score(row["r"]),
            span(row["r_low"], row["r_high"]),
        )
        for _, row in whole.iterrows()
    )
    names = ("Training images", "Model", "Mean r", "95 % interval over images")
    columns = tuple(Column(name, numeric=name != "Model") for name in names)
    caption = "Accuracy over the number of training images, all targets."
    return (Subheading("Learning curves"), _growth(sources, table), Table(caption, columns, rows))


def _growth(sources: Sources, table: pd.DataFrame) -> Picture:
    """A panel for all targets and for the regions with the highest mean r."""
    regions, _ = _regions(sources, table)
    panels = {
        roi: [
            _curve_of(str(name), part)
            for name, part in table[table["roi"] == roi].groupby("readout", sort=False)
        ]
        for roi in regions[:_PANELS]
    }
    drawn = learning_curves(
        panels, sources.stamp("compare"), mark="some sessions",
        subtitle="mean over targets; bars: 95 % intervals over test images",
    )  # fmt: skip
    told = "; ".join(
        f"{c.name} {score(float(c.value[0]))} at {count(c.images[0])} and"
        f" {score(float(c.value[-1]))} at {count(c.images[-1])}"
        for c in panels[ALL_TARGETS]
    )
    return Picture(
        to_svg(drawn),
        alt=f"Accuracy over the number of training images, all targets: {cell(told)}",
        caption="Accuracy over the number of training images: all targets, then the regions with"
        " the highest mean r. Training images are drawn at random, a smaller draw within a larger"
        + (_OPEN if table["sessions"].notna().any() else "."),
    )


_OPEN = "; an open mark was trained on some sessions alone, with the trials of these."


def _curve_of(name: str, part: pd.DataFrame) -> Growth:
    part = part.sort_values("training_images")
    images, r, low, high = (
        column(part, key) for key in ("training_images", "r", "r_low", "r_high")
    )
    return Growth(name, images, r, low, high, marked=part["sessions"].notna().to_numpy())


def differences(sources: Sources) -> tuple[Block, ...]:
    """Paired differences by region, and how variance divides where that was asked for."""
    artefact, found = sources.parents["compare"], list[Block]()
    for prefix in folders(artefact):
        parts: list[Block] = []
        if artefact.has(f"{prefix}pairs.tsv"):
            parts += _pairs(sources, _read(sources, f"{prefix}pairs.tsv", PAIRS))
        if artefact.has(f"{prefix}partition.tsv"):
            parts += _partition(sources, prefix)
        found += [*_heading(prefix), *parts] if parts else []
    return tuple(found)


def _pairs(sources: Sources, table: pd.DataFrame) -> list[Block]:
    regions, _ = _regions(sources, table.assign(r=table["difference"].abs()))
    named = list(table.groupby(["first", "second"], sort=False))
    series = [
        Series(f"{first} \u2212 {second}", *(_by(part, regions, key) for key in _ENDS))
        for (first, second), part in named
    ]
    drawn = values_by_region(
        regions,
        series[:MOST],
        sources.stamp("compare"),
        title="Paired differences between models",
        subtitle="right of 0: the first model is better; bars: 95 % intervals over test images",
        unit="Difference in accuracy (Pearson r)",
    )
    rows = tuple(
        (
            cell(f"{row['first']} \u2212 {row['second']}"),
            cell(row["roi"]),
            score(row["difference"]),
            span(row["low"], row["high"]),
            _p(row["p"]),
            _p(row["q"]),
            _share(row["share_first"]),
            _share(row["share_second"]),
        )
        for _, row in table[table["roi"].isin(regions)].iterrows()
    )
    numeric = ("Difference in r", "95 % interval", "p", "q", "first better", "second better")
    columns = (Column("Pair"), Column("Region"), *(Column(name, numeric=True) for name in numeric))
    return [
        Picture(
            to_svg(drawn),
            alt="Paired differences by region: " + cell("; ".join(_told(series))),
            caption="Difference in accuracy between two models on the same test images, by region.",
        ),
        Table("Paired differences by region.", columns, rows),
        Prose((_READING_PAIRS,)),
    ]


_ENDS = ("difference", "low", "high")
_READING_PAIRS = (
    "p: exchanging the two models' standardised predictions at random images, two-sided; q corrects"
    " for all regions and pairs. First and second better: shares of the region's targets at which"
    " that model is better at a false discovery rate of 5 % over targets; differences.tsv has each."
)


def _told(series: Sequence[Series]) -> list[str]:
    return [f"{each.name} {score(float(each.value[0]))} over all targets" for each in series]


def _partition(sources: Sources, prefix: str) -> list[Block]:
    table = _read(sources, f"{prefix}partition.tsv", ("joint", "first", "second", "roi"))
    regions, _ = _regions(sources, table.assign(r=table["shared"]))
    rows = tuple(
        (
            cell(row["joint"]),
            cell(row["roi"]),
            *(_with_interval(row, part) for part in ("unique_first", "unique_second", "shared")),
        )
        for _, row in table[table["roi"].isin(regions)].iterrows()
    )
    parts = (f"only {table['first'].iloc[0]}", f"only {table['second'].iloc[0]}", "shared")
    if table["joint"].nunique() > 1:
        parts = ("only the first", "only the second", "shared")
    columns = (Column("Joint model"), Column("Region"), *(Column(p, numeric=True) for p in parts))
    caption = "Explained variance (r\u00b2) that only one feature space explains, and shared."
    return [Table(caption, columns, rows), Prose((_READING_PARTS,))]


_READING_PARTS = (
    "Unique: what the joint model explains beyond the model on the other space alone. Parts may be"
    " negative, since predictions of held-out images are noisy; brackets: 95 % over test images."
)


def _with_interval(row: pd.Series[Any], part: str) -> str:
    low, high = row[f"{part}_low"], row[f"{part}_high"]
    return f"{score(row[part])} ({span(low, high)})"


def ensemble(sources: Sources) -> tuple[Block, ...]:
    """Weights by region, then the ensemble as any encoder is shown."""
    artefact, found = sources.parents["compare"], list[Block]()
    for prefix in folders(artefact):
        found += [*_heading(prefix), *_weights(sources, prefix)]
    if artefact.has("scores.tsv"):
        alone = sources.with_ensemble()
        found.append(Details("Scores of the ensemble by region", scores.by_region(alone)))
        found.append(Details("Predictions of the ensemble", predictions.blocks(alone)))
    return tuple(found)


def _weights(sources: Sources, prefix: str) -> list[Block]:
    table = _read(sources, f"{prefix}compared.tsv", COMPARED)
    order, _ = _regions(sources, _read(sources, f"{prefix}rois.tsv", MODELS))
    names = [name for name in table.columns if name.startswith("weight-")]
    values = np.stack([column(table, name) for name in names])
    cells = [set(rois_of(value)) for value in table["rois"]]
    means = []
    for roi in order:
        rows = [i for i, cell_ in enumerate(cells) if roi == ALL_TARGETS or roi in cell_]
        means.append(values[:, rows].mean(1))
    members = [name.removeprefix("weight-") for name in names]
    drawn = weights_by_region(order, members, np.array(means).T, sources.stamp("compare"))
    overall = ", ".join(f"{n} {score(float(w))}" for n, w in zip(members, means[0], strict=True))
    return [
        Picture(
            to_svg(drawn),
            alt=f"Weights of the members by region; over all targets {cell(overall)}",
            caption="Weights of the ensemble by region. They come from training images that were"
            " held out to select a penalty or an epoch, fold by fold, and from no test image.",
        )
    ]


def _heading(prefix: str) -> tuple[Block, ...]:
    return (Subheading(cell(prefix.rstrip("/"))),) if prefix else ()


def _read(sources: Sources, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    return read_tsv(sources.parents["compare"].path(name), columns)


def _regions(sources: Sources, table: pd.DataFrame) -> tuple[list[str], int]:
    """All targets, then regions from the highest mean r, as many as are shown; how many are not."""
    means = table.assign(r=column(table, "r")).groupby("roi", sort=False)["r"].mean()
    named = means.drop(ALL_TARGETS, errors="ignore").sort_values(ascending=False, kind="stable")
    most = sources.options.max_rois
    shown = [str(name) for name in named.index[:most]]
    return [ALL_TARGETS, *shown], max(0, len(named) - most)


def _by(table: pd.DataFrame, regions: Sequence[str], name: str) -> Floats:
    values = pd.Series(column(table, name), index=table["roi"])
    return np.asarray(values.reindex(list(regions)), dtype=np.float64)


def _spaced(series: list[Series]) -> list[Series]:
    """As many as can be told apart; the ensemble, which comes last, is always among them."""
    return series if len(series) <= MOST else [*series[: MOST - 1], series[-1]]


def _share(value: Any) -> str:
    return score(None) if value is None or not np.isfinite(value) else f"{100 * value:.0f} %"


def _p(value: float) -> str:
    return "< 0.001" if np.isfinite(value) and value < 0.001 else score(value)
