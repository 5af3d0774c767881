"""The stage ``caption``: what each target prefers, in words.

1. The gate: targets whose encoder explains enough of what can be explained; beside them null
   targets, fitted to shuffled responses.
2. The bank: each weight is projected onto natural embeddings (`projection`), or, without an
   image-text space, pictures are ranked by predicted activation (`top_route`).
3. Concepts: clusters of the top pictures. 4. The captioner. 5. Tables.

Payload: ``captions.tsv``, ``draws.tsv`` (a caption for each draw of the bank), ``top.tsv`` (top
pictures of each concept), ``bank.tsv``, ``bank_captions.json``, ``embeddings.h5`` (``/weight``,
``/embedding``, rows in the order of ``rows.tsv``), and what `findings` makes of the captions;
with ``caption.imagined.targets``, what `shown` makes of pictures of them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.bank import POOLED, Bank, make_bank
from neuroattn.captioning.bank_files import open_pictures, read_captions
from neuroattn.captioning.captioners import Captioner, Setting, Told
from neuroattn.captioning.concepts import Around, Concept, Splitting, concepts_of, mean_direction
from neuroattn.captioning.fold_scores import scores_of_fold
from neuroattn.captioning.gates import gate
from neuroattn.captioning.projection import Projection, project, unit_weights
from neuroattn.captioning.registry import (
    CAPTIONERS,
    SPACES,
    BankSource,
    CaptionConfig,
    Scored,
    WriterConfig,
)
from neuroattn.captioning.shown import Sight, drawn_methods, open_sight, show, surest
from neuroattn.captioning.targets import Rows, chosen_fold, fitted_parts, rows_of
from neuroattn.captioning.told import Ground, captioned, tell
from neuroattn.captioning.writing import (
    COLUMNS,
    caption_table,
    fit_of,
    merged,
    told,
    with_ungated,
)
from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.sections import RuntimeConfig
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.core.tables import rois_of
from neuroattn.data.dataset import open_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig
from neuroattn.data.splits import Fold
from neuroattn.features.backbones import choose_device
from neuroattn.features.joined import further
from neuroattn.features.registry import BackboneConfig
from neuroattn.features.store import FeatureStore
from neuroattn.generators.backbone import RAW
from neuroattn.generators.loading import load

log = logging.getLogger("neuroattn.captioning")
SHOWN = 10  # top pictures of a concept that are listed
_UNKNOWN = ("effective", "best_cosine", "cosine", "stability")


def run(context: StageContext) -> StageResult:
    """Write the captions and what they rest on.

    Raises
    ------
    ConfigError, DataError, MissingDataError : what is wrong, and the remedy.
    """
    _check_one_space(context.parents["encode"])
    job = _opened(context)
    sight = open_sight(context, job.fold, job.text, job.shown(), job.device)
    parts = fitted_parts(context, job.prepared, job.fold)
    sides = [part.side for part in parts]
    scores = scores_of_fold(context.parents["encode"], sides, job.fold.index)
    passed = gate(scores, job.config.gate, _asked_for(scores, job.config.rois))
    rows = rows_of(context, parts, scores, passed, job.bank)
    _check_space(job, rows)
    found = _found(job, rows)
    written = _written(job, found)
    frame = with_ungated(written, job.prepared.targets, passed.reason, scores)
    context.out.table("captions.tsv", frame)
    _write_bank(job)
    metrics = _metrics(frame, passed.passed, job.bank)
    metrics |= _analysed(job, found, frame)
    metrics |= {} if sight is None else _shown(job, sight, frame)
    log.info("%d of %d targets captioned", int(passed.passed.sum()), len(scores))
    return StageResult(metrics=metrics, methods=_methods(job, rows, metrics, passed.images))


@dataclass(frozen=True, eq=False)
class _Job:
    context: StageContext
    config: CaptionConfig
    writer: WriterConfig
    prepared: Prepared
    fold: Fold
    bank: Bank
    text: Any
    device: str

    def captioner(self, weights: NDArray[np.float32] | None) -> Captioner:
        setting = Setting(
            self.bank, self.text, weights, self._picture(), self.device, self.context.seed,
            self.context.out.work / self.writer.name,
        )  # fmt: skip
        made: Captioner = CAPTIONERS.load(self.writer.name)(self.writer, setting)
        return made

    def _picture(self) -> Any:
        if self.config.bank.source is BankSource.dataset:
            read = self.shown()
        else:
            read = open_pictures(self.config.bank)[0].read
        return lambda place: read(int(self.bank.ids[place]))

    def shown(self) -> Any:
        """Reads a picture of the dataset by its id."""
        return open_dataset(self.context.section("dataset", DatasetConfig)).stimuli.read


@dataclass(frozen=True, eq=False)
class _Found:
    """Concepts of all rows, and what is known of each row."""

    rows: Rows
    unit: NDArray[np.float32] | None
    concepts: list[Concept]
    projection: Projection | None

    def measures(self) -> dict[str, NDArray[np.float64]]:
        """Numbers of each row; NaN without a projection."""
        count = len(self.rows.table)
        if self.projection is None:
            return {name: np.full(count, np.nan) for name in _UNKNOWN}
        found = {name: getattr(self.projection, name) for name in _UNKNOWN}
        return {name: np.asarray(values, dtype=np.float64) for name, values in found.items()}


def _opened(context: StageContext) -> _Job:
    config = context.section("caption", CaptionConfig)
    prepared = Prepared(context.parents["prepare"])
    fold = chosen_fold(prepared, context.section("dataset", DatasetConfig), config.fold)
    runtime = context.section("runtime", RuntimeConfig)
    device = str(choose_device(runtime.device.value))
    backbone = context.section("backbone", BackboneConfig)
    named = config.space
    if named is None and backbone.name in SPACES:
        named = str(getattr(backbone, "model", ""))
    return _Job(
        context, config, context.section("captioner", WriterConfig), prepared, fold,
        _bank(context, config, prepared, fold), None if named is None else load(named, device),
        device,
    )  # fmt: skip


def _bank(context: StageContext, config: CaptionConfig, prepared: Prepared, fold: Fold) -> Bank:
    captions = read_captions(config.bank.captions)
    if config.bank.source is not BankSource.dataset:
        store = FeatureStore(context.parents["bank"])
        table = context.parents["bank"].table("images.tsv")
        used = table[table["used"]]
        excluded = len(table) - len(used)
    else:
        store, excluded = FeatureStore(context.parents["features"]), 0
        images = prepared.images
        used = images[images["image"].isin(fold.train)]
        if not captions:
            own = prepared.captions
            captions = {
                name: own.get(str(image), [])
                for image, name in zip(used["image"], used["file"], strict=True)
            }
    names = used["file"].astype(str).tolist()
    return make_bank(
        store,
        used["image"].to_numpy(np.int64),
        used["sha256"].tolist(),
        names=names,
        captions=[captions.get(name, []) for name in names],
        draws=config.draws,
        excluded=excluded,
        layer=RAW if RAW in store.beside else POOLED,
    )


def _asked_for(scores: pd.DataFrame, rois: list[str] | None) -> NDArray[np.bool_] | None:
    """Targets in the regions asked for.

    Raises
    ------
    ConfigError : a region that no target is in.
    """
    if rois is None:
        return None
    members = [set(rois_of(cell)) for cell in scores["rois"]]
    known = set().union(*members)
    absent = sorted(set(rois) - known)
    if absent:
        raise ConfigError(
            f"no target is in {', '.join(absent)}",
            expected=" | ".join(sorted(known)) or "none: this dataset names no regions",
            found=", ".join(absent),
            fix="correct caption.rois",
        )
    return np.array([bool(own & set(rois)) for own in members])


def _check_one_space(encode: Artefact) -> None:
    """Refuse an encoder whose weights are of several spaces."""
    if further(encode.inputs):
        raise ConfigError(
            "the encoder reads features of several backbones, so its weights are of no one space",
            file=encode.folder,
            expected="features of one backbone",
            found=", ".join(further(encode.inputs)),
            fix="fit the encoder without encoder.also",
        )


def _check_space(job: _Job, rows: Rows) -> None:
    """Refuse weights, text side and features that are not of one space."""
    fitted_on = job.context.parents["encode"].inputs["features"]["fingerprint"]
    if fitted_on != job.context.parents["features"].fingerprint:
        raise ConfigError(
            "the encoder's weights are of another space than the features",
            expected=job.context.parents["features"].label,
            found=str(job.context.parents["encode"].inputs["features"]["label"]),
            fix="name the backbone that the encoder was fitted on, or leave use.encode out",
        )
    if job.text is not None and rows.weights is not None and job.text.dim != rows.weights.shape[1]:
        raise DataError(
            "the text side is of another space than the encoder's weights",
            expected=f"{rows.weights.shape[1]} numbers",
            found=int(job.text.dim),
            fix="set caption.space to the space of the backbone, or leave it out",
        )


def _found(job: _Job, rows: Rows) -> _Found:
    """Concepts of every row."""
    if rows.weights is None or not len(rows.weights):
        tops = np.zeros((0, 0), np.int64) if rows.top is None else rows.top
        return _Found(rows, None, [Concept(n, 0, 1.0, top) for n, top in enumerate(tops)], None)
    unit, config = unit_weights(rows.weights), job.config
    projection = project(
        unit, job.bank.tiles, draws=config.draws, temperature=config.temperature,
        top=min(config.top_n, len(job.bank)), memory=config.memory_mib << 20, device=job.device,
        keep_draws=_draws_captioned(job) and config.draws > 1,
    )  # fmt: skip
    mean = mean_direction(job.bank.tiles, unit.shape[1])
    splitting = Splitting(config.concepts, config.apart, config.least)
    whole, concepts = projection.embedding, []
    for row, top in enumerate(projection.top):
        vectors = job.bank.vectors(top).astype(np.float32)
        around = Around(unit[row], whole[row], top, vectors)
        concepts += concepts_of(row, around, mean, config.temperature, splitting)
    return _Found(rows, unit, concepts, projection)


def _written(job: _Job, found: _Found) -> pd.DataFrame:
    """Captions of all concepts, and the tables beside them."""
    captioner = job.captioner(found.unit)
    apart = _draw_concepts(job, found)
    with job.context.progress("captions", len(found.concepts) + len(apart)) as progress:
        said = told(captioner, found.concepts, progress)
        of_draws = told(captioner, apart, progress)
    kept = merged(found.concepts, said)
    measures = found.measures()
    measures["fit"] = np.full(len(kept), np.nan)
    if job.text is not None and found.unit is not None and kept:
        at = [concept.row for concept, _ in kept]
        measures["fit"] = fit_of([one.text for _, one in kept], found.unit[at], job.text)
    frame = caption_table(found.rows.table, kept, measures)
    _write_beside(job, found, kept, apart, of_draws)
    return frame


def _draws_captioned(job: _Job) -> bool:
    """Whether projections onto single draws are read: 3 GB of them with 300,000 targets."""
    return job.config.draw_captions and job.writer.name == "prefix_lm"


def _draw_concepts(job: _Job, found: _Found) -> list[Concept]:
    """Each draw's projection as a concept, its draw in the place of the number."""
    if found.projection is None or not _draws_captioned(job):
        return []
    norm = found.projection.norm
    return [
        Concept(row, draw, 1.0, np.zeros(0, np.int64), direction * norm[row])
        for draw, directions in enumerate(found.projection.draws)
        for row, direction in enumerate(directions)
    ]


def _write_beside(
    job: _Job, found: _Found, kept: Sequence[tuple[Concept, Told]], apart: Sequence[Concept],
    of_draws: Sequence[Told],
) -> None:  # fmt: skip
    table, out = found.rows.table, job.context.out
    out.table("rows.tsv", table[["target", "null", "gated"]])
    rows = [concept.row for concept in apart]
    draws = table.iloc[rows][["target", "null", "gated"]].reset_index(drop=True)
    draws["draw"] = [concept.number for concept in apart]
    draws["caption"] = [one.text for one in of_draws]
    out.table("draws.tsv", draws)
    out.table("top.tsv", _top_table(job.bank, table, kept))
    if found.projection is not None and found.unit is not None:
        with out.hdf5("embeddings.h5") as file:
            add_dataset(file, "weight", found.unit)
            add_dataset(file, "embedding", found.projection.embedding)


def _top_table(
    bank: Bank, table: pd.DataFrame, kept: Sequence[tuple[Concept, Told]]
) -> pd.DataFrame:
    """Top pictures of each caption: target null concept rank place image."""
    number: dict[int, int] = {}
    parts = []
    for concept, _ in kept:
        places = concept.places[:SHOWN]
        count = number[concept.row] = number.get(concept.row, -1) + 1
        row = table.iloc[concept.row]
        parts.append(
            pd.DataFrame(
                {
                    "target": row["target"], "null": row["null"], "concept": count,
                    "rank": range(len(places)), "place": places, "image": bank.ids[places],
                }
            )
        )  # fmt: skip
    names = ["target", "null", "concept", "rank", "place", "image"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)


def _analysed(job: _Job, found: _Found, frame: pd.DataFrame) -> dict[str, float]:
    """Nouns, classes and maps of the captions, and how they do on test images."""
    told_of = captioned(
        frame, found.rows.table, found.unit, job.prepared, bank=job.bank.captions, text=job.text
    )
    ground = Ground(job.context.parents["encode"], job.prepared, job.fold.index)
    return tell(job.context.out, told_of, job.config.analysis, ground, job.context.seed)


def _shown(job: _Job, sight: Sight, frame: pd.DataFrame) -> dict[str, float]:
    """Pictures of the surest captions, and what they do."""
    chosen = surest(frame, job.config.imagined.targets)
    ground = Ground(job.context.parents["encode"], job.prepared, job.fold.index)
    with job.context.progress("pictures of captions", chosen["caption"].nunique()) as progress:
        return show(
            job.context.out, chosen, ground, sight, job.config,
            seed=job.context.seed, progress=progress,
        )  # fmt: skip


def _write_bank(job: _Job) -> None:
    bank, out = job.bank, job.context.out
    place = np.arange(len(bank))
    out.table(
        "bank.tsv",
        pd.DataFrame({"place": place, "image": bank.ids, "file": bank.names, "draw": bank.draw}),
    )
    out.json(
        "bank_captions.json",
        {str(n): list(texts) for n, texts in enumerate(bank.captions) if texts},
    )


def _metrics(frame: pd.DataFrame, passed: NDArray[np.bool_], bank: Bank) -> dict[str, float]:
    null = frame["null"].to_numpy(bool)
    real = frame[~null & frame["gated"].to_numpy(bool)]
    first = frame[null].drop_duplicates("target")
    rate = float(first["gated"].mean()) if len(first) else float("nan")
    found = {
        "targets": float(len(passed)),
        "captioned": float(passed.sum()),
        "captions": float(len(real)),
        "captions.different": float(real["caption"].nunique()),
        "nulls": float(len(first)),
        "nulls.let_through": rate,
        "bank.items": float(len(bank)),
        "bank.excluded": float(bank.excluded),
        "bank.doubles": float(bank.doubles),
    }
    for name in ("confidence", "effective", "best_cosine", "cosine", "stability", "fit"):
        for group, part in (("", real), ("nulls.", frame[null])):
            values = part[name].to_numpy(np.float64)
            if np.isfinite(values).any():
                found[f"{group}{name}.median"] = float(np.nanmedian(values))
    return found


_SCORED = {
    Scored.training: "training images held out to select",
    Scored.test: "test images, so test scores of captioned targets are of chosen ones",
}

_RANKED = {Scored.training: "training images held out to select", Scored.test: "test images"}


def _methods(job: _Job, rows: Rows, metrics: dict[str, float], images: Scored) -> str:
    config, captioner = job.config, job.writer.name
    how = (
        f"unit weights were projected onto {len(job.bank)} natural embeddings (decoupled softmax,"
        f" factor {config.temperature:g}, {config.draws} disjoint draws; BrainSCUBA, Luo et al.,"
        " 2024)"
        if rows.weights is not None
        else f"{len(job.bank)} natural pictures were ranked by predicted activation"
    )
    return (
        f"For captions, {how}; captioner: {captioner}. Targets were captioned where"
        f" {config.gate.measure.value} on {_SCORED[images]}, was {config.gate.threshold:g} or more"
        f" ({metrics['captioned']:.0f} of {metrics['targets']:.0f});"
        f" {metrics['nulls']:.0f} null targets with shuffled responses went the same way. Evidence"
        f" of a target is the share of them that have a lower r on {_RANKED[rows.ranked]}."
        + drawn_methods(job.context, metrics)
    )


__all__ = ["COLUMNS", "run"]
