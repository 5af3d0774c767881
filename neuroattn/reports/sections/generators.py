"""The generator: what it draws of sentences, and which words come back."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_webp
from neuroattn.figures.synthesis import Strip, picture_grid
from neuroattn.reports.blocks import Block, Column, Picture, Prose, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count

STAGE, SAMPLES = "synthesize", "samples.tsv"
COLUMNS = ("file", "asked", "captioned", "found", "seed")


def blocks(sources: Sources) -> tuple[Block, ...]:
    """A row of samples and their words; nothing where none were drawn."""
    artefact = sources.parents.get(STAGE)
    if artefact is None or not artefact.has(SAMPLES):
        return ()
    table = read_tsv(artefact.path(SAMPLES), COLUMNS).fillna("")
    pictures = []
    for file in table["file"]:
        with Image.open(io.BytesIO(artefact.path(str(file)).read_bytes())) as picture:
            pictures.append(np.asarray(picture.convert("RGB")))
    figure = picture_grid(
        [Strip("from sentences", "no encoder guided", pictures)],
        sources.stamp(STAGE),
        title="What the embedded generator draws",
        subtitle="simulated scenes of 64 pixels; sentences from left to right as in the table",
    )
    rows = tuple(
        (count(row["seed"]), cell(row["asked"]), cell(row["captioned"]), cell(row["found"]))
        for _, row in table.iterrows()
    )
    return (
        Prose((_READING,)),
        Picture(
            to_webp(figure),
            alt=f"{len(pictures)} samples of the embedded generator for sentences.",
            caption="A picture for each sentence, drawn without any encoder.",
            format="webp",
        ),
        Table("Sentences, captions of the pictures, and what the referee finds in them.",
              (Column("Seed", numeric=True), Column("Asked for"), Column("Captioned"),
               Column("Found by the referee")), rows),
    )  # fmt: skip


_READING = (
    "The embedded generator knows simulated scenes alone. These samples were drawn from sentences,"
    " captioned by the embedded captioner and looked at by the referee: they say how far pictures"
    " of this page can be trusted to show things at all."
)
