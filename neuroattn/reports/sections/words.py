"""The words that pictures were drawn of: what captions say of an objective's targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv
from neuroattn.reports.blocks import Block, Column, Table
from neuroattn.reports.wording import cell, count

CAPTIONS, PRIMED = "captions", "primed"  # methods that tell the generator words
TOLD: Final = "told.tsv"
COLUMNS: Final = ("file", "objective", "seed", "target", "caption")
_LISTED = 3
_DRAWN = {
    CAPTIONS: "What pictures from captions were drawn of.",
    PRIMED: "What the generator was told in its first steps, before the gradient took over: what"
    " captions of the objective's targets say and captions of other targets do not.",
}


def method(artefact: Artefact) -> str:
    """How an artefact's pictures were made."""
    return str(artefact.config.get("guidance", {}).get("name"))


def words(artefact: Artefact) -> Iterator[Block]:
    """A table of them; nothing where the generator was told none."""
    if not artefact.has(TOLD):
        return
    rows = []
    for objective, own in read_tsv(artefact.path(TOLD), COLUMNS).groupby("objective", sort=False):
        texts = own["caption"].astype(str).str.rstrip(".").value_counts(sort=True)
        shown = "; ".join(texts.index[:_LISTED])
        rows.append((cell(objective), cell(shown), count(len(texts)), count(len(own))))
    columns = (
        Column("Objective"),
        Column("Words, most frequent first"),
        Column("Different ones", numeric=True),
        Column("Pictures", numeric=True),
    )
    yield Table(_DRAWN[method(artefact)], columns, tuple(rows))
