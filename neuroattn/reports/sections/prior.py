"""The blur prior of a decoder: who is uncertain, what was blurred, and what that brought."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_svg, to_webp
from neuroattn.figures.comparison import Series, values_by_region
from neuroattn.figures.prior import Pair, blurred_pairs, uncertainties
from neuroattn.reports.blocks import Block, Column, FactList, Picture, Prose, Table
from neuroattn.reports.registry import DECODER
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column
from neuroattn.reports.wording import cell, count, score, span

FACTS, TABLE, EXAMPLES = "prior.json", "uncertainty.tsv", "prior_examples.h5"
RETRIEVAL = ("subject", "centring", "direction", "k", "accuracy", "low", "high", "chance")
PAIRS = ("subject", "image", "uncertainty", "blur")
_WORDS = {"image_from_brain": "image from brain", "brain_from_image": "brain from image"}
_ABOUT = (
    "In training each response was matched with its picture at a blur that depends on the prior;"
    " no blur was chosen by looking at a test. Where the gallery is blurred, all its pictures are"
    " at one blur. Among pictures as shown, retrieval is a harder question for a decoder that was"
    " trained on blurred ones: both figures belong to the result."
)


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Uncertainty, pairs, retrieval; nothing where the decoder blurred nothing."""
    if not sources.has("decode") or not sources.parents["decode"].has(FACTS):
        return ()
    decode = sources.parents["decode"]
    facts = decode.json(FACTS)
    table = read_tsv(decode.path(TABLE), PAIRS)
    found: list[Block] = [FactList(tuple(_facts(facts, table)))]
    if table["uncertainty"].notna().any():
        found += [_distribution(sources, facts, table), *_examples(sources, decode, table)]
    return (*found, *_retrieval(sources), Prose((_ABOUT,)))


def _facts(facts: Any, table: pd.DataFrame) -> Iterator[tuple[str, str]]:
    yield "Prior", cell(facts["prior"])
    yield "Blur", cell(f"{facts['kind']}, strengths {_list(facts['levels'])}")
    if "low_medium_high" in facts:
        yield "Low, medium, high", cell(_list(facts["low_medium_high"]))
    if "shares" in facts:
        yield "Learned share of each level", cell(", ".join(f"{s:.2f}" for s in facts["shares"]))
    yield "Pairs of a subject and a picture", count(len(table))


def _list(values: Any) -> str:
    return ", ".join(f"{float(value):g}" for value in values)


def _distribution(sources: Sources, facts: Any, table: pd.DataFrame) -> Picture:
    z, bound = column(table, "uncertainty"), float(facts["bound"])
    drawn = uncertainties(
        z, bound, sources.stamp("decode"),
        subtitle=f"{count(int(np.isfinite(z).sum()))} training pairs; dashed: the bounds",
    )  # fmt: skip
    high, low = float((z > bound).mean()), float((z < -bound).mean())
    return Picture(
        to_svg(drawn),
        alt=f"Histogram of uncertainty: {100 * high:.1f} % of pairs above the upper bound,"
        f" {100 * low:.1f} % below the lower one",
        caption="Uncertainty of the training pairs, in deviations among the pairs of one subject,"
        " at the epoch that was kept. Pairs beyond the bounds are matched with more or less blur.",
    )


def _examples(sources: Sources, decode: Artefact, table: pd.DataFrame) -> tuple[Block, ...]:
    if not decode.has(EXAMPLES):
        return ()
    with decode.hdf5(EXAMPLES) as file:
        pictures, rows = file["pictures"][:], file["pair"][:]
    kept = [
        Pair(both, f"z {row.uncertainty:+.1f}, blur {row.blur:.1f}")
        for both, row in zip(pictures, table.iloc[rows].itertuples(), strict=True)
    ]
    half = len(kept) // 2
    drawn = blurred_pairs(
        [("most certain", kept[:half]), ("least certain", kept[half:])],
        sources.stamp("decode"),
        subtitle="training pairs; z: uncertainty in deviations; blur as in the bank",
    )
    named = ", ".join(str(int(image)) for image in table.iloc[rows[half:]]["image"])
    return (
        Picture(
            to_webp(drawn),
            alt=f"The most and the least certain training pairs; least certain: images {named}",
            caption="The most certain pairs and the least certain ones, the extremes first, as the"
            " picture was shown and as it was matched in the epoch that was kept. The uncertainty"
            " is that at its end: it sets the blur of the next.",
            format="webp",
        ),
    )


def _retrieval(sources: Sources) -> tuple[Block, ...]:
    series = dict(_measured(sources))
    whole = next(iter(series.values()))
    rows = [_named(row) for row in whole.to_dict("records")]
    drawn = values_by_region(
        rows,
        [Series(name, *(column(part, key) for key in ("accuracy", "low", "high")))
         for name, part in series.items()],
        sources.stamp("decode"),
        title="Retrieval with and without blur",
        subtitle="bars: 95 % intervals over test images",
        unit="Share of test images that are found",
        rows_are="Retrieval",
    )  # fmt: skip
    told = "; ".join(
        f"{name} {score(float(part['accuracy'].iloc[0]))}" for name, part in series.items()
    )
    return (
        Picture(
            to_svg(drawn),
            alt=f"Retrieval, {rows[0]}: {cell(told)}",
            caption="Retrieval of the test images in the blur that was trained on, among pictures"
            " as they were shown, and by the other decoders of the same seed and subjects that the"
            " report names, whose paired differences stand under Decoders side by side.",
        ),
        _table(series),
    )


def _measured(sources: Sources) -> Iterator[tuple[str, pd.DataFrame]]:
    decode = sources.parents["decode"]
    yield "blurred gallery", _rows(decode, "retrieval.tsv")
    yield "pictures as shown", _rows(decode, "clean-retrieval.tsv")
    for name, artefact in sources.parents.items():
        if name.startswith(DECODER) and _whose(artefact) == _whose(decode):
            yield artefact.label, _rows(artefact, "retrieval.tsv")


def _whose(artefact: Artefact) -> tuple[Any, ...]:
    """Seed and subjects: others of them stand in the section of decoders side by side."""
    dataset = artefact.config["dataset"]
    return artefact.config["seed"], dataset.get("subjects"), dataset.get("leave_out")


def _rows(artefact: Artefact, name: str) -> pd.DataFrame:
    """Raw retrieval over all subjects, or of the only one."""
    table = read_tsv(artefact.path(name), RETRIEVAL)
    last = table["subject"].iloc[-1]
    raw: pd.DataFrame = table[(table["centring"] == "raw") & (table["subject"] == last)]
    return raw.reset_index(drop=True)


def _named(row: Any) -> str:
    return f"{_WORDS[row['direction']]}, top {row['k']}"


def _table(series: dict[str, pd.DataFrame]) -> Table:
    names = ("Retrieval", "Pictures", "Found", "95 % interval", "Chance")
    rows = tuple(
        (
            _named(row), cell(name), score(row["accuracy"]), span(row["low"], row["high"]),
            score(row["chance"]),
        )
        for name, part in series.items()
        for row in part.to_dict("records")
    )  # fmt: skip
    columns = tuple(Column(name, numeric=name in ("Found", "Chance")) for name in names)
    return Table("Retrieval of the test images, raw.", columns, rows)
