"""Other decoders beside the main one: paired differences, and every subject with every seed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from neuroattn.core.artefact import Artefact
from neuroattn.figures import to_svg
from neuroattn.figures.comparison import MOST, Series, values_by_region
from neuroattn.reports.blocks import (
    Block,
    Column,
    Details,
    Notice,
    Picture,
    Prose,
    Row,
    Subheading,
    Table,
)
from neuroattn.reports.decoders import RAW, Variant, comparable, differences, variants_of
from neuroattn.reports.registry import DECODER
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, plural, score, span
from neuroattn.stats.group import SeedTable, seed_table
from neuroattn.stats.retrieval import DIRECTIONS
from neuroattn.stats.retrieval_paired import Paired, Statistic

WORDS = {"image_from_brain": "image from brain", "brain_from_image": "brain from image"}
TWO_WAY = Statistic(ways=2)
Difference = tuple[tuple[str, str], Statistic, Paired]


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Nothing where the report names no other decoder."""
    others = [item for key, item in sources.parents.items() if key.startswith(DECODER)]
    if not others or not sources.has("decode"):
        return ()
    main = sources.parents["decode"]
    variants = variants_of([main, *others])
    statistics = _statistics(main)
    found: list[Block] = []
    if len(variants) > 1:
        found += _differences(sources, variants, statistics)
    if any(len(variant.runs) > 1 for variant in variants):
        found += _runs(sources, variants, [each for each in statistics if each.ways is None])
        found.append(Prose((f"{_READING_SEEDS} {_chances(main)}",)))
    return tuple(found)


def _statistics(decode: Artefact) -> list[Statistic]:
    """As the main decoder counts: its top k, two images, and its published number of them."""
    table, curve = decode.table("retrieval.tsv"), decode.table("nway.tsv")
    gallery = int(table["gallery"].min())
    ways = sorted({int(each) for each in curve.dropna(subset=["draws_mean"])["ways"]})
    named = [TWO_WAY, *(Statistic(ways=each) for each in ways if 2 < each < gallery)]
    return [*(Statistic(int(k)) for k in sorted(table["k"].unique()) if k < gallery), *named]


def _differences(
    sources: Sources, variants: Sequence[Variant], statistics: Sequence[Statistic]
) -> list[Block]:
    main, *others = variants
    found: list[Block] = [Subheading("Differences")]
    kept: dict[str, list[Difference]] = {}
    for other in others:
        subjects, reason = comparable(main, other)
        if subjects:
            kept[other.name] = list(differences(main, other, subjects, statistics))
        if reason:
            text = f"{reason[0].upper()}{reason[1:]}; there is no pair to take a difference of."
            found.append(Notice("note", f"{other.name}: no paired difference", text))
    if kept:
        found += [_picture(sources, main, kept), *_more(kept), _table(main, kept)]
        found.append(Prose((_READING,)))
    return found


_READING = (
    "A difference is taken within each query before anything is resampled: draws take the same"
    " test images for both decoders, and with several subjects the same subjects. An interval that"
    " leaves out 0 says that the difference would stand with other images. N-way: mean over all"
    " galleries of that size. Several seeds of a decoder are averaged query by query. With a"
    " blur prior the gallery of a decoder is blurred as in its training."
)


def _more(kept: dict[str, list[Difference]]) -> list[Block]:
    if len(kept) <= MOST:
        return []
    return [Notice("note", f"{plural(len(kept) - MOST, 'decoder')} only in the table")]


def _named(key: tuple[str, str], statistic: Statistic) -> str:
    return f"{WORDS[key[1]]}, {key[0]}, {statistic.name}"


def _picture(sources: Sources, main: Variant, kept: dict[str, list[Difference]]) -> Picture:
    rows = list(dict.fromkeys(_named(key, each) for own in kept.values() for key, each, _ in own))
    series = [_series(name, own, rows) for name, own in kept.items()]
    drawn = values_by_region(
        rows, series, sources.stamp("decode"),
        title=f"{main.name} less other decoders",
        subtitle=f"right of 0: {main.name} is better; bars: paired 95 % intervals over test images"
        + _over_subjects(kept),
        unit="Difference in the share of queries that succeed", rows_are="Retrieval", longest=36,
    )  # fmt: skip
    told = "; ".join(f"{each.name} {score(float(each.value[0]))}" for each in series)
    return Picture(
        to_svg(drawn),
        alt=f"Paired differences of retrieval, {rows[0]}: {cell(told)}",
        caption=f"Retrieval of {cell(main.name)} less that of each other decoder, on the same test"
        " images.",
    )


def _over_subjects(kept: dict[str, list[Difference]]) -> str:
    several = max(paired.subjects for own in kept.values() for _, _, paired in own) > 1
    return ", then subjects" if several else ""


def _series(name: str, own: Sequence[Difference], rows: Sequence[str]) -> Series:
    found = {_named(key, each): (p.difference, p.low, p.high) for key, each, p in own}
    values = np.array([found.get(row, (np.nan,) * 3) for row in rows], dtype=np.float64)
    return Series(name, *values.T)


def _table(main: Variant, kept: dict[str, list[Difference]]) -> Table:
    numeric = (cell(main.name), "Other", "Difference", "Paired 95 % interval", "Subjects")
    columns = ("Other decoder", "Retrieval")
    rows = tuple(
        (
            cell(name) if place == 0 else "", _named(key, each), score(paired.first),
            score(paired.second), score(paired.difference), span(paired.low, paired.high),
            str(paired.subjects),
        )
        for name, own in kept.items()
        for place, (key, each, paired) in enumerate(own)
    )  # fmt: skip
    return Table(
        f"{main.name} less each other decoder.",
        (*(Column(name) for name in columns), *(Column(name, numeric=True) for name in numeric)),
        rows,
    )


def _runs(
    sources: Sources, variants: Sequence[Variant], statistics: Sequence[Statistic]
) -> list[Block]:
    first = (RAW, DIRECTIONS[0])
    found: list[Block] = [Subheading("Subjects and seeds")]
    found += [_spread(sources, variants, statistics[0])] if statistics else []
    found += [_seeds(variants, first, each) for each in statistics]
    centrings = [
        name for name in variants[0].centrings if all(name in v.centrings for v in variants)
    ]
    rest = [(name, way) for way in DIRECTIONS for name in centrings if (name, way) != first]
    more = tuple(_seeds(variants, key, each) for key in rest for each in statistics)
    return [*found, Details("The other direction, and centred", more)]


def _chances(decode: Artefact) -> str:
    table = decode.table("retrieval.tsv").groupby("k")["chance"].mean()
    told = ", ".join(f"top {k} {score(float(value))}" for k, value in table.items())
    return f"Chance: {told}."


_READING_SEEDS = (
    "SD over seeds: how much a figure depends on the start of training. It says nothing of other"
    " images or other subjects; the interval of the mean over subjects is Student's t over their"
    " means."
)


def _spread(sources: Sources, variants: Sequence[Variant], statistic: Statistic) -> Picture:
    key = (RAW, DIRECTIONS[0])
    tables = {each.name: seed_table(each.by_seed(key, statistic)) for each in variants[:MOST]}
    subjects = sorted({name for table in tables.values() for name in table.subjects})
    series = []
    for name, table in tables.items():
        at = [list(table.subjects).index(s) if s in table.subjects else None for s in subjects]
        mean, sd = (_placed(values, at) for values in (table.mean, table.sd))
        series.append(Series(name, mean, mean - sd, mean + sd))
    drawn = values_by_region(
        subjects, series, sources.stamp("decode"), title="Every subject",
        subtitle="mean over seeds; bars: one standard deviation over seeds either way",
        unit=f"Image from brain, raw, {statistic.name}", rows_are="Subject",
    )  # fmt: skip
    told = "; ".join(f"{n} {score(t.overall.value)}" for n, t in tables.items())
    return Picture(
        to_svg(drawn),
        alt=f"Retrieval of every subject; mean over subjects: {cell(told)}",
        caption="Retrieval of every subject by each decoder, averaged over seeds.",
    )


def _placed(values: np.ndarray, at: Sequence[int | None]) -> np.ndarray:
    return np.array([np.nan if place is None else values[place] for place in at])


def _seeds(variants: Sequence[Variant], key: tuple[str, str], statistic: Statistic) -> Table:
    seeds = sorted({seed for variant in variants for seed in variant.seeds})
    numeric = (*(f"Seed {seed}" for seed in seeds), "Mean", "SD over seeds")
    rows: list[Row] = []
    for variant in variants:
        table = seed_table(variant.by_seed(key, statistic))
        rows += _rows(variant.name, table, seeds)
    columns = (Column("Decoder"), Column("Subject"), *(Column(n, numeric=True) for n in numeric))
    return Table(f"Every subject and seed: {_named(key, statistic)}.", columns, tuple(rows))


def _rows(name: str, table: SeedTable, seeds: Sequence[int]) -> Iterator[Row]:
    place = {seed: column for column, seed in enumerate(table.seeds)}
    summaries = zip(table.subjects, table.values, table.mean, table.sd, strict=True)
    for number, (subject, values, mean, sd) in enumerate(summaries):
        own = [score(values[place[seed]] if seed in place else None) for seed in seeds]
        yield (cell(name) if number == 0 else "", cell(subject), *own, score(mean), score(sd))
    if len(table.subjects) > 1:
        means = [
            score(float(np.nanmean(table.values[:, place[seed]])) if seed in place else None)
            for seed in seeds
        ]
        overall = table.overall
        told = f"{score(overall.value)} ({span(overall.low, overall.high)})"
        yield ("", f"mean of {len(table.subjects)} (95 % over subjects)", *means, told, "")
