"""Maps: the pictures that the stage ``map`` drew, and the files beside them."""

from __future__ import annotations

from neuroattn.core.tables import read_tsv
from neuroattn.reports.blocks import Block, Column, Details, Picture, Prose, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count

COLUMNS = ("file", "stat", "title", "unit", "hemisphere", "space", "vertices", "figure")


def blocks(sources: Sources) -> tuple[Block, ...]:
    """One picture for each score, then the list of files."""
    artefact = sources.parents["map"]
    index = read_tsv(artefact.path("maps.tsv"), COLUMNS)
    pictures = []
    drawn = index[index["figure"].astype(str) != ""]
    for figure, rows in drawn.groupby("figure", sort=False):
        first = rows.iloc[0]
        first_title, *beside = dict.fromkeys(rows["title"].astype(str))
        titles = cell(" and ".join([first_title, *(title.lower() for title in beside)]))
        places = int(
            rows[rows["stat"] == first["stat"]].drop_duplicates("hemisphere")["vertices"].sum()
        )
        volume = not str(first["hemisphere"])
        pictures.append(
            Picture(
                artefact.path(str(figure)).read_bytes(),
                alt=f"{titles}: {places:,} {'voxels' if volume else 'vertices, both hemispheres'}",
                caption=f"{titles} ({cell(first['unit'])}) in {cell(first['space'])}: "
                + (_VOLUME if volume else _SURFACE),
                format="png",
            )
        )
    files = Table(
        f"Files for other programs, in {sources.name('map')}.",
        (Column("File"), Column("Shows"), Column("n places", numeric=True)),
        tuple(
            (cell(row["file"]), cell(row["title"]), count(int(row["vertices"])))
            for _, row in index.iterrows()
        ),
    )
    return (*pictures, Prose((_READING,)), Details("Files for other programs", (files,)))


_SURFACE = "inflated from three sides, and flat with regions outlined. Grey: no data."
_VOLUME = "axial slices, left on the left. Grey: no data."
_READING = (
    "All maps of one kind share one colour scale, whatever the model. A vertex in a region is"
    " inside its outline; regions come from the dataset."
)
