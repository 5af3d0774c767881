"""Maps of what captions say: people, classes of nouns, concepts, and weights as colours.

All of them show three kinds of vertices apart: those with a caption, those below the gate, which
have data and no caption, and those without data. What the null targets say stands in the note.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import flags, read_tsv
from neuroattn.figures.captions import BELOW, CLASS_COLOURS
from neuroattn.figures.cortex import SEQUENTIAL, Key
from neuroattn.maps.layers import Layer, Values, numbers

TABLE: Final = "caption_maps.tsv"
COLUMNS: Final = ("target", "null", "gated", "person_share", "class", "red", "green", "blue")
_NAMED = 3  # classes of null targets; more do not fit beside a title
_CONCEPT, _STEPS, _MARKS = "concept-", 64, 5
_RGB = ["red", "green", "blue"]
_UNGATED = "below the gate"


def caption_layers(caption: Artefact, targets: pd.Series[str]) -> list[Layer]:
    """Layers for these targets, in their order.

    Raises
    ------
    ArtefactError : the table lacks a column.
    """
    table = read_tsv(caption.path(TABLE), COLUMNS)
    null = flags(table["null"])
    own = table[~null].set_index("target").reindex(targets.to_numpy())
    source = f"{caption.stage}/{caption.label}"
    found = [_people(own, table[null]), _classes(own, table[null])]
    if own["red"].notna().any():  # an encoder without an image-text space has no such weights
        found.append(_colours(own, table[null]))
    found += [
        _concept(own, table[null], name) for name in table.columns if name.startswith(_CONCEPT)
    ]
    return [replace(layer, source=source) for layer in found]


def _people(own: pd.DataFrame, null: pd.DataFrame) -> Layer:
    values = numbers(own["person_share"])
    codes, key = _amounts(values, (0.0, 1.0))
    return Layer(
        "personshare", "People in captions", "share of nouns that mean people", values, (0.0, 1.0),
        drawn=codes, key=key, note=_of_nulls(numbers(null["person_share"])),
    )  # fmt: skip


def _concept(own: pd.DataFrame, null: pd.DataFrame, name: str) -> Layer:
    word = name.removeprefix(_CONCEPT)
    values = numbers(own[name])
    known = np.abs(values[np.isfinite(values)])
    limits = (0.0, float(np.ceil(20 * np.quantile(known, 0.99)) / 20) if known.size else 1.0)
    codes, key = _amounts(values, limits)
    return Layer(
        "concept" + "".join(filter(str.isalnum, word)), f"Weights and the words: {word}",
        "cosine of weight and text", values, limits, drawn=codes, key=key,
        note=_of_nulls(numbers(null[name])),
    )  # fmt: skip


def _amounts(values: Values, limits: tuple[float, float]) -> tuple[Values, Key]:
    """Numbers of colours for amounts on a scale, the last one for targets below the gate."""
    scale = mpl.colormaps[SEQUENTIAL]
    colours = [to_hex(scale(step / (_STEPS - 1))) for step in range(_STEPS)]
    part = ((values - limits[0]) / max(limits[1] - limits[0], 1e-9)).clip(0, 1)
    codes = np.where(np.isfinite(values), np.rint(part * (_STEPS - 1)), _STEPS)
    marks = np.linspace(0, _STEPS - 1, _MARKS).round().astype(int)
    names = {
        f"{limits[0] + (limits[1] - limits[0]) * at / (_STEPS - 1):.2f}": colours[at]
        for at in marks.tolist()
    }
    return codes, Key([*colours, BELOW], {**names, _UNGATED: BELOW})


def _classes(own: pd.DataFrame, null: pd.DataFrame) -> Layer:
    kinds = list(CLASS_COLOURS)
    number = {kind: n for n, kind in enumerate(kinds)}
    said = own["class"].fillna("").map(str)
    codes = np.array([number.get(kind, len(kinds)) for kind in said], dtype=np.float64)
    present = {kind: CLASS_COLOURS[kind] for kind in kinds if (said == kind).any()}
    counts = null["class"].fillna("").map(str).value_counts()
    known = [f"{kind} {n}" for kind, n in counts.items() if kind]
    top = ", ".join(known[:_NAMED]) + " …" * (len(known) > _NAMED)
    return Layer(
        "nounclass", "Class of nouns that stands out",
        "; ".join(f"{n} {kind}" for kind, n in number.items()).replace("; ", ", "),
        np.where(codes < len(kinds), codes, np.nan), (0.0, float(len(kinds))), drawn=codes,
        key=Key([*CLASS_COLOURS.values(), BELOW], {**present, _UNGATED: BELOW}),
        note=f"null targets: {top or 'none captioned'}",
    )  # fmt: skip


def _colours(own: pd.DataFrame, null: pd.DataFrame) -> Layer:
    table = np.column_stack([numbers(own[name]) for name in _RGB])
    known = np.isfinite(table).all(axis=1)
    shades = [to_hex(row) for row in table[known].clip(0, 1)]
    codes = np.full(len(table), float(len(shades)))
    codes[known] = np.arange(len(shades))
    of_null = np.column_stack([numbers(null[name]) for name in _RGB])
    return Layer(
        "captioncolour", "Weights as colours", "alike colours: alike preferred pictures",
        table[:, 0], (0.0, 1.0), drawn=codes,
        key=Key([*shades, BELOW], _named(own, table) | _mean(of_null) | {_UNGATED: BELOW}),
        files={f"captioncolour-{name}": table[:, n] for n, name in enumerate(_RGB)},
        note="key: mean colours of classes and of null targets",
    )  # fmt: skip


def _named(own: pd.DataFrame, table: Values) -> dict[str, str]:
    """Mean colour of the targets of each leading class."""
    said = own["class"].fillna("").map(str).to_numpy()
    known = np.isfinite(table).all(axis=1)
    found = {}
    for kind in CLASS_COLOURS:
        rows = known & (said == kind)
        if rows.any():
            found[kind] = to_hex(table[rows].mean(axis=0).clip(0, 1))
    return found


def _mean(colours: Values) -> dict[str, str]:
    known = colours[np.isfinite(colours).all(axis=1)]
    return {"null targets": to_hex(known.mean(axis=0).clip(0, 1))} if len(known) else {}


def _of_nulls(values: Values) -> str:
    known = values[np.isfinite(values)]
    if not known.size:
        return "no null target has a caption"
    return f"null targets: mean {known.mean():.2f} (n = {known.size:,})"
