"""What each layer gives to a target, of one backbone or of several, by region.

Read from columns that a readout wrote into ``scores.tsv``: ``share_<layer>`` of banded ridge (its
share in what is predicted), ``mix_<layer>`` of readouts that mix layers (its weight).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neuroattn.figures import to_svg
from neuroattn.figures.comparison import weights_by_region
from neuroattn.reports.blocks import Block, Column, Picture, Prose, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column, mean, rows_by_region
from neuroattn.reports.wording import cell, score


@dataclass(frozen=True)
class _Kind:
    """One kind of column, and how it is told."""

    prefix: str
    title: str
    unit: str
    caption: str
    reading: str


_KINDS = (
    _Kind(
        "share_",
        "What each layer gives to the prediction",
        "Share of the predicted variance",
        "Share of each layer (band) in the variance that is predicted, by region.",
        "Shares are covariances of a layer's part of the prediction with the whole (product"
        " measure) over the training images; those of a target sum to 1. Of layers that say the"
        " same, one may have a negative share: the table has it, the figure draws it as 0.",
    ),
    _Kind(
        "mix_",
        "What each layer weighs",
        "Weight",
        "Weight of each layer in what targets read, by region.",
        "Weights were learned on training images and sum to 1 at every target.",
    ),
)


def blocks(sources: Sources) -> tuple[Block, ...]:
    """A figure and a table for each kind of column that there is; nothing in most reports."""
    if not sources.has("encode"):
        return ()
    found: list[Block] = []
    for kind in _KINDS:
        columns = [name for name in sources.scores if str(name).startswith(kind.prefix)]
        if len(columns) > 1:
            found += _blocks(sources, kind, [str(name) for name in columns])
    return tuple(found)


def _blocks(sources: Sources, kind: _Kind, columns: list[str]) -> list[Block]:
    scores = sources.scores
    shown = rows_by_region(scores)[: sources.options.max_rois + 1]
    means = np.array([[mean(column(scores, name)[rows]) for _, rows in shown] for name in columns])
    layers = [name.removeprefix(kind.prefix) for name in columns]
    regions = [name for name, _ in shown]
    drawn = weights_by_region(
        regions, layers, np.clip(means, 0, None), sources.stamp("encode"),
        title=kind.title, unit=kind.unit,
    )  # fmt: skip
    overall = "; ".join(f"{n} {score(float(v))}" for n, v in zip(layers, means[:, 0], strict=True))
    rows = tuple(
        (cell(region), *(score(float(value)) for value in means[:, place]))
        for place, region in enumerate(regions)
    )
    heads = (Column("Region"), *(Column(cell(layer), numeric=True) for layer in layers))
    return [
        Picture(
            to_svg(drawn),
            alt=f"{kind.title} by region; over all targets {cell(overall)}",
            caption=kind.caption,
        ),
        Table(f"{kind.caption} Means over targets.", heads, rows),
        Prose((kind.reading,)),
    ]
