"""Maps: the pictures that the stage ``map`` drew, and the files beside them."""

from __future__ import annotations

from neuroattn.core.tables import read_tsv
from neuroattn.reports.blocks import Block, Column, Picture, Prose, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count

COLUMNS = ("file", "stat", "title", "unit", "hemisphere", "space", "vertices")


def blocks(sources: Sources) -> tuple[Block, ...]:
    """One picture for each score, then the list of files."""
    artefact = sources.parents["map"]
    index = read_tsv(artefact.path("maps.tsv"), COLUMNS)
    pictures = []
    for stat, rows in index.groupby("stat", sort=False):
        first, vertices = rows.iloc[0], int(rows.drop_duplicates("hemisphere")["vertices"].sum())
        pictures.append(
            Picture(
                artefact.path(f"figures/{stat}.png").read_bytes(),
                alt=f"{cell(first['title'])} on the cortex, both hemispheres, {vertices} vertices",
                caption=f"{cell(first['title'])} ({cell(first['unit'])}) on {cell(first['space'])}:"
                " inflated from three sides, and flat with regions outlined. Grey: no data.",
                format="png",
            )
        )
    files = Table(
        f"Files for other programs, in {sources.name('map')}.",
        (Column("File"), Column("Shows"), Column("Vertices", numeric=True)),
        tuple(
            (cell(row["file"]), cell(row["title"]), count(int(row["vertices"])))
            for _, row in index.iterrows()
        ),
    )
    return (*pictures, Prose((_READING,)), files)


_READING = (
    "All maps of one kind share one colour scale, whatever the model. A vertex in a region is"
    " inside its outline; regions come from the dataset."
)
