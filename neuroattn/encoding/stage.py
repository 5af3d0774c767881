"""The stage ``encode``: fit a readout fold by fold, predict the test images, score them.

A finished fold stays in the writer's work folder, so a killed run repeats only the fold it was
in. A fold depends on its training rows, the config and its own seed, and on no other fold;
with one thread count the resumed result has the bytes of an uninterrupted one.

Subjects with targets of their own are fitted one by one, each on its own images, unless the
readout says that it takes them together (``joint``); they are scored one by one either way.

Whatever is fitted is fitted on training images alone and kept beside the model: z-scores
(``normalise.safetensors``) and the targets that were selected (``selection.safetensors``). What
has seen test trials, because the config asked for it, stands in ``protocol.json``.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.atomic import (
    ensure_folder,
    fsync_file,
    fsync_folder,
    read_json,
    storage_errors,
    write_json,
)
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.seeding import derive_seed
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.planted import planted_in
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import (
    DatasetConfig,
    Normalise,
    ResponsesMode,
)
from neuroattn.data.splits import Fold, folds
from neuroattn.encoding import ceilings
from neuroattn.encoding.evaluate import (
    FoldResult,
    fold_table,
    metrics,
    score_table,
    write_predictions,
)
from neuroattn.encoding.field_agreement import write_fields
from neuroattn.encoding.joint import together
from neuroattn.encoding.kept import shown_pictures, write_curves
from neuroattn.encoding.looks import degrees_of, in_view, kept_table, more_looks
from neuroattn.encoding.protocol import methods, overlap, protocol
from neuroattn.encoding.readout import (
    Attends,
    Features,
    FittedReadout,
    Readout,
    TrainingSet,
    write_model,
)
from neuroattn.encoding.registry import ENCODERS, AttentionConfig, EncoderConfig, ScoringConfig
from neuroattn.encoding.scoring import resampled
from neuroattn.encoding.sides import (
    Ids,
    Side,
    Unit,
    check_sides,
    images_of,
    training_rows,
    units_of,
)
from neuroattn.encoding.subject_scores import (
    merged_folds,
    resampled_subjects,
    subject_metrics,
    subject_results,
    write_subject_predictions,
)
from neuroattn.features.joined import further, open_features
from neuroattn.features.registry import BackboneConfig
from neuroattn.training.tracking import Shifted

log = logging.getLogger("neuroattn.encoding")

TABLES = ("predicted", "measured")
KEPT = (  # of the attention: name in the work folder, name in attention.h5
    ("attention", "attention"), ("attention-images", "image"), ("attention-pictures", "picture"),
    ("attention-heads", "attention_heads"), ("attention-similarity", "similarity"),
)  # fmt: skip
TOGETHER = 256  # images whose predictions for all subjects are held at a time
STEPS = 10_000_000  # each fold logs in a range of steps of its own


def run(context: StageContext) -> StageResult:
    """Fit, predict and score every fold.

    Raises
    ------
    ConfigError, DataError, LeakError : what is wrong, and the remedy.
    """
    config = context.section("encoder", EncoderConfig)
    dataset = context.section("dataset", DatasetConfig)
    prepared = Prepared(context.parents["prepare"])
    job = _Job(
        context=context,
        config=config,
        readout=ENCODERS.load(config.name)(config),
        prepared=prepared,
        units=units_of(prepared),
        features=open_features(context.parents["features"], further(context.parents)),
        dataset=dataset,
        scoring=context.section("scoring", ScoringConfig),
    )
    plan = folds(prepared, dataset.split)
    with context.progress(f"encode with {config.name}, folds", len(plan)) as progress:
        for fold in plan:
            job.compute(fold)
            progress.advance()
    for name in job.fits:
        job.write_attention(plan, name)
    return _report(job, [(unit, [job.result(fold, unit) for fold in plan]) for unit in job.units])


@dataclass(frozen=True)
class _Job:
    context: StageContext
    config: EncoderConfig
    readout: Readout
    prepared: Prepared
    units: list[Unit]
    features: Features
    dataset: DatasetConfig
    scoring: ScoringConfig

    @property
    def joint(self) -> bool:
        """Whether one fit is for several subjects."""
        return len(self.units) > 1 and bool(getattr(self.readout, "joint", False))

    @property
    def fits(self) -> list[str]:
        """Names of what is fitted by itself: a subject, or (empty) the whole."""
        return [""] if self.joint else [unit.name for unit in self.units]

    def place(self, fold: Fold, name: str) -> str:
        """Name of a fold of a subject, or of all that is fitted at once."""
        return f"fold-{fold.index}-{name}" if name else f"fold-{fold.index}"

    def folder(self, fold: Fold, name: str) -> Path:
        return self.context.out.work / self.place(fold, name)

    def compute(self, fold: Fold) -> None:
        """Fit and predict what is not there yet of one fold."""
        images = [self.images(fold, unit) for unit in self.units]
        check_sides(fold, self.prepared, images)
        for name in self.fits:
            if not self.folder(fold, name).is_dir():
                chosen = zip(self.units, images, strict=True)
                sides = [
                    self.side(fold, unit, *own)
                    for unit, own in chosen
                    if self.joint or unit.name == name
                ]
                self.fit(fold, name, sides, np.concatenate([test for _, test in images]))

    def images(self, fold: Fold, unit: Unit) -> tuple[Ids, Ids]:
        """Training and test images of a unit."""
        config = self.config
        return images_of(fold, unit, config.images, self.context.seed, config.sessions)

    def side(self, fold: Fold, unit: Unit, train: Ids, test: Ids) -> Side:
        """A unit on the scale of its fold, with the targets that are fitted."""
        # One scale for every draw of training images: else no two points of a learning curve would
        # be tested against the same responses, and sessions that are tested alone would have none.
        whole, _ = images_of(fold, unit, None, self.context.seed)
        view = self.on_scale(unit.data, whole)
        ceiling = self.dataset.ceiling
        chosen = ceilings.select(view, train, ceiling, self.dataset.normalise)
        return Side(unit, view, train, test, chosen)

    def on_scale(self, data: Prepared, train: Ids) -> Prepared:
        """The responses on the scale that they are fitted and tested on."""
        normalise = self.dataset.normalise
        if normalise is Normalise.none:
            return data
        seen = train if normalise is Normalise.session_train else None
        return data.scaled(data.session_scale(seen))

    def fit(self, fold: Fold, name: str, sides: list[Side], tested: Ids) -> None:
        """Fit and predict; a folder takes its name when all of it is on the disk."""
        self._keep_fitted(self.place(fold, name), sides)
        train = self._training_set(fold, name, sides)
        model = self._readout_of(fold, tested).fit(train)
        write_model(self.context.out, self.place(fold, name), model)
        write_curves(self.context.out, self.place(fold, name), train.work)
        columns = dict(model.columns())
        start = 0
        for side in sides:
            own = slice(start, start + len(side.fitted))
            start = own.stop
            values = {key: column[own] for key, column in columns.items()}
            arrays = self._results(model, side, own, values)
            if not self.joint:
                arrays |= self._attention(model, side.test, name)
            if not self.folder(fold, side.unit.name).is_dir():  # else kept before a kill
                _keep(arrays, self.folder(fold, side.unit.name))
        if self.joint:
            _keep(self._attention(model, fold.test, name), self.folder(fold, name))
        shutil.rmtree(train.work)

    def _training_set(self, fold: Fold, name: str, sides: list[Side]) -> TrainingSet:
        mode = self.dataset.responses
        work = ensure_folder(
            self.context.out.work / self.place(fold, name).replace("fold", "state", 1)
        )
        rows = [
            training_rows(
                side.view,
                side.train,
                mode,
                side.chosen,
                work / f"responses{side.unit.name}.npy",
                sessions=self.config.sessions,
            )
            for side in sides
        ]
        images, responses = rows[0]
        if self.joint:
            images, joined = together(rows, merge=mode is ResponsesMode.mean)
            responses = cast("NDArray[np.float32]", joined)  # stands in for the table
        fitted = np.concatenate([side.unit.columns[side.fitted] for side in sides])
        return TrainingSet(
            features=self.features,
            images=images,
            responses=responses,
            targets=self.prepared.targets.iloc[fitted].reset_index(drop=True),
            seed=derive_seed(self.context.seed, "encode", fold.name),
            work=work,
            device=self.context.config.runtime.device.value,
            tracker=Shifted(self.context.tracker, fold.index * STEPS, f"{self.place(fold, name)}."),
            open_progress=self.context.progress,
            planted=planted_in(self.prepared.artefact),
        )

    def _readout_of(self, fold: Fold, tested: Ids) -> Readout:
        """The readout, or one that begins where another encoder ended."""
        if "start" not in self.context.parents:
            return self.readout
        from neuroattn.encoding.start import ContinuedAttention, Start

        config = self.context.section("encoder", AttentionConfig)
        images = self.prepared.images
        start = Start(
            artefact=self.context.parents["start"],
            features=self.context.parents["features"],
            also=further(self.context.parents),
            digests=dict(zip(images["image"], images["sha256"], strict=True)),
        )
        start.check(config)
        return ContinuedAttention(config, start.model(fold.name, np.unique(tested)))

    def _results(
        self, model: FittedReadout, side: Side, own: slice, columns: dict[str, NDArray[Any]]
    ) -> dict[str, NDArray[Any]]:
        """Predictions, measurements, ceilings and columns of one unit, over all its targets."""
        count, method = len(side.unit.columns), self.dataset.ceiling.method
        predicted = self._predict(model, side.test, own)
        arrays = {
            "predicted": _spread(predicted, side.chosen, count),
            "measured": side.view.image_responses(side.test, ResponsesMode.mean),
            "ceiling": ceilings.ceiling(side.view, side.test, method, self.dataset.normalise),
        }
        for key, values in columns.items():
            arrays[f"column-{key}"] = _spread(values, side.chosen, count)
        return arrays

    def _predict(self, model: FittedReadout, images: Ids, own: slice) -> NDArray[np.float32]:
        """Predictions of a unit's targets; of several, some images at a time."""
        if not self.joint:
            return model.predict(self.features, images)
        starts = range(0, len(images), TOGETHER)
        parts = (images[start : start + TOGETHER] for start in starts)
        return np.concatenate([model.predict(self.features, part)[:, own] for part in parts])

    def _attention(self, model: FittedReadout, test: Ids, name: str) -> dict[str, NDArray[Any]]:
        if not isinstance(model, Attends):
            return {}
        shown = test[: self.scoring.attention_images]
        about = {"queries": list(model.queries), "grid": list(model.grid)}
        write_json(self._described(name), about)
        kept: dict[str, NDArray[Any]] = {
            "attention": model.attention(self.features, shown),
            "attention-images": shown,
            "attention-queries": np.array(list(model.queries)),
        }
        kept |= more_looks(model, self.features, shown, self.scoring.attention_heads)
        backbone = self.context.section("backbone", BackboneConfig)
        return kept | shown_pictures(self.dataset, backbone, self.prepared, shown)

    def _described(self, name: str) -> Path:
        return self.context.out.work / (f"attention-{name}.json" if name else "attention.json")

    def _keep_fitted(self, place: str, sides: list[Side]) -> None:
        """What was fitted beside the model: z-scores, and which targets were selected."""
        scales: dict[str, NDArray[Any]] = {}
        selected, start = [], 0
        for side in sides:
            prefix = f"{side.unit.name}/" if self.joint else ""
            if side.view.scale is not None:
                arrays = side.view.scale.arrays()
                scales |= {f"{prefix}{name}": values for name, values in arrays.items()}
            if side.chosen is not None:
                selected.append(start + side.chosen)
            start += len(side.unit.columns)
        if scales:
            self._sidecar(place, "normalise", scales)
        if selected:
            self._sidecar(place, "selection", {"targets": np.concatenate(selected)})

    def _sidecar(self, place: str, name: str, arrays: dict[str, NDArray[Any]]) -> None:
        from safetensors.numpy import save_file

        with self.context.out.file(f"{place}/{name}.safetensors") as path:
            save_file(arrays, path)

    def write_attention(self, plan: list[Fold], name: str) -> None:
        """Collect what the folds kept into ``attention.h5``; nothing where no readout attends.

        Subjects that were fitted one by one have a file each, ``attention-<subject>.h5``.
        """
        about = self._described(name)
        if not about.exists():
            return
        described, tables = read_json(about), []
        with self.context.out.hdf5(about.with_suffix(".h5").name) as file:
            file.attrs["queries"] = described["queries"]
            file.attrs["grid"] = described["grid"]
            for fold in plan:
                folder = self.folder(fold, name)
                group = file.create_group(f"fold-{fold.index}")
                group.attrs["queries"] = np.load(folder / "attention-queries.npy").tolist()
                for kept, key in KEPT:
                    path = folder / f"{kept}.npy"
                    if path.exists() and (values := np.load(path)).size:
                        add_dataset(group, key, values)
                tables.append(kept_table(folder, fold.index, tuple(described["grid"])))
        found = pd.concat(tables, ignore_index=True)
        if len(found):
            about_table = about.with_suffix(".tsv").name.replace("attention", "queries", 1)
            self.context.out.table(about_table, in_view(found, degrees_of(self.prepared)))

    def result(self, fold: Fold, unit: Unit) -> FoldResult:
        folder = self.folder(fold, unit.name)
        train, test = self.images(fold, unit)
        predicted, measured = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in TABLES)
        columns = {
            path.stem.removeprefix("column-"): np.load(path)
            for path in sorted(folder.glob("column-*.npy"))
        }
        ceiling = np.load(folder / "ceiling.npy")
        return FoldResult(fold.index, train, test, predicted, measured, columns, ceiling)


def _spread(values: NDArray[Any], chosen: NDArray[np.int64] | None, targets: int) -> NDArray[Any]:
    """Values (..., targets) with NaN at targets that were not fitted."""
    if chosen is None:
        return values
    result = np.full((*values.shape[:-1], targets), np.nan, dtype=values.dtype)
    result[..., chosen] = values
    return result


def _keep(arrays: dict[str, NDArray[Any]], folder: Path) -> None:
    """Write arrays to ``folder``, which appears when all of them are on the disk."""
    draft = folder.with_suffix(".part")
    shutil.rmtree(draft, ignore_errors=True)
    ensure_folder(draft)
    with storage_errors(folder):
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
            fsync_file(draft / f"{name}.npy")
        fsync_folder(draft)
        os.replace(draft, folder)
        fsync_folder(folder.parent)


def _report(job: _Job, found: list[tuple[Unit, list[FoldResult]]]) -> StageResult:
    out, targets = job.context.out, job.prepared.targets
    threshold = job.dataset.ceiling.threshold
    seed = derive_seed(job.context.seed, "scoring")
    if len(found) == 1:
        results = found[0][1]
        plain = score_table(targets, results, threshold)
        with out.hdf5("predictions.h5") as file:
            write_predictions(file, results)
        columns, regions = resampled(plain, results, job.scoring, seed)
        scores, figures = pd.concat([plain, columns], axis=1), metrics(plain)
    else:
        parts = subject_results(found, targets, threshold)
        with out.hdf5("predictions.h5") as file:
            write_subject_predictions(file, parts)
        scores, regions = resampled_subjects(parts, job.scoring, seed)
        results, figures = merged_folds(parts), subject_metrics(scores)
    out.table("targets.tsv", targets)
    seen = in_view(scores, degrees_of(job.prepared))
    out.table("scores.tsv", seen)
    figures |= write_fields(out, job.prepared, seen, job.scoring.bootstraps, seed)
    out.table("rois.tsv", regions)
    out.table("folds.tsv", fold_table(results))
    out.json("protocol.json", protocol(job.dataset))
    figures |= {
        "test.images": float(sum(len(fold.test) for fold in results)),
        "test.folds": float(len(results)),
        **overlap(job.prepared, job.dataset.split, results),
    }
    log.info("mean test r over %d targets: %.4f", len(scores), figures["test.r"])
    return StageResult(metrics=figures, methods=methods(_said(job), job.dataset, results))


def _said(job: _Job) -> str:
    """The readout's sentence, with what the stage did beside it."""
    said = job.readout.methods()
    if len(job.units) > 1:
        how = "together" if job.joint else "one by one, each on its own images"
        said += f"; {len(job.units)} subjects were fitted {how}"
    if job.config.images is not None:
        said += f"; {job.config.images} training images were drawn at random"
    if job.config.sessions:
        said += f"; trained on the sessions {', '.join(map(str, job.config.sessions))} alone"
    if also := further(job.context.parents):
        named = (f"{name} ({artefact.label})" for name, artefact in also.items())
        own = job.context.parents["features"].label
        said += f"; beside the features {own} it was given {', '.join(named)}"
    if "start" in job.context.parents:
        share = getattr(job.config, "start_lr", 0.0)
        how = f"trained on at {share:g} of the learning rate" if share else "kept as it was"
        start = job.context.parents["start"].label
        said += f"; its routing was taken over from the encoder {start}, and {how}"
    return said
