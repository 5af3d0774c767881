"""Planted truth: what each encoder found of it, beside the oracle; simulated data alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import TARGETS, read_tsv
from neuroattn.figures import to_svg
from neuroattn.figures.comparison import MOST, Series, values_by_region
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
from neuroattn.reports.registry import OTHER
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count, score
from neuroattn.stats.planted import CATEGORY, EARLY, FILE, PLACE, Truth, read_truth
from neuroattn.stats.recovery import LATE, NULL, Looks, Predictions, recovery

ORACLE, POOLED, FULL = "mask_oracle", "linear_pool", "ridge"
_NAMES = {ORACLE: "mask oracle", POOLED: "ridge, mean token", FULL: "ridge, all tokens"}
#: What the simulation promises, as shares of the mask oracle or of all attention.
ATTENTION_LEAST, POOLED_MOST, SHARE_LEAST = 0.85, 0.35, 0.7


@dataclass(frozen=True)
class Found:
    """What one encoder found: its name on the page, whether it is told where to look."""

    name: str
    encoder: str
    table: pd.DataFrame

    def value(self, roi: str, column: str) -> float:
        """One number; NaN where it is not defined."""
        found: Any = self.table.at[roi, column] if roi in self.table.index else math.nan
        return float(found)


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Verdicts, then attributes, attention, and early regions by model; then the tables.

    Nothing where ``prepare`` knows of no planted truth: real recordings.
    """
    if not sources.has("prepare", "encode") or not sources.parents["prepare"].has(FILE):
        return ()
    with sources.parents["prepare"].hdf5(FILE) as file:
        truth = read_truth(file)
    models = _models(sources, truth)
    if not models:
        return (Notice("note", "No encoder was tested on simulated images"),)
    things, early = _regions(truth, models[0])
    found: list[Block] = [Prose((_WHAT,)), *_verdicts(models, early)]
    if things:
        found += [_attributes(sources, models, things), *_looks(sources, models, things)]
    if early:
        # The oracle is told of things alone.
        found.append(_early(sources, [m for m in models if m.encoder != ORACLE], early))
    others = tuple(_table(model) for model in models[1:])
    found.append(_table(models[0]))
    if others:
        found.append(Details("The same of the other models", others))
    return (*found, _exemplars(truth), Prose((_READING,)))


_WHAT = (
    "These responses are simulated, so what drives each target is known. Category regions get half"
    " of their signal from whether a thing of their category is in the picture, which a mean over"
    " the picture can tell, and half from attributes of that thing (tint, light, orientation,"
    " size), wherever it stands: for these the thing must be found. Early regions weigh local"
    " colour and contrast in a receptive field. Nothing was planted in the other targets."
)
_READING = (
    "r measured: correlation with the measured responses; oracle: that of the noiseless responses"
    " with them, which no model can be expected to exceed. r truth: correlation with the noiseless"
    " responses, whose ceiling is 1. r attributes: with the attributes' part, over test pictures"
    " that show the category; r presence: with whether they do (at most about 0.71, as presence is"
    " half of the variance). On the thing: share of attention inside the true mask of the"
    " category's thing, in pictures that show one; area: the share of the picture that it covers."
    " Unseen: pictures of exemplars and backgrounds that no training picture shows. The mask"
    " oracle is no model: it is given the tokens inside the true mask."
)


def _models(sources: Sources, truth: Truth) -> list[Found]:
    """The main encoder first, then the others, each with its table."""
    others = [item for key, item in sources.parents.items() if key.startswith(OTHER)]
    artefacts = [sources.parents["encode"], *others]
    kinds = [_encoder(artefact) for artefact in artefacts]
    own = sources.parents["encode"].inputs.get("prepare")
    return [
        Found(_NAMES.get(kind, kind) if kinds.count(kind) == 1 else artefact.label, kind, table)
        for kind, artefact in zip(kinds, artefacts, strict=True)
        if artefact.inputs.get("prepare") == own
        and (table := _recovered(artefact, truth)) is not None
    ]


def _encoder(artefact: Artefact) -> str:
    section = artefact.config.get("encoder")
    return str(section.get("name")) if isinstance(section, Mapping) else artefact.label


def _recovered(artefact: Artefact, truth: Truth) -> pd.DataFrame | None:
    """The table of `recovery` by region; None of images that were not simulated."""
    target = read_tsv(artefact.path("targets.tsv"), TARGETS)["target"].to_numpy(dtype=np.int64)
    with artefact.hdf5("predictions.h5") as file:
        test = file["test"]
        if not isinstance(test, h5py.Group) or "predicted" not in test:
            return None
        parts = {name: test[name][()] for name in ("predicted", "measured", "image", "fold")}
    if not np.isin(parts["image"], truth.images).all():
        return None
    tested = Predictions(target=target, **parts)
    return recovery(truth, tested, _maps(artefact)).set_index("roi")


def _maps(artefact: Artefact) -> Looks | None:
    """Attention maps of all folds."""
    if not artefact.has("attention.h5"):
        return None
    with artefact.hdf5("attention.h5") as file:
        folds = [group for name, group in file.items() if name.startswith("fold-")]
        kept = [group for group in folds if "attention" in group and "image" in group]
        named = {tuple(map(str, group.attrs.get("queries", ()))) for group in kept}
        if len(named) != 1:  # none, or parcels of each fold's own
            return None
        rows, columns = (int(side) for side in file.attrs["grid"])
        weights = np.concatenate([group["attention"][()] for group in kept])
        image = np.concatenate([group["image"][()] for group in kept])
        return Looks([str(name) for name in file.attrs["queries"]], (rows, columns), image, weights)


def _regions(truth: Truth, model: Found) -> tuple[list[str], list[str]]:
    """Regions that read things, and early ones, as far as they were fitted."""
    fitted = model.table
    things = [
        roi for roi in truth.regions(CATEGORY)
        if roi in fitted.index and fitted.at[roi, "category"] != PLACE
    ]  # fmt: skip
    return things, sorted(roi for roi in truth.regions(EARLY) if roi in fitted.index)


def _verdicts(models: Sequence[Found], early: Sequence[str]) -> tuple[Block, ...]:
    """The numbers that the simulation promises, as cards, and whether they are reached."""
    main = models[0]
    by_name = {model.encoder: model for model in reversed(models)}
    oracle = by_name[ORACLE].value(LATE, "r_attributes") if ORACLE in by_name else math.nan
    cards, checks = [], []
    for model in models:
        mean = model.value(LATE, "r_attributes")
        if not math.isfinite(mean):
            continue
        share = f"; {mean / oracle:.2f} of the oracle" if oracle > 0 else ""
        is_main = model is main
        cards.append(Card(f"attributes, {model.name}", score(mean), f"mean r{share}", is_main))
        if model.encoder == "attention" and oracle > 0:
            checks.append((f"{model.name}: attributes, share of the mask oracle",
                           mean / oracle, ATTENTION_LEAST, 1))  # fmt: skip
        if model.encoder == POOLED and oracle > 0:
            checks.append((f"{model.name}: attributes, share of the mask oracle",
                           mean / oracle, POOLED_MOST, -1))  # fmt: skip
        for column, what in (("share", "all"), ("share_unseen", "unseen")):
            found = model.value(LATE, column)
            if math.isfinite(found):
                title = f"{model.name}: attention on the planted thing, {what} exemplars"
                checks.append((title, found, SHARE_LEAST, 1))
    checks += _early_checks(by_name, early)
    null = _chance(main)
    found_cards = (Cards(tuple(cards)),) if cards else ()
    return (*found_cards, *_said(checks), *null)


def _early_checks(
    by_name: Mapping[str, Found], early: Sequence[str]
) -> list[tuple[str, float, float, int]]:
    first = [roi for roi in early if roi.startswith("V1")]
    if not first or FULL not in by_name or "attention" not in by_name:
        return []
    ridge, other = (
        float(np.mean([by_name[name].value(roi, "r_truth") for roi in first]))
        for name in (FULL, "attention")
    )
    return [("V1: ridge on all tokens above attention, difference in r", ridge - other, 0.0, 1)]


def _said(checks: Sequence[tuple[str, float, float, int]]) -> tuple[Block, ...]:
    """Whether all was found that the simulation makes possible, and each number beside it."""
    if not checks:
        return ()
    missed = [title for title, value, least, sign in checks if sign * (value - least) < 0]
    verdict = (
        Notice("warning", "Less was found than was planted to be found", "; ".join(missed) + ".")
        if missed
        else Notice("passed", "Planted selectivity was found", "All of the numbers below are met.")
    )
    rows = tuple(
        (title, score(value), f"{'at least' if sign > 0 else 'at most'} {least:g}")
        for title, value, least, sign in checks
    )
    columns = (Column("What"), Column("Found", numeric=True), Column("Asked", numeric=True))
    return (verdict, Table("What was found, beside what is asked of it.", columns, rows))


def _chance(model: Found) -> tuple[Block, ...]:
    r, spread, number = (model.value(NULL, name) for name in ("r", "r_sd", "n_targets"))
    if not number or not math.isfinite(r):
        return ()
    error = spread / math.sqrt(number)
    text = (
        f"Mean r of {model.name} over {count(number)} targets in which nothing was planted is"
        f" {score(r)}, standard deviation over targets {score(spread)}."
    )
    # Null targets share test images, so their mean r strays more than independent ones would.
    at_chance = abs(r) <= max(5 * error, 0.02)
    level = "passed" if at_chance else "warning"
    title = "Null targets are at chance" if at_chance else "Null targets are not at chance"
    return (Notice("passed" if level == "passed" else "warning", title, text),)


def _attributes(sources: Sources, models: Sequence[Found], things: Sequence[str]) -> Picture:
    regions = [LATE, *things]
    drawn = values_by_region(
        regions,
        _by_model(models, regions, "r_attributes"),
        sources.stamp("encode"),
        title="Attributes of the planted thing",
        subtitle="over test pictures that show the category, where its presence tells nothing",
        unit="Pearson r with the attributes' part of the truth",
    )
    means = "; ".join(f"{m.name} {score(m.value(LATE, 'r_attributes'))}" for m in models)
    return Picture(
        to_svg(drawn),
        alt=f"How well each model predicts the attributes by region. Means: {cell(means)}",
        caption="Prediction of the attributes of things, by region and model. The mask oracle is"
        " given the tokens inside the true mask.",
    )


def _looks(sources: Sources, models: Sequence[Found], things: Sequence[str]) -> tuple[Picture, ...]:
    model = next((m for m in models if math.isfinite(m.value(LATE, "share"))), None)
    if model is None:
        return ()
    regions = [LATE, *things]
    named = {"all exemplars": "share", "unseen exemplars": "share_unseen", "area of thing": "area"}
    series = [_series(name, model, regions, column) for name, column in named.items()]
    drawn = values_by_region(
        regions, series, sources.stamp("encode"), title=f"Where the encoder looks: {model.name}",
        subtitle="test pictures that show the category; blind attention would give the area",
        unit="Share of attention on the thing of the category",
    )  # fmt: skip
    share = score(model.value(LATE, "share"))
    return (
        Picture(
            to_svg(drawn),
            alt=f"Share of attention on the planted thing by region, mean {share}",
            caption=f"Share of attention inside the true mask, by region ({model.name}).",
        ),
    )


def _early(sources: Sources, models: Sequence[Found], early: Sequence[str]) -> Picture:
    drawn = values_by_region(
        early,
        _by_model(models, early, "r_truth"),
        sources.stamp("encode"),
        title="Early regions: local colour and contrast",
        subtitle="all test pictures",
        unit="Pearson r with the noiseless responses",
    )
    return Picture(
        to_svg(drawn),
        alt="How well each model predicts noiseless responses of early regions",
        caption="Early regions read a place, which attention to things does not help: there,"
        " readouts with a weight for each place are to be preferred.",
    )


def _by_model(models: Sequence[Found], regions: Sequence[str], column: str) -> list[Series]:
    return [_series(model.name, model, regions, column) for model in models[:MOST]]


def _series(name: str, model: Found, regions: Sequence[str], column: str) -> Series:
    values: NDArray[np.float64] = np.array([model.value(roi, column) for roi in regions])
    none = np.full(len(regions), np.nan)
    return Series(name, values, none, none)


_COLUMNS = {
    "r": "r measured", "oracle": "oracle", "r_truth": "r truth", "r_presence": "r presence",
    "r_attributes": "r attributes", "r_attributes_unseen": "unseen", "share": "on the thing",
    "share_unseen": "unseen", "area": "area",
}  # fmt: skip


def _table(model: Found) -> Table:
    kept = [name for name in _COLUMNS if np.isfinite(model.table[name].astype(float)).any()]
    order = [LATE, *(roi for roi in model.table.index if roi != LATE)]
    rows = tuple(
        (
            cell(roi),
            "" if (category := str(model.table.at[roi, "category"])) == "n/a" else cell(category),
            count(model.value(roi, "n_targets")),
            *(score(model.value(roi, name)) for name in kept),
        )
        for roi in order
        if roi in model.table.index
    )
    columns = (Column("Region"), Column("Reads"), Column("n targets", numeric=True),
               *(Column(_COLUMNS[name], numeric=True) for name in kept))  # fmt: skip
    caption = f"{model.name}: what was found of what was planted (simulated responses)."
    return Table(caption, columns, rows, emphasis=True)


def _exemplars(truth: Truth) -> Prose:
    """How many sources stand behind the pictures."""
    unseen = set(truth.scenes[truth.unseen].tolist())
    held = np.isin(truth.thing_scene, list(unseen))
    counts = [len(set(truth.exemplar[rows].tolist())) for rows in (~held, held)]
    text = (
        f"The things are made from {counts[0]} exemplars, and those of the"
        f" {count(int(truth.unseen.sum()))} unseen pictures from {counts[1]} others."
    )
    return Prose((text,))
