"""Decoding: retrieval both ways, the gallery, hard rivals, networks left out, imagined trials."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.figures import to_svg, to_webp
from neuroattn.figures.ablation import Bar, ablation_bars, component_grid
from neuroattn.figures.cortex import DIVERGING, cortical_map
from neuroattn.figures.retrieval import (
    Accuracy,
    Curve,
    Query,
    accuracies,
    gallery_curve,
    pairing,
    retrieved_pictures,
)
from neuroattn.reports.blocks import Block, Card, Cards, Column, Notice, Picture, Prose, Row, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count, plural, score, span

DIRECTIONS = ("image_from_brain", "brain_from_image")
WORDS = {
    "image_from_brain": "image from brain",
    "brain_from_image": "brain from image",
    "percentile": "rivals left behind",
    "margin": "margin",
}
ALL, RAW, CONCEPT = "all", "raw", "concept."
LEVEL, LEAST = 0.05, 0.1  # q, and share of what is above chance, that make a finding
_VERTICES = 10_242
_SIDES = ("lh", "rh")


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Retrieval of the test images."""
    decode = sources.parents["decode"]
    table = decode.table("retrieval.tsv")
    found: list[Block] = [_cards(decode, table)]
    found += [_accuracies(sources, table), _curve(sources, decode)]
    found += _gallery(sources, decode)
    found += _hard(sources, decode)
    found += _overlap(decode)
    return tuple(found)


def _headline(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of the mean over subjects, or of the only one."""
    return table[table["subject"] == (ALL if ALL in set(table["subject"]) else table["subject"][0])]


def _cards(decode: Artefact, table: pd.DataFrame) -> Cards:
    own = _headline(table)
    gallery = int(own["gallery"].min())
    cards = []
    for direction in DIRECTIONS:
        rows = own[(own["direction"] == direction) & (own["k"] == own["k"].min())]
        best = rows[rows["centring"] == rows["centring"].iloc[-1]].iloc[0]
        cards.append(
            Card(
                f"{WORDS[direction]}, top {int(best['k'])}",
                f"{100 * float(best['accuracy']):.1f} %",
                f"{cell(best['centring'])}, of {count(gallery)} images; 95 %:"
                f" {span(float(best['low']), float(best['high']))}; p {_p(best['p'])};"
                f" chance {score(float(best['chance']))}",
                headline=direction == DIRECTIONS[0],
            )
        )
    near = decode.metrics.get("overlap.share_as_near")
    if near is not None:
        note = "0.5 if the test side is as far from training as training images from each other"
        cards.append(Card("test images as near to training", f"{near:.2f}", note))
    return Cards(tuple(cards))


def _p(value: float) -> str:
    return score(float(value)) if np.isfinite(value) and value >= 0.001 else f"{value:.2g}"


def _who(subject: Any) -> str:
    """A subject on an axis; a bare number says nothing there."""
    name = cell(subject)
    named = {ALL: "mean of subjects"}
    return f"subject {name}" if name.isdigit() else named.get(name, name)


def _accuracies(sources: Sources, table: pd.DataFrame) -> Picture:
    panels = []
    for k in sorted(table["k"].unique()):
        rows = table[table["k"] == k]
        panels.append(
            (
                f"Found among the first {int(k)}" if k > 1 else "Found first",
                [
                    Accuracy(
                        f"{_who(row['subject'])}, {cell(row['centring'])}",
                        WORDS[str(row["direction"])], float(row["accuracy"]), float(row["low"]),
                        float(row["high"]), float(row["chance"]),
                    )
                    for row in rows.to_dict("records")
                ],
            )
        )  # fmt: skip
    gallery = int(table["gallery"].min())
    figure = accuracies(
        panels, sources.stamp("decode"), title="Retrieval of test images",
        subtitle=f"gallery of {count(gallery)}; 95 % intervals over images"
        + (", then subjects" if ALL in set(table["subject"]) else ""),
    )  # fmt: skip
    return Picture(
        to_svg(figure),
        alt="Retrieval accuracy in both directions with intervals and chance",
        caption="“Image from brain” looks for the image that a brain saw among all test images;"
        " “brain from image” for the brain that saw an image among all test brains. Public code"
        " often swaps the two names. Ties count as failures. Centred: the mean training"
        " embedding of either side was taken off first, which undoes hubs. The interval is over"
        " images, not over draws of a gallery.",
    )


def _curve(sources: Sources, decode: Artefact) -> Picture:
    table = _headline(decode.table("nway.tsv"))
    curves, drawn = [], []
    for place, direction in enumerate(DIRECTIONS):
        for centring, rows in table[table["direction"] == direction].groupby(
            "centring", sort=False
        ):
            curves.append(
                Curve(
                    f"{WORDS[direction]}, {centring}", rows["ways"].to_numpy(dtype=float),
                    rows["accuracy"].to_numpy(dtype=float), place, centring == RAW,
                )
            )  # fmt: skip
            drawn += [
                (int(row["ways"]), float(row["draws_mean"]), place)
                for row in rows.dropna(subset=["draws_mean"]).to_dict("records")
            ]
    subtitle = "mean over all galleries of a size, exact; open circles: the mean of random draws"
    figure = gallery_curve(curves, sources.stamp("decode"), drawn=drawn, subtitle=subtitle)
    return Picture(
        to_svg(figure),
        alt="Accuracy over the number of images in the gallery",
        caption="What a figure means depends on the size of the gallery. Published figures take"
        " the mean of 30 draws of 300; open circles show such draws here.",
    )


def _gallery(sources: Sources, decode: Artefact) -> Iterator[Block]:
    if not decode.has("gallery.h5"):
        yield Notice("note", "No pictures were kept", "Decode again beside the dataset.")
        return
    table = decode.table("nearest.tsv")
    with decode.hdf5("gallery.h5") as file:
        ids: NDArray[np.int64] = file["image"][:]
        pictures: NDArray[np.uint8] = file["picture"][:]
    picture = dict(zip(ids.tolist(), pictures, strict=True))
    first = table["subject"].iloc[0]
    queries = [
        _query(int(image), rows, picture)
        for image, rows in table[table["subject"] == first].groupby("query", sort=False)
    ]
    total = len(decode.table("queries.tsv"))
    yield Picture(
        to_webp(
            retrieved_pictures(
                queries, sources.stamp("decode"),
                subtitle=f"{plural(len(queries), 'random test image')} of {cell(first)}, not chosen"
                f" by rank; gallery of {count(total)}",
            )
        ),
        alt=f"{plural(len(queries), 'picture')} that were seen, each with five retrieved pictures",
        caption="The picture that was seen on the left, under it the rank at which it was"
        " retrieved; then the five test images whose embeddings are most similar to that decoded"
        " from the brain, with the cosine. A blue frame marks the one that was seen.",
        format="webp",
    )  # fmt: skip


def _query(image: int, rows: pd.DataFrame, picture: Mapping[int, NDArray[np.uint8]]) -> Query:
    images = [int(each) for each in rows["image"]]
    return Query(
        seen=picture[image],
        caption=f"rank {int(rows['query_rank'].iloc[0])}",
        found=[picture[each] for each in images],
        captions=[score(float(value)) for value in rows["similarity"]],
        own=images.index(image) if image in images else None,
    )


def _hard(sources: Sources, decode: Artefact) -> Iterator[Block]:
    if not decode.has("hard.tsv"):
        yield Notice(
            "note", "No gallery of the same objects",
            "Categories of what is in the images are not known, or too few images share any.",
        )  # fmt: skip
        return
    table = _headline(decode.table("hard.tsv"))
    ways = int(table["ways"].iloc[0])
    panels = [
        (
            f"Found first among {ways}",
            [
                Accuracy(
                    f"{WORDS[str(row['direction'])]}, {cell(row['centring'])}", name,
                    float(row[key]), float(row["low"]) if key == "accuracy" else np.nan,
                    float(row["high"]) if key == "accuracy" else np.nan, float(row["chance"]),
                )
                for row in table.to_dict("records")
                for name, key in (("same objects", "accuracy"), ("random images", "random"))
            ],
        )
    ]  # fmt: skip
    figure = accuracies(
        panels, sources.stamp("decode"), title="Among images of the same objects",
        subtitle=f"{count(int(table['images'].max()))} queries, each with the {ways - 1} test"
        " images whose objects overlap most with its own",
    )  # fmt: skip
    yield Picture(
        to_svg(figure),
        alt="Accuracy among images of the same objects, beside random images",
        caption="A decoder that knows only which kinds of things were seen does well among random"
        " images and fails among images of the same things.",
    )


def _overlap(decode: Artefact) -> Iterator[Block]:
    if not decode.has("overlap.tsv"):
        return
    table = decode.table("overlap.tsv")
    names = ("farthest", "middle", "nearest")
    yield Table(
        "Test images by how near the nearest training image is (cosine of embeddings), raw top 1.",
        (
            Column("Subject"), Column("Third"), Column("n", numeric=True),
            Column("Nearest training image", numeric=True),
            *(Column(WORDS[direction], numeric=True) for direction in DIRECTIONS),
        ),
        tuple(
            (
                cell(row["subject"]), names[int(row["third"])], count(row["images"]),
                score(float(row["nearest"])), *(score(float(row[d])) for d in DIRECTIONS),
            )
            for row in table.to_dict("records")
        ),
    )  # fmt: skip


def ablation(sources: Sources) -> tuple[Block, ...]:
    """Networks left out, or kept alone."""
    artefact = sources.parents["ablate"]
    table = artefact.table("ablation.tsv")
    found: list[Block] = [
        _bars(sources, table, measure) for measure in ("percentile", DIRECTIONS[0])
    ]
    found += list(_components(sources, table))
    found += list(_map(sources, artefact))
    return tuple(found)


def _found(row: Mapping[Hashable, Any]) -> bool:
    return bool(row["q"] < LEVEL and row["share"] >= LEAST)


_UNITS = {"percentile": "share of rivals left behind"}
_MODES = {"drop": "Left out", "keep": "Kept alone"}


def _bars(sources: Sources, table: pd.DataFrame, measure: str) -> Picture:
    own = table[table["measure"] == measure]
    panels = [
        (
            heading,
            [
                Bar(
                    f"{cell(row['network'])} ({count(row['targets'])})", float(row["value"]),
                    float(row["control_low"]), float(row["control_high"]), _found(row),
                )
                for row in own[own["mode"] == mode].to_dict("records")
            ],
        )
        for mode, heading in _MODES.items()
    ]  # fmt: skip
    name = WORDS[measure] + ("" if measure in _UNITS else ", top 1")
    figure = ablation_bars(
        panels, sources.stamp("ablate"), title=f"Networks: {name}",
        subtitle="inputs of a network set to their mean at test time; in brackets: targets",
        unit=_UNITS.get(measure, "share found first (top 1)") + ", centred",
        intact=float(own["intact"].iloc[0]), chance=float(own["chance"].iloc[0]),
    )  # fmt: skip
    said = {mode: _names(own[own["mode"] == mode]) for mode in _MODES}
    return Picture(
        to_svg(figure),
        alt=f"{name} without each network and with it alone, beside random parcels",
        caption="Inputs of a network (left), or of all others (right), were set to their training"
        " mean at test time. The grey band holds 95 % of random sets of parcels of the same size,"
        " outside the network. Orange: beyond them (q below 0.05 over networks, and a tenth or"
        f" more of what is above chance). Left out: {said['drop']}. Kept alone: {said['keep']}."
        " What a decoder learns without a network is another question: decode again with"
        " decoder.input.without.",
    )


def _names(rows: pd.DataFrame) -> str:
    names = [cell(row["network"]) for row in rows.to_dict("records") if _found(row)]
    return ", ".join(names) or "none"


def _components(sources: Sources, table: pd.DataFrame) -> Iterator[Block]:
    own = table[table["measure"].astype(str).str.startswith(CONCEPT)]
    if own.empty:
        return
    networks = list(dict.fromkeys(own["network"].astype(str)))
    measures = list(dict.fromkeys(own["measure"].astype(str)))
    panels = []
    for mode, heading in (("drop", "Lost when left out"), ("keep", "Left when kept alone")):
        rows = own[own["mode"] == mode]
        share = np.full((len(networks), len(measures)), np.nan)
        marked = np.zeros(share.shape, dtype=bool)
        for row in rows.to_dict("records"):
            at = networks.index(str(row["network"])), measures.index(str(row["measure"]))
            share[at], marked[at] = float(row["share"]), _found(row)
        panels.append((heading, share, marked))
    figure = component_grid(
        [cell(name) for name in networks], [name.removeprefix(CONCEPT) for name in measures],
        panels, sources.stamp("ablate"), title="Which network carries which kind of things",
        subtitle="share of what the whole brain has above chance; frame: beyond its controls",
    )  # fmt: skip
    yield Picture(
        to_svg(figure),
        alt=f"{plural(len(networks), 'network')} by {plural(len(measures), 'kind')} of things",
        caption="Whether a kind of things was in the picture, read off the decoded embedding along"
        " the discriminant of training images with and without it (area under the curve). What one"
        " network alone carries is lost without it; what two carry is lost without neither, and"
        " left with either.",
    )


def _map(sources: Sources, artefact: Artefact) -> Iterator[Block]:
    table = artefact.table("contributions.tsv")
    if sources.dataset.get("space") != "fsaverage5" or table["vertex"].isna().any():
        return
    first = table[table["subject"] == table["subject"].iloc[0]]
    values = {}
    for side in _SIDES:
        rows = first[first["hemisphere"] == side]
        values[side] = np.full(_VERTICES, np.nan)
        values[side][rows["vertex"].to_numpy(dtype=np.int64)] = rows["contribution"].to_numpy(float)
    most = float(np.nanmax(np.abs(first["contribution"].to_numpy(float)))) or 1.0
    figure = cortical_map(
        values, sources.stamp("ablate"), title="What the decoder loses without each parcel",
        unit="cosine with the own image less that with others: loss", limits=(-most, most),
        colours=DIVERGING, note=f"{first['parcel'].nunique()} parcels",
    )  # fmt: skip
    yield Picture(
        to_webp(figure),
        alt="Contribution of every parcel on the cortex",
        caption="Each parcel was left out alone. Red: the decoded embedding is less like its image"
        " without it. Near 0 where others carry the same. contributions.tsv has every target.",
        format="webp",
    )


def imagery(sources: Sources) -> tuple[Block, ...]:
    """Other trials through the same decoder."""
    artefact = sources.parents["imagery"]
    table = artefact.table("imagery.tsv")
    with artefact.hdf5("imagery.h5") as file:
        similarity, null = file["similarity"][:], file["null"][:]
    margin = table[table["statistic"] == "margin"].iloc[0]
    trials, images = int(margin["trials"]), int(margin["images"])
    picture = Picture(
        to_svg(
            pairing(
                similarity, null, float(margin["value"]), sources.stamp("imagery"),
                title="Imagined, or other, trials through the same decoder",
                subtitle=f"{plural(trials, 'trial')} of {plural(images, 'image')}, averaged by"
                " image; no part of the decoder was fitted to such trials",
                unit="mean cosine of pairs less that of all",
            )
        ),
        alt=f"Similarity of {images} brains and {count(int(margin['gallery']))} gallery items",
        caption=f"p {_p(float(margin['p']))} over {count(len(null))} permutations of the pairing,"
        f" {plural(trials, 'trial')}. With so few images only a large effect can be seen, and p"
        " says nothing of its size.",
    )  # fmt: skip
    return _seen(int(margin["seen"]), images), picture, _imagery_table(table)


def _seen(seen: int, images: int) -> Prose:
    """Whether what was found can be called zero-shot."""
    share = f" ({100 * seen / images:.0f} %)" if seen else ""
    text = (
        f"{seen or 'None'} of {plural(images, 'image')}{share} {'was' if seen < 2 else 'were'}"
        " among the training images of the decoder. Pictures are told by their digest, so one that"
        " was scaled anew would not be recognised."
    )
    return Prose((text,))


def _imagery_table(table: pd.DataFrame) -> Table:
    titles: Sequence[tuple[str, bool]] = (
        ("Direction", False), ("Statistic", False), ("Value", True), ("Random pairings", True),
        ("Their 95 %", True), ("p", True),
    )  # fmt: skip
    return Table(
        "Every statistic of the pairing, and how many images were none of training.",
        tuple(Column(title, numeric) for title, numeric in titles),
        tuple(
            (WORDS[str(row["direction"])], cell(row["statistic"]), score(float(row["value"])),
             score(float(row["chance"])), score(float(row["high"])), _p(float(row["p"])))
            for row in table.to_dict("records")
        )
        + _share_seen(table.iloc[0]),
    )  # fmt: skip


def _share_seen(row: pd.Series[Any]) -> tuple[Row, ...]:
    share = score(float(row["seen"]) / float(row["images"]))
    return (("all", "share of images seen in training", share, "", "", ""),)
