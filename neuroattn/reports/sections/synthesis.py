"""Synthesis: pictures by objective beside the unguided ones, and what everyone else says of them.

Figures say which encoder predicted, which generator drew, from which seeds and at which scale.
A picture shows what an encoder believes: predicted activation is not a measured one.
"""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_svg, to_webp
from neuroattn.figures.comparison import Series, values_by_region
from neuroattn.figures.synthesis import Strip, activation_matrix, picture_grid
from neuroattn.reports.blocks import (
    Block,
    Card,
    Cards,
    Column,
    Details,
    FactList,
    Notice,
    Picture,
    Prose,
    Subheading,
    Table,
)
from neuroattn.reports.sections.words import words
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count, plural, said, score, span

STAGE = "synthesize"
IMAGES = ("file", "seed", "objective", "method", "guide_activation", "judge_activation", "rank",
          "selected", "status")  # fmt: skip
MEASURES = ("objective", "set", "selected", "measure", "value", "low", "high", "n")
GAINS = ("objective", "method", "measure", "gain", "low", "high", "n")
MATRIX = ("objective", "method", "region", "by", "value", "low", "high", "z", "own")
REAL = ("file", "objective", "rank", "image", "guide_activation", "judge_activation")
NONE, DONE = "none", "done"
_COLUMNS = 6
_OBJECTIVES = 12  # of which grids are shown
_SETS = (("guided", False), ("guided", True), (NONE, False), (NONE, True))
_NAMED = {
    ("guided", False): "guided", ("guided", True): "guided, selected",
    (NONE, False): "unguided", (NONE, True): "unguided, best of n",
}  # fmt: skip
_SHOWN = (
    ("judge", "Predicted activation by the judge"),
    ("referee", "Probability of the category, by the referee"),
    ("zero_shot", "Share whose category's words are nearest"),
)
_LISTED = (
    ("guide", "Guide"), ("judge", "Judge"), ("gap", "Gap"), ("referee", "Referee"),
    ("zero_shot", "Zero-shot"), ("frechet", "Fréchet"), ("frechet_class", "Fréchet, class"),
    ("diversity", "Diversity"), ("nearest_features", "Nearest, features"),
    ("nearest_pixels", "Nearest, pixels"),
)  # fmt: skip


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Headline, a grid for each objective, who agrees, every region to every set, the table."""
    made = _read(sources, "images.tsv", IMAGES)
    whole = made[made["status"] == DONE]
    if not len(whole):
        return (Notice("error", "Every picture failed", "Lower guidance.scale."),)
    return (
        _cards(sources, made),
        Prose((_READING,)),
        *_dependence(sources),
        *_grids(sources, whole),
        *words(sources.parents[STAGE]),
        *_agreement(sources),
        *_matrix(sources),
        *_table(sources),
        _provenance(sources, made),
    )


_READING = (
    "Each picture was made, or found, so that an encoder predicts a high activation: the guide."
    " Numbers under pictures are predicted activation, never a measured one, and a high one says"
    " nothing about causes. The guide believes in its own pictures, so it is not asked whether they"
    " are good: the judge is another encoder, best one on another network that was fitted to"
    " pictures which the guide never saw, and the referee looks for things. Selected pictures"
    " flatter every method; the same share of the unguided ones stands beside them, and so do"
    " pictures taken at random."
)


def _cards(sources: Sources, made: pd.DataFrame) -> Cards:
    gains = _optional(sources, "gains.tsv", GAINS)
    guided = made[made["method"] != NONE]
    failed = int((guided["status"] != DONE).sum())
    shown = [
        Card("Objectives", count(made["objective"].nunique())),
        Card("Pictures", count(len(guided)), f"{count(failed)} failed"),
    ]  # fmt: skip
    for by, name in (("judge", "Judge"), ("guide", "Guide"), ("referee", "Referee")):
        own = gains[gains["measure"] == by]
        if len(own):
            won = int((own["low"] > 0).sum())
            note = f"mean gain over unguided; above 0 in {won} of {len(own)} objectives"
            shown.append(Card(name, score(own["gain"].mean()), note, headline=by == "judge"))
    return Cards(tuple(shown))


def _dependence(sources: Sources) -> tuple[Block, ...]:
    """Says so where guide and judge learned from the same pictures."""
    shared = int(sources.parents[STAGE].metrics.get("judge.shared_training_images") or 0)
    if not shared:
        return ()
    return (
        Notice(
            "warning",
            "The judge is not independent of the guide",
            f"Both were fitted to the same {count(shared)} pictures, so the judge may believe what"
            " the guide is wrong about. Give each a fold of its own: synthesis.fold=0"
            " synthesis.judge_fold=1 with dataset.split.folds=2.",
        ),
    )


def _grids(sources: Sources, whole: pd.DataFrame) -> tuple[Block, ...]:
    real = _optional(sources, "real.tsv", REAL)
    objectives = list(dict.fromkeys(whole["objective"]))
    found: list[Block] = [Subheading("Pictures")]
    for objective in objectives[:_OBJECTIVES]:
        own = whole[whole["objective"] == objective]
        strips = _strips(sources, own, real[real["objective"] == objective])
        figure = picture_grid(
            strips,
            sources.stamp(STAGE),
            title=f"Pictures for {objective}",
            subtitle=_about(sources, own),
        )
        best = own[own["method"] != NONE]["guide_activation"]
        found.append(
            Picture(
                to_webp(figure),
                alt=f"Grid of pictures for {cell(objective)}: guided, unguided of the same seeds,"
                f" at random, and real ones. Highest predicted activation {score(best.max())}.",
                caption=f"{cell(objective)}: {_chosen(own)}",
                format="webp",
            )
        )
    if len(objectives) > _OBJECTIVES:
        hidden = plural(len(objectives) - _OBJECTIVES, "objective")
        found.append(Notice("note", f"{hidden} more in images.tsv"))
    return tuple(found)


def _strips(sources: Sources, own: pd.DataFrame, real: pd.DataFrame) -> list[Strip]:
    """Selected and the same seeds unguided; at random and the same seeds unguided; real."""
    guided = own[own["method"] != NONE].sort_values("rank")
    none = own[own["method"] == NONE].drop_duplicates("seed").set_index("seed")
    share = f"best {min(_COLUMNS, len(guided))} of {len(guided)} by the guide"
    found = [_strip(sources, "guided", share, guided[:_COLUMNS], marked=True)]
    found += _same_seeds(sources, none, guided[:_COLUMNS]["seed"])
    chance = _at_random(guided)
    if len(guided) > _COLUMNS:
        found.append(_strip(sources, "guided", "at random", chance, apart=True))
        found += _same_seeds(sources, none, chance["seed"])
    if len(real):
        shown = real.sort_values("rank")[:_COLUMNS]
        found.append(_strip(sources, "real pictures", "highest of the test set", shown, apart=True))
    return found


def _same_seeds(sources: Sources, none: pd.DataFrame, seeds: pd.Series[int]) -> list[Strip]:
    known = [seed for seed in seeds if seed in none.index]
    if not known:
        return []
    return [_strip(sources, "unguided", "the same seeds", none.loc[known].reset_index())]


def _at_random(guided: pd.DataFrame) -> pd.DataFrame:
    """Pictures in an order that only their seeds decide, the same in each report."""
    order = [hashlib.sha256(str(seed).encode()).hexdigest() for seed in guided["seed"]]
    return guided.assign(order=order).sort_values("order")[:_COLUMNS]


def _strip(sources: Sources, name: str, note: str, rows: pd.DataFrame, **more: bool) -> Strip:
    pictures = [_picture(sources, str(file)) for file in rows["file"]]
    values = rows["guide_activation"].astype(float).tolist()
    return Strip(name, note, pictures, values, **more)


def _picture(sources: Sources, file: str) -> NDArray[np.uint8]:
    content = sources.parents[STAGE].path(file).read_bytes()
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


def _about(sources: Sources, own: pd.DataFrame) -> str:
    """Encoder, generator, seeds and scale, as they stand under every grid."""
    facts = sources.parents[STAGE].json("generator.json")
    generator = facts.get("generator") or {}
    guidance = sources.parents[STAGE].config.get("guidance", {})
    scale = guidance.get("scales", {}).get(own["objective"].iloc[0], guidance.get("scale"))
    seeds = own["seed"].astype(int)
    parts = [
        f"predicted activation by {', '.join(map(str, facts.get('guides', [])))}",
        f"generator {generator['name']}" if generator else "",
        f"seeds {seeds.min()} to {seeds.max()}",
        "" if scale is None else f"scale {scale:g}",
        f"{guidance.get('name', '')}",
    ]
    return "; ".join(part for part in parts if part)


def _chosen(own: pd.DataFrame) -> str:
    guided = own[own["method"] != NONE]
    share = int(guided["selected"].astype(bool).sum())
    return (
        f"{plural(len(guided), 'picture')} guided, {share} of them selected by the guide. Numbers:"
        " predicted activation by the guide. Unguided pictures started from the same noise."
    )


def _agreement(sources: Sources) -> tuple[Block, ...]:
    table = _optional(sources, "evaluation.tsv", MEASURES)
    if not len(table):
        return ()
    found: list[Block] = [Subheading("Who agrees")]
    shown = [(name, unit) for name, unit in _SHOWN if (table["measure"] == name).any()]
    for name, unit in shown or (("guide", "Predicted activation by the guide"),):
        own = table[table["measure"] == name]
        objectives = list(dict.fromkeys(own["objective"]))
        series = [_series(own, objectives, kind) for kind in _SETS]
        known = [one for one in series if np.isfinite(one.value).any()]
        figure = values_by_region(
            [str(one) for one in objectives], known, sources.stamp(STAGE),
            title=unit, subtitle="mean over pictures; bars: 95 % intervals over seeds", unit=unit,
        )  # fmt: skip
        found.append(
            Picture(
                to_svg(figure),
                alt=f"{unit}, by objective, guided and unguided pictures.",
                caption=f"{unit}. Intervals are over seeds; guided and unguided pictures of a seed"
                " started from the same noise.",
            )
        )
    return (*found, *_gains(sources))


def _series(own: pd.DataFrame, objectives: list[Any], kind: tuple[str, bool]) -> Series:
    is_guided = own["set"] != NONE if kind[0] != NONE else own["set"] == NONE
    rows = own[is_guided & (own["selected"].astype(bool) == kind[1])]
    rows = rows.drop_duplicates("objective").set_index("objective").reindex(objectives)
    return Series(
        _NAMED[kind], *(rows[key].to_numpy(dtype=float) for key in ("value", "low", "high"))
    )


def _gains(sources: Sources) -> tuple[Block, ...]:
    gains = _optional(sources, "gains.tsv", GAINS)
    if not len(gains):
        return ()
    rows = tuple(
        (cell(row["objective"]), cell(row["measure"]), score(row["gain"]),
         span(row["low"], row["high"]), count(row["n"]))
        for _, row in gains.iterrows()
    )  # fmt: skip
    columns = (Column("Objective"), Column("By"), *(Column(name, numeric=True) for name in
               ("Gain", "95 % interval over seeds", "n seeds")))  # fmt: skip
    return (Table("Guided less unguided pictures of the same seeds.", columns, rows),)


def _matrix(sources: Sources) -> tuple[Block, ...]:
    table = _optional(sources, "matrix.tsv", MATRIX)
    if not len(table):
        return ()
    by = "judge" if (table["by"] == "judge").any() else "guide"
    own = table[table["by"] == by]
    guided = own[own["method"] != NONE]
    sets = list(dict.fromkeys(guided["objective"]))
    asked = list(dict.fromkeys(guided[guided["own"].astype(bool)]["region"]))
    others = [name for name in dict.fromkeys(own["region"]) if name not in asked]
    regions = [*asked, *others][: max(16, len(asked))]
    values = guided.pivot_table(index="objective", columns="region", values="z", sort=False)
    grid = values.reindex(index=sets, columns=regions).to_numpy(dtype=float)
    framed = np.array(
        [[((guided["objective"] == s) & (guided["region"] == r) & guided["own"].astype(bool)).any()
          for r in regions] for s in sets]
    ).reshape(len(sets), len(regions))  # fmt: skip
    figure = activation_matrix(
        [str(one) for one in sets], regions, grid, framed, sources.stamp(STAGE),
        subtitle=f"predicted activation by the {by}; rows: objectives; framed: the one asked for",
        unit="Deviations from unguided",
    )  # fmt: skip
    hidden = len(others) + len(asked) - len(regions)
    more = f" {plural(hidden, 'region')} more stand in matrix.tsv." if hidden > 0 else ""
    return (
        Subheading("Every region to every set"),
        Picture(
            to_svg(figure),
            alt=f"Matrix of predicted activation, {len(sets)} objectives by {len(regions)} regions."
            f" {_won(grid, framed)}",
            caption=f"Mean predicted activation of each region to each set of guided pictures, by"
            f" the {by}, in deviations of the unguided pictures from their mean."
            f" {_won(grid, framed)}{more}",
        ),
    )


def _won(grid: NDArray[np.float64], framed: NDArray[np.bool_]) -> str:
    """In how many columns the set that was made for the region drives it most."""
    columns = np.flatnonzero(framed.any(0))
    if len(columns) == 0 or len(grid) < 2:
        return ""
    best = [framed[int(np.nanargmax(grid[:, column])), column]
            for column in columns if np.isfinite(grid[:, column]).any()]  # fmt: skip
    return (
        f"{sum(map(bool, best))} of {len(columns)} regions are driven most by their own pictures."
    )


def _table(sources: Sources) -> tuple[Block, ...]:
    table = _optional(sources, "evaluation.tsv", MEASURES)
    if not len(table):
        return ()
    names = [(name, title) for name, title in _LISTED if (table["measure"] == name).any()]
    rows = []
    for (objective, kind, chosen), part in table.groupby(
        ["objective", "set", "selected"], sort=False
    ):
        values = dict(zip(part["measure"], part["value"].astype(float), strict=True))
        which = _NAMED[(NONE if kind == NONE else "guided", bool(chosen))]
        numbers = [score(values.get(name)) for name, _ in names]
        rows.append((cell(objective), which, *numbers, count(int(part["n"].max()))))
    columns = (Column("Objective"), Column("Pictures"),
               *(Column(title, numeric=True) for _, title in names),
               Column("n", numeric=True))  # fmt: skip
    facts = _json(sources, "evaluation.json")
    text = (
        f"Fréchet distances and diversity are of features of {cell(facts.get('features', ''))}, in"
        f" {count(facts.get('directions'))} leading directions, to"
        f" {count(facts.get('reference'))} training pictures; they depend on how many pictures"
        " there are, so only rows with one n may be compared. Nearest: to the nearest training"
        " picture; 0 is a copy. Gap: guide less judge."
    )
    notes = [
        Notice("note", f"No {part}", cell(reason))
        for part, reason in dict(facts.get("absent", {})).items()
    ]
    return (Details("All measures", (Table("Every set by every measure.", columns, tuple(rows)),
                                     Prose((text,)))), *notes)  # fmt: skip


def _provenance(sources: Sources, made: pd.DataFrame) -> FactList:
    facts = sources.parents[STAGE].json("generator.json")
    generator = facts.get("generator") or {}
    config = sources.parents[STAGE].config
    seeds = made["seed"].astype(int)
    settings = {k: v for k, v in config.get("guidance", {}).items() if k != "name"}
    return FactList(
        (
            ("Guide", cell(", ".join(map(str, facts.get("guides", []))))),
            ("Judge", cell(facts.get("judge"))),
            ("Generator", cell(generator.get("name"))),
            ("Revision", cell(generator.get("revision"))),
            ("Digest of its network", _network(generator)),
            ("Method", cell(config.get("guidance", {}).get("name"))),
            ("Settings", cell(", ".join(f"{k} {said(v)}" for k, v in settings.items()))),
            ("Seeds", f"{seeds.min()} to {seeds.max()}"),
        )
    )


def _network(generator: dict[str, Any]) -> str:
    """First digits of the digests of the network's files, which say which model it was."""
    digests = dict(generator.get("digests") or {})
    own = [one for name, one in digests.items() if ("unet" in name or "transformer" in name)
           and str(name).endswith(".safetensors")]  # fmt: skip
    return ", ".join(str(one)[:12] for one in own)


def _read(sources: Sources, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    return read_tsv(sources.parents[STAGE].path(name), columns)


def _optional(sources: Sources, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
    """A table, or an empty one where the evaluation was left out."""
    if not sources.parents[STAGE].has(name):
        return pd.DataFrame(columns=list(columns))
    return _read(sources, name, columns)


def _json(sources: Sources, name: str) -> dict[str, Any]:
    artefact = sources.parents[STAGE]
    return dict(artefact.json(name)) if artefact.has(name) else {}
