"""Captions: what targets prefer, in words, beside what null targets say by the same path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import read_tsv, rois_of
from neuroattn.figures import to_svg, to_webp
from neuroattn.figures.captions import (
    CLASS_COLOURS,
    Nouns,
    class_bars,
    noun_bars,
    stability,
    verified_bars,
)
from neuroattn.maps.canvas import canvas_of
from neuroattn.maps.captions import caption_layers
from neuroattn.reports.blocks import (
    Block,
    Card,
    Cards,
    Column,
    Details,
    Notice,
    Picture,
    Prose,
    Subheading,
    Table,
)
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column, mean
from neuroattn.reports.wording import cell, count, plural, said, score, span, spread

CAPTIONS = ("target", "roi", "caption", "confidence", "gated", "null")
TOP = ("roi", "noun", "class", "n", "share", "low", "high", "chance", "null")
CLASSES = ("roi", "class", "n", "share", "low", "high", "chance")
VERIFIED = ("measure", "captions", "value", "low", "high", "n_targets", "n_images", "subject")
IMAGINED = ("set", "activation", "low", "high", "over_random", "over_low", "over_high", "n")
MAPPED = ("target", "null", "gated")
GATED, NULL, BANK = "all gated targets", "null targets", "bank"
_OF_PROJECTION = ("stability", "effective")
_PANELS, _NOUNS = 18, 6
_LISTED_NULLS = 5
# Numbers of captions.tsv that are listed where they are there.
_NUMBERS = (
    ("r", "r"), ("nc", "Ceiling"), ("measure", "Gate"), ("stability", "Stability"),
    ("effective", "Bank items"), ("best_cosine", "Best cosine"), ("confidence", "Confidence"),
)  # fmt: skip


def blocks(sources: Sources) -> tuple[Block, ...]:
    """How many, which nouns, where, how sure, whether they hold, and the captions themselves."""
    table = _read(sources, "captions.tsv", CAPTIONS)
    if not len(table) or not _flag(table, "gated").any():
        return (Notice("note", "No target passed the gate", _NONE),)
    return (
        _cards(sources, table),
        Prose((_READING,)),
        *_nouns(sources),
        *_maps(sources),
        *_sure(sources, table),
        *_verified(sources),
        *_imagined(sources),
        *_tables(sources, table),
    )


_NONE = (
    "No target was explained well enough to be captioned. Lower caption.gate.threshold, or report"
    " a better encoder."
)
_READING = (
    "A caption says what kind of picture a target's weight points at among natural pictures. It is"
    " an account of the encoder, and says nothing about causes. Weights fitted to noise point at"
    " something as well: null targets, whose responses were shuffled, went the same way and stand"
    " in every table and figure. Only targets above the gate are captioned; the maps show which"
    " are not."
)


def _cards(sources: Sources, table: pd.DataFrame) -> Cards:
    null, gated = _flag(table, "null"), _flag(table, "gated")
    own = table[gated & ~null]
    mapped = _read(sources, "caption_maps.tsv", MAPPED)
    real = ~_flag(mapped, "null")
    metrics = sources.parents["caption"].metrics
    through = table[null].groupby("target")["gated"].first().map(_true).mean() if null.any() else 0
    found = [
        Card(
            "Captioned targets", count(own["target"].nunique()),
            f"of {count(int(real.sum()))}; the others are below the gate", headline=True,
        ),
        Card("Different captions", count(own["caption"].nunique()), f"of {count(len(own))}"),
        Card("Vocabulary", count(metrics.get("vocabulary")), "different words"),
        Card(
            "Null targets through the gate", f"{100 * float(through):.0f} %",
            f"of {count(table[null]['target'].nunique())}",
        ),
    ]  # fmt: skip
    return Cards(tuple(found))


def _nouns(sources: Sources) -> tuple[Block, ...]:
    top = _read(sources, "top_nouns.tsv", TOP)
    names, hidden = _groups(sources, list(dict.fromkeys(top["roi"].map(str))))
    groups = [_panel(name, top[top["roi"] == name]) for name in names]
    note = "95 % over targets; neighbours are alike, so intervals are narrow"
    bars = noun_bars(groups, sources.stamp("caption"), note=note)
    first = "; ".join(f"{group.name}: {', '.join(group.nouns[:3])}" for group in groups[:8])
    left = f" {plural(hidden, 'region')} more stand in top_nouns.tsv." if hidden else ""
    return (
        Subheading("Nouns"),
        Picture(
            to_svg(bars),
            alt=f"Top nouns of the captions by region. {cell(first)}",
            caption="Nouns that stand out in each region: share of captions that have them, those"
            " furthest above chance first. Tick: chance, the share of the bank's own captions."
            f" Dotted: null targets.{left}",
        ),
        _classes(sources, names),
    )


def _groups(sources: Sources, names: list[str]) -> tuple[list[str], int]:
    """All gated targets and nulls first, then regions; how many are left out."""
    most = min(sources.options.max_rois, _PANELS)
    first = [name for name in (GATED, NULL) if name in names]
    rest = [name for name in names if name not in first]
    return [*first, *rest[: most - len(first)]], max(0, len(rest) - most + len(first))


def _panel(name: str, rows: pd.DataFrame) -> Nouns:
    shown = rows.iloc[:_NOUNS]
    values = {key: column(shown, key) for key in ("share", "low", "high", "chance", "null")}
    kinds = [str(kind) for kind in shown["class"]]
    return Nouns(name, int(shown["n"].iloc[0]), list(map(str, shown["noun"])), kinds, **values)


def _classes(sources: Sources, names: Sequence[str]) -> Picture:
    table = _read(sources, "classes.tsv", CLASSES)
    known = [name for name in names if (table["roi"] == name).any()]
    kinds = list(CLASS_COLOURS)
    shares = {kind: [] for kind in kinds}  # type: dict[str, list[float]]
    chance = table.drop_duplicates("class").set_index("class")["chance"].to_dict()
    counts = []
    for name in known:
        rows = table[table["roi"] == name].set_index("class")
        counts.append(int(rows["n"].iloc[0]))
        for kind in kinds:
            shares[kind].append(float(rows["share"].get(kind, 0.0)))
    with_bank = any(np.isfinite(float(value)) for value in chance.values())
    stacked = {
        kind: np.array(([float(chance.get(kind, 0.0))] if with_bank else []) + shares[kind])
        for kind in kinds
    }
    rows_shown = [BANK, *known] if with_bank else known
    drawn = class_bars(
        rows_shown, [0, *counts] if with_bank else counts, stacked, sources.stamp("caption"),
        subtitle="mean over targets; bank: captions of the bank itself",
    )  # fmt: skip
    return Picture(
        to_svg(drawn),
        alt=f"Classes of nouns in {', '.join(rows_shown[:12])}",
        caption="Classes of the nouns. A target's nouns share a weight of 1; the bank's own"
        " captions say what a target without a preference would look like.",
    )


def _maps(sources: Sources) -> tuple[Block, ...]:
    """Maps of every subject, where its targets stand on a cortex."""
    if not sources.has("prepare"):
        return ()
    mapped = _read(sources, "caption_maps.tsv", MAPPED)
    names = mapped["target"][~_flag(mapped, "null")]
    subject = sources.targets.set_index("target")["subject"].reindex(names.to_numpy())
    found: list[Block] = [Subheading("On the cortex")]
    for one in dict.fromkeys(subject.map(str)):
        own = names[(subject.map(str) == one).to_numpy()]
        try:
            found += _maps_of(sources, own, one if subject.nunique() > 1 else "")
        except (DataError, ConfigError):  # targets without a place are nothing to warn of
            return ()
    return (*found, Prose((_READING_MAPS,)))


_READING_MAPS = (
    "Pale: targets below the gate, which have no caption. Grey: no data. Colours of weights are"
    " fitted to the gated targets of all subjects together, so that a colour means one thing."
)


def _maps_of(sources: Sources, targets: pd.Series[str], subject: str) -> list[Block]:
    canvas = canvas_of(sources.parents["prepare"], targets, None)
    layers = caption_layers(sources.parents["caption"], targets)
    concepts = [layer for layer in layers if layer.stat.startswith("concept")]
    main = [layer for layer in layers if layer not in concepts]
    title = f" of {subject}" if subject else ""

    def drawn(layer: object) -> Picture:
        one: Any = layer
        return Picture(
            to_webp(canvas.draw(one, sources.stamp("caption"), one.note)),
            alt=f"Map: {cell(one.title)}{cell(title)}",
            caption=f"{cell(one.title)}{cell(title)} ({cell(_unit(one))}). {cell(one.note)}",
            format="webp",
        )

    found: list[Block] = [drawn(layer) for layer in main]
    if concepts:
        found.append(Details("Maps of concepts", tuple(drawn(layer) for layer in concepts)))
    return found


def _unit(layer: Any) -> str:
    return (
        "the class of nouns furthest above chance" if layer.stat == "nounclass" else str(layer.unit)
    )


def _sure(sources: Sources, table: pd.DataFrame) -> tuple[Block, ...]:
    known = [name in table and bool(table[name].notna().any()) for name in _OF_PROJECTION]
    if not all(known):
        return ()  # an encoder without an image-text space has no projection
    once = table.drop_duplicates(["target", "null"])
    null, gated = _flag(once, "null"), _flag(once, "gated")
    groups = {
        name: (column(once[rows], "stability"), column(once[rows], "effective"))
        for name, rows in (("gated targets", gated & ~null), (NULL, null))
        if rows.any()
    }
    drawn = stability(groups, sources.stamp("caption"), subtitle=_draws(sources))
    means = ", ".join(f"{name} {score(mean(alike))}" for name, (alike, _) in groups.items())
    return (
        Subheading("How sure"),
        Picture(
            to_svg(drawn),
            alt=f"Stability and effective bank size. Mean stability: {means}",
            caption="Left: cosine between the projections onto disjoint draws of the bank. Right:"
            " how many bank items make up a projection; few items mean that it is a copy of them.",
        ),
    )


def _draws(sources: Sources) -> str:
    options = sources.parents["caption"].config.get("caption", {})
    temperature, draws = options.get("temperature"), options.get("draws")
    return f"temperature {said(temperature)}, {said(draws)} draws" if draws else ""


def _verified(sources: Sources) -> tuple[Block, ...]:
    if not sources.parents["caption"].has("verified.tsv"):
        return ()
    table = _read(sources, "verified.tsv", VERIFIED)
    several = table["subject"].nunique() > 1
    rows = [
        (
            f"{row['measure']}, {row['subject']}" if several else str(row["measure"]),
            str(row["captions"]), float(row["value"]), float(row["low"]), float(row["high"]),
        )
        for _, row in table.iterrows()
    ]  # fmt: skip
    size = f"{spread(table['n_targets'])} targets, {spread(table['n_images'])} images"
    drawn = verified_bars(rows, sources.stamp("caption"), subtitle=f"{size}; 95 % over images")
    told = "; ".join(f"{one} {which} {score(value)}" for one, which, value, *_ in rows)
    return (
        Subheading("Verified on test images"),
        Picture(
            to_svg(drawn),
            alt=f"Scores of captions: {told}",
            caption="A target should respond to test images whose captions resemble its own:"
            " Spearman's correlation of that likeness with the measured response, mean over"
            " targets. Shuffled: the same captions dealt to other targets. The difference is paired"
            " over draws of the test images. Image: the same with pictures drawn from the caption"
            " in its place, and the test image itself. On which images targets were gated stands"
            " in Methods.",
        ),
    )


def _imagined(sources: Sources) -> tuple[Block, ...]:
    """Predicted activation on pictures made from the captions, where the stage made them."""
    if not sources.parents["caption"].has("imagined.tsv"):
        return ()
    table = _read(sources, "imagined.tsv", IMAGINED)
    rows = tuple(
        (
            cell(row["set"]), score(row["activation"]), span(row["low"], row["high"]),
            score(row["over_random"]), span(row["over_low"], row["over_high"]), count(row["n"]),
        )
        for _, row in table.iterrows()
    )  # fmt: skip
    titles = ("Predicted activation", "95 %", "Over random pictures", "95 %", "n targets")
    columns = (Column("Pictures"), *(Column(title, numeric=True) for title in titles))
    caption = (
        "Predicted activation on pictures drawn from the captions of the surest targets, by the"
        " encoder that was captioned; 95 % over targets. Beside them pictures of other targets'"
        " captions, and the natural test pictures that the encoder ranks first, or any."
    )
    return (Subheading("Pictures from captions"), Table(caption, columns, rows))


def _tables(sources: Sources, table: pd.DataFrame) -> tuple[Block, ...]:
    """The captions that are surest, the ones that are least so, and null targets beside them."""
    null, gated = _flag(table, "null"), _flag(table, "gated")
    most = sources.options.max_targets_in_table
    own = table[gated & ~null]
    own = own.iloc[np.argsort(-np.nan_to_num(column(own, "confidence"), nan=-1), kind="stable")]
    nulls = table[null]
    nulls = nulls.iloc[
        np.argsort(-np.nan_to_num(column(nulls, "confidence"), nan=-1), kind="stable")
    ]
    parts: list[Block] = [Subheading("Captions")]
    if len(own) <= 2 * most:
        parts.append(_table("Captions of all gated targets, surest first.", own))
    else:
        parts.append(_table(f"The {most} surest captions.", own.iloc[:most]))
        parts.append(_table(f"The {most} least sure captions.", own.iloc[-most:]))
    if len(nulls):
        shown = nulls.iloc[:_LISTED_NULLS]
        parts.append(_table(f"The {plural(len(shown), 'surest null caption')}.", shown))
    where = f"All {plural(len(table), 'row')} are in captions.tsv of {sources.name('caption')}."
    return (*parts, Prose((where,)))


def _table(caption: str, rows: pd.DataFrame) -> Table:
    named = {
        "Target": [cell(value) for value in rows["target"]],
        "Regions": [cell(", ".join(rois_of(value))) or "none" for value in rows["roi"]],
        "Caption": [cell(value) for value in rows["caption"]],
        "Null": ["null" if _true(value) else "" for value in rows["null"]],
    }
    numbers = {
        title: list(map(score, column(rows, name)))
        for name, title in _NUMBERS
        if name in rows and rows[name].notna().any()
    }
    columns = (*map(Column, named), *(Column(title, numeric=True) for title in numbers))
    return Table(caption, columns, tuple(zip(*named.values(), *numbers.values(), strict=True)))


def _flag(table: pd.DataFrame, name: str) -> pd.Series[bool]:
    return table[name].map(_true).astype(bool)


def _true(value: object) -> bool:
    return str(value).lower() in ("true", "1", "1.0")


def _read(sources: Sources, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    return read_tsv(sources.parents["caption"].path(name), columns)
