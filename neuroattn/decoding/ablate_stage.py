"""Stage ``ablate``: networks left out of a fitted decoder, or kept alone, at test time.

Nothing is trained. What a decoder learns *without* a network is another question, and another
run of ``decode``: with ``decoder.input.without=[…]``, ``decoder.input.rois=[…]`` or
``decoder.input.networks=[…]``, several of them under ``-m``.

Payload: ``ablation.tsv`` (`neuroattn.decoding.ablation.ablate`), ``networks.tsv``, and
``contributions.tsv``, what the margin loses without the parcel of each target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import generator
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.decoding.ablation import (
    CONCEPT,
    DROP,
    KEEP,
    MODES,
    Brain,
    Task,
    ablate,
    concepts_of,
    contributions,
    found,
)
from neuroattn.decoding.ablation_schemas import AblationConfig, Parcelled
from neuroattn.decoding.decoder import Rows
from neuroattn.decoding.load import Loaded, LoadedSide, load_decoder
from neuroattn.decoding.networks import Columns, networks_of, parcels_of
from neuroattn.decoding.partial import MaskedPasses, PartialProducts
from neuroattn.features.store import FeatureStore
from neuroattn.stats.retrieval import DIRECTIONS

RETRIEVAL = "retrieval.h5"
_SOME = 256  # training images whose responses say which targets are alike


def run(context: StageContext) -> StageResult:
    """Write the tables of every network.

    Raises
    ------
    ConfigError, DataError, MissingDataError : there are no networks, or files are not right.
    """
    options = context.section("ablation", AblationConfig)
    loaded = load(context)
    brains = _brains(loaded, options, context)
    count = len(brains[0].networks)
    with context.progress("ablate, networks", count) as progress:
        table = ablate(brains, options.controls, context.seed, progress.advance)
    context.out.table("ablation.tsv", table)
    context.out.table("networks.tsv", _network_table(brains))
    parts = sum(len(brain.parcels) for brain in brains)
    with context.progress("ablate, parcels", parts) as progress:
        maps = [
            _map_table(side, brain, contributions(brain, progress.advance))
            for side, brain in zip(loaded.sides, brains, strict=True)
        ]
    context.out.table("contributions.tsv", pd.concat(maps, ignore_index=True))
    context.out.table("targets.tsv", context.parents["prepare"].table("targets.tsv"))
    return StageResult(metrics=_metrics(table), methods=_methods(brains, table, options))


def load(context: StageContext) -> Loaded:
    """The decoder of the parents.

    Raises
    ------
    ConfigError : it is of further features, which this run does not name.
    """
    decode = context.parents["decode"]
    further = decode.config["decoder"].get("target", {}).get("also", [])
    names = ["features", *(f"target-{index}" for index in range(len(further)))]
    if not set(names) <= set(context.parents):
        raise ConfigError(
            "the decoder was made of further features, which this run does not name",
            file=decode.folder,
            expected=f"decoder.target.also of {len(further)}: {', '.join(further)}",
            found=len([name for name in context.parents if name.startswith("target-")]),
            fix="set decoder.target.also as the decoder's config.yaml has it",
        )
    stores = [FeatureStore(context.parents[name]) for name in names]
    return load_decoder(decode, context.parents["prepare"], stores)


def _brains(loaded: Loaded, options: AblationConfig, context: StageContext) -> list[Brain]:
    prepare = context.parents["prepare"]
    surface = (
        options.by is Parcelled.place and prepare.json("dataset.json")["space"] == "fsaverage5"
    )
    tables = [_targets(side) for side in loaded.sides]
    networks = [networks_of(options, table, prepare) for table in tables]
    common = [name for name in networks[0] if all(name in own for own in networks)]
    if not common:
        raise ConfigError(
            "no network has targets in every subject",
            expected=f"{options.least} targets or more in each",
            found=" and ".join(", ".join(own) for own in networks),
            fix="lower ablation.least, or choose other ablation.groups",
        )
    return [
        _brain(loaded, number, {name: networks[number][name] for name in common},
               _parcels(side, tables[number], options, surface, context.seed), options)
        for number, side in enumerate(loaded.sides)
    ]  # fmt: skip


def _targets(side: LoadedSide) -> pd.DataFrame:
    """Rows of ``targets.tsv`` of the decoder's inputs, in their order."""
    return side.unit.data.targets.iloc[side.input.columns].reset_index(drop=True)


def _parcels(
    side: LoadedSide, targets: pd.DataFrame, options: AblationConfig, surface: bool, seed: int
) -> list[Columns]:
    rng = generator(seed, "ablation parcels", side.unit.name)
    count = options.parcels
    placed = surface and bool(targets["vertex"].notna().all())
    responses = np.empty((0, len(targets)), dtype=np.float32)
    if not placed:
        some = np.sort(rng.permutation(side.train)[:_SOME])
        responses = side.view.image_responses(some, columns=side.input.columns)
    return parcels_of(targets, responses, count, rng, placed)


def _brain(
    loaded: Loaded,
    number: int,
    networks: Mapping[str, Columns],
    parcels: list[Columns],
    options: AblationConfig,
) -> Brain:
    side = loaded.sides[number]
    inputs, split = side.tested(), loaded.model.split(number)

    def embed(standardised: Rows) -> Rows:
        return loaded.embed(number, standardised)

    masking = (
        MaskedPasses(embed, inputs)
        if split is None
        else PartialProducts(split, inputs, loaded.space.normalised)
    )
    name = side.unit.name or str(side.unit.data.subjects[0])
    target, centre = gallery(loaded.artefact, name, len(loaded.sides) > 1)
    categories = side.unit.data.categories if options.concepts else {}
    concepts = []
    if categories:
        labels = [
            [categories.get(str(image), []) for image in images.tolist()]
            for images in (side.train, side.test)
        ]
        concepts = concepts_of(loaded.space.read(side.train), *labels)
    return Brain(name, masking, Task(target, centre, concepts), networks, parcels)


def gallery(artefact: Artefact, subject: str, several: bool) -> tuple[Rows, tuple[Rows, Rows]]:
    """What brains were compared with (images, dim), and the centre of either, from ``decode``."""
    with artefact.hdf5(RETRIEVAL) as file:
        test = file[f"{subject}/test" if several else "test"]
        centre: NDArray[Any] = test["centre"][:]
        return test["image"][:], (centre[0], centre[1])


def _network_table(brains: list[Brain]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"subject": brain.subject, "network": name, "targets": len(columns),
             "inputs": sum(map(len, brain.parcels))}
            for brain in brains
            for name, columns in brain.networks.items()
        ]
    )  # fmt: skip


def _map_table(side: LoadedSide, brain: Brain, values: NDArray[np.float64]) -> pd.DataFrame:
    table = _targets(side)[["target", "subject", "hemisphere", "vertex", "rois"]]
    parcel = np.zeros(len(table), dtype=np.int64)
    for number, columns in enumerate(brain.parcels):
        parcel[columns] = number
    return table.assign(parcel=parcel, contribution=values)


def _metrics(table: pd.DataFrame) -> dict[str, float]:
    kept = table[table["measure"].isin([*DIRECTIONS, "percentile"])]
    found_in = {
        f"{row['mode']}.{row['network']}.{row['measure']}.share": float(row["share"])
        for row in kept.to_dict("records")
        if np.isfinite(row["share"])
    }
    for mode in MODES:
        found_in[f"{mode}.found"] = float(len(found(table, mode, "percentile")))
    return found_in


def _methods(brains: list[Brain], table: pd.DataFrame, options: AblationConfig) -> str:
    partial = isinstance(brains[0].masking, PartialProducts)
    concepts = sum(str(name).startswith(CONCEPT) for name in table["measure"].unique())
    return (
        f"{len(brains[0].networks)} networks were left out ({DROP}) or kept alone ({KEEP}) at test"
        " time by setting standardised inputs to their training mean"
        + (", through partial products of the linear first layer" if partial else "")
        + f", and compared with {options.controls} random sets of parcels of the same size"
        " (Benjamini-Hochberg over networks)"
        + (f"; {concepts} kinds of things were measured apart." if concepts else ".")
    )
