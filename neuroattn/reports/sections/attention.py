"""Attention: the test images to which each region responds most, and where its query looks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import rois_of
from neuroattn.figures import to_webp
from neuroattn.figures.attention import Look, attention_overlays
from neuroattn.reports.blocks import Block, Notice, Picture
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column
from neuroattn.reports.wording import cell, plural, said

FILE, FOLD = "attention.h5", "fold-{}"
SIDES = ("lh", "rh")


def blocks(sources: Sources) -> tuple[Block, ...]:
    """One figure: a row for each of the best predicted queries."""
    options = sources.options
    if not sources.has("encode") or not options.attention_queries:
        return ()
    encode = sources.parents["encode"]
    if not encode.has(FILE):
        return ()
    with encode.hdf5(FILE) as file:
        kept = _kept(file)
        if kept is None:
            return (Notice("note", "No attention was kept", _NONE),)
        if kept.pictures is None:
            return (Notice("note", "No pictures were kept", _NO_PICTURES),)
        chosen = best_queries(sources, kept.queries)[: options.attention_queries]
        if not chosen:
            return (Notice("note", "No query stands for a region", _NO_REGIONS),)
        rows = [(name, _looks(sources, kept, name)) for name in chosen]
    drawn = attention_overlays(
        rows,
        sources.stamp("encode"),
        subtitle=f"test images with the highest predicted response of the region, of"
        f" {plural(len(kept.images), 'image')} of fold {kept.fold}",
    )
    shown = cell(", ".join(name for name, _ in rows))
    return (
        Picture(
            to_webp(drawn),
            alt=f"Attention over pictures for the queries {shown}",
            caption="For each query the test images with the highest mean predicted response over"
            " the targets that read it, and where it looks in them: weights averaged over heads,"
            " as heat over the picture as the network saw it. Regions stand from the best"
            f" predicted on. {len(kept.queries)} queries are in {FILE}, by name.",
            format="webp",
        ),
    )


_NONE = "Fit with scoring.attention_images above 0 to see where the queries look."
_NO_REGIONS = (
    "Parcels and free queries have no region to be ranked by; attention.h5 has their maps."
)
_NO_PICTURES = (
    "The encoder was fitted where the pictures could not be opened, so its attention cannot be laid"
    " over them. Fit again beside the dataset: give dataset.root."
)


@dataclass(frozen=True, eq=False)
class Kept:
    """What an encoder kept of one fold: ``weights`` (images, queries, rows, columns)."""

    fold: int
    queries: list[str]
    images: NDArray[np.int64]
    weights: NDArray[Any]
    pictures: NDArray[np.uint8] | None


def _kept(file: h5py.File) -> Kept | None:
    """The first fold with attention."""
    grid = tuple(int(size) for size in file.attrs["grid"])
    folds = sorted(int(name.rpartition("-")[2]) for name in file if "attention" in file[name])
    if not folds:
        return None
    group = file[FOLD.format(folds[0])]
    queries = [said(name) for name in group.attrs.get("queries", file.attrs["queries"])]
    weights = group["attention"][:].astype(np.float32)
    return Kept(
        folds[0],
        queries,
        group["image"][:].astype(np.int64),
        weights.reshape(*weights.shape[:2], *grid),
        group["picture"][:] if "picture" in group else None,
    )


def targets_of(sources: Sources, query: str) -> NDArray[np.int64]:
    """Rows of ``targets.tsv`` that read ``query``: ``lh.V1v``, ``V1v``, ``lh``, ``all``."""
    table = sources.parents["encode"].table("targets.tsv")
    side, dot, roi = query.partition(".")
    if not dot:
        side, roi = (query, "") if query in SIDES else ("", query)
    sides = np.array([said(value) for value in table["hemisphere"]])
    here = sides == side if side else np.ones(len(table), dtype=bool)
    if roi not in ("", "all"):
        cells = [rois_of(value) for value in table["rois"]]
        member = [roi in names if roi != "rest" else not names for names in cells]
        here = here & np.array(member)
    return np.flatnonzero(here)


def best_queries(sources: Sources, queries: Sequence[str]) -> list[str]:
    """Queries from the best predicted on, one hemisphere of a region: the better one."""
    r = column(sources.scores, "r")
    means = {}
    for query in queries:
        rows = targets_of(sources, query)
        known = r[rows][np.isfinite(r[rows])]
        if known.size:
            means[query] = float(known.mean())
    ranked = sorted(means, key=lambda query: -means[query])
    return list(_one_each(ranked))


def _one_each(ranked: Sequence[str]) -> Iterator[str]:
    seen = set()
    for query in ranked:
        roi = query.rpartition(".")[2]
        if roi not in seen:
            seen.add(roi)
            yield query


def _looks(sources: Sources, kept: Kept, query: str) -> list[Look]:
    """The images of the fold with the highest mean predicted response, z-scored by target."""
    encode: Artefact = sources.parents["encode"]
    with encode.hdf5("predictions.h5") as file:
        test = file["test"]
        rows = np.flatnonzero(test["fold"][:] == kept.fold)
        ids = test["image"][:][rows]
        predicted = test["predicted"][rows.min() : rows.max() + 1][:, targets_of(sources, query)]
    predicted = predicted[rows - rows.min()].astype(np.float64)
    spread = np.nanstd(predicted, axis=0)
    z = (predicted - np.nanmean(predicted, axis=0)) / np.where(spread > 0, spread, 1)
    response = dict(zip(ids.tolist(), np.nanmean(z, axis=1), strict=True))
    order = sorted(range(len(kept.images)), key=lambda n: -response.get(int(kept.images[n]), -99.0))
    at = kept.queries.index(query)
    pictures = kept.pictures if kept.pictures is not None else np.zeros((0, 1, 1, 3), np.uint8)
    return [
        Look(
            pictures[n],
            kept.weights[n, at],
            f"image {int(kept.images[n])}, z {response[int(kept.images[n])]:.1f}",
        )
        for n in order[: sources.options.attention_images]
    ]
