"""The embedded models: which are there, what they draw, say and find, and how well they score."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_webp
from neuroattn.figures.synthesis import Strip, picture_grid
from neuroattn.reports.blocks import (
    Block,
    Card,
    Cards,
    Column,
    Details,
    Notice,
    Picture,
    Prose,
    Table,
)
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count, plural, score

STAGE = "showcase"
MODELS = ("model", "state", "about", "limits", "steps", "megabytes", "digest", "fix")
SCORES = ("model", "score", "value")
SAMPLES = (
    "number", "asked", "things", "real", "real_caption", "real_found", "remade", "remade_found",
    "sample", "sample_caption", "sample_found", "nearest", "sample_distance", "real_distance",
)  # fmt: skip
_COLUMNS = 6
_STRIPS = (
    ("real", "held-out scenes", "not learned from", "real_distance"),
    ("remade", "autoencoded", "no drawing can be sharper", ""),
    ("sample", "drawn", "from their captions alone", "sample_distance"),
    ("nearest", "nearest training", "scene to the one drawn", ""),
)


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Cards, pictures in rows of six with what is said of each, models and their scores."""
    table = _read(sources, "samples.tsv", SAMPLES)
    models = _read(sources, "models.tsv", MODELS)
    absent = models[models["state"] != "there"]
    named = ", ".join(cell(name) for name in absent["model"])
    fixes = "; ".join(cell(fix) for fix in absent["fix"])
    notices = [Notice("note", f"Not there: {named}", f"To build: {fixes}")] if named else []
    return (
        _cards(sources, table, models),
        Prose((_READING,)),
        *notices,
        *_grids(sources, table),
        _said(table),
        _models(models),
        *_scores(_read(sources, "scores.tsv", SCORES)),
    )


_READING = (
    "The embedded models know simulated scenes alone and support no conclusion about brains. They"
    " are shown scenes that none of them learned from. Numbers under pictures are root mean squared"
    " differences to the nearest training scene, of pixels from 0 to 1; 0 would be a copy, and the"
    " distances of real held-out scenes say what is usual. The referee shares no weights with any"
    " other model, and learned from drawings, words and photographs that no other learned from."
)


def _cards(sources: Sources, table: pd.DataFrame, models: pd.DataFrame) -> Cards:
    there = models["state"] == "there"
    shown = [
        Card("Models", count(int(there.sum())), f"of {len(models)}", headline=True),
        Card("Megabytes", score(models["megabytes"].sum()), "of weights and vocabularies"),
        Card("Scenes", count(len(table)), "held out"),
    ]
    metrics = sources.parents[STAGE].metrics
    for key, name, note in (
        ("real.exact", "Exact, real scenes", "the referee finds just what is there"),
        ("remade.exact", "Exact, after the autoencoder", "in what it makes of them"),
        ("sample.exact", "Exact, drawn ones", "the referee finds just what was asked for"),
        ("sample.distance", "Nearest scene", f"median; real ones {_value(metrics)}"),
    ):
        if key in metrics:
            shown.append(Card(name, score(metrics[key]), note))
    return Cards(tuple(shown))


def _value(metrics: object) -> str:
    known = dict(metrics) if isinstance(metrics, dict) else {}
    return score(known.get("real.distance"))


def _grids(sources: Sources, table: pd.DataFrame) -> list[Block]:
    found: list[Block] = []
    measured = table["real_distance"].notna().any()
    told = "; below: distance to the nearest training scene" if measured else ""
    for start in range(0, len(table), _COLUMNS):
        rows = table.iloc[start : start + _COLUMNS]
        strips = [
            Strip(
                name, note, [_picture(sources, str(file)) for file in rows[kind]],
                rows[distance].astype(float).tolist() if distance else (), marked=kind == "sample",
            )
            for kind, name, note, distance in _STRIPS
            if rows[kind].notna().all()
        ]  # fmt: skip
        numbers = f"{int(rows['number'].iloc[0])} to {int(rows['number'].iloc[-1])}"
        figure = picture_grid(
            strips, sources.stamp(STAGE), title=f"Scenes {numbers}",
            subtitle=f"simulated scenes of 64 pixels{told}",
        )  # fmt: skip
        found.append(
            Picture(
                to_webp(figure),
                alt=f"Scenes {numbers}: {', '.join(strip.name for strip in strips)}.",
                caption="From left to right as in the table. Each picture was drawn from the"
                " caption of the scene above it, with a seed of its own, and none was chosen."
                if rows["sample"].notna().all()
                else "Held-out scenes, from left to right as in the table.",
                format="webp",
            )
        )
    return found


def _picture(sources: Sources, file: str) -> NDArray[np.uint8]:
    content = sources.parents[STAGE].path(file).read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


def _said(table: pd.DataFrame) -> Table:
    heads = {
        "number": "Scene", "asked": "Its caption", "things": "Its things",
        "real_caption": "Captioned", "real_found": "Referee finds",
        "remade_found": "Referee finds after the autoencoder",
        "sample_caption": "Drawn one captioned", "sample_found": "Referee finds in it",
    }  # fmt: skip
    known = [name for name in heads if table[name].notna().any()]
    rows = tuple(
        tuple(count(row[name]) if name == "number" else cell(row[name]) for name in known)
        for _, row in table.iterrows()
    )
    columns = tuple(Column(heads[name], numeric=name == "number") for name in known)
    return Table("What was asked for, what is said of it, and what is found.", columns, rows)


def _models(models: pd.DataFrame) -> Table:
    there = models[models["state"] == "there"]
    rows = tuple(
        (cell(row["model"]), cell(row["about"]), cell(row["limits"]), count(row["steps"]),
         score(row["megabytes"]), cell(row["digest"]))
        for _, row in there.iterrows()
    )  # fmt: skip
    columns = (Column("Model"), Column("What it is"), Column("Limits"),
               Column("Steps", numeric=True), Column("Megabytes", numeric=True),
               Column("Digest"))  # fmt: skip
    return Table(f"{plural(len(there), 'embedded model')} that are there.", columns, rows)


def _scores(table: pd.DataFrame) -> list[Block]:
    """Scores of the cards, model by model."""
    found: list[Block] = []
    for model, rows in table.groupby("model", sort=False):
        cells = tuple((cell(row["score"]), score(row["value"])) for _, row in rows.iterrows())
        columns = (Column("Score"), Column("Value", numeric=True))
        own = Table("As its card has them, over all held-out scenes.", columns, cells)
        found.append(Details(f"Scores of {cell(model)}", (own,)))
    return found


def _read(sources: Sources, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    return read_tsv(sources.parents[STAGE].path(name), columns)
