"""The stage ``encode``: fit a readout fold by fold, predict the test images, score them.

A finished fold stays in the writer's work folder, so a killed run repeats only the fold it was
in. A fold depends on its training rows, the config and its own seed, and on no other fold;
with one thread count the resumed result has the bytes of an uninterrupted one.
"""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.atomic import ensure_folder, fsync_file, fsync_folder, storage_errors
from neuroattn.core.seeding import derive_seed
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig, ResponsesMode
from neuroattn.data.splits import Fold, folds
from neuroattn.encoding.evaluate import (
    FoldResult,
    fold_table,
    metrics,
    score_table,
    write_predictions,
)
from neuroattn.encoding.readout import Features, Readout, TrainingSet, write_model
from neuroattn.encoding.registry import ENCODERS, EncoderConfig
from neuroattn.features.store import FeatureStore

log = logging.getLogger("neuroattn.encoding")

TABLES = ("predicted", "measured")


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
        readout=ENCODERS.load(config.name)(config),
        prepared=prepared,
        features=FeatureStore(context.parents["features"]),
        mode=dataset.responses,
    )
    plan = folds(prepared, dataset.split)
    with context.progress(f"encode with {config.name}, folds", len(plan)) as progress:
        for fold in plan:
            if not job.is_finished(fold):
                job.compute(fold)
            progress.advance()
    return _report(job, [job.result(fold) for fold in plan])


def training_rows(
    prepared: Prepared, images: NDArray[np.int64], mode: ResponsesMode
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows that a readout learns from: image ids (rows,) and responses (rows, targets).

    ``mean`` gives one row per image. ``single`` gives one per trial. ``weighted`` gives each
    image's mean as often as it was shown (counts without their common factor): for squared
    errors the same fit as on single trials.
    """
    if mode is ResponsesMode.single:
        trials, positions = prepared.trial_rows(images)
        return images[positions], prepared.responses(trials)
    responses = prepared.image_responses(images, ResponsesMode.mean)
    if mode is ResponsesMode.mean:
        return images, responses
    counts = prepared.repeats(images)
    counts = counts // np.gcd.reduce(counts)
    return np.repeat(images, counts), np.repeat(responses, counts, axis=0)


@dataclass(frozen=True)
class _Job:
    context: StageContext
    readout: Readout
    prepared: Prepared
    features: Features
    mode: ResponsesMode

    def folder(self, fold: Fold) -> Path:
        return self.context.out.work / f"fold-{fold.index}"

    def is_finished(self, fold: Fold) -> bool:
        return self.folder(fold).is_dir()

    def compute(self, fold: Fold) -> None:
        """Fit and predict one fold; its folder takes its name when all of it is on the disk."""
        images, responses = training_rows(self.prepared, fold.train, self.mode)
        train = TrainingSet(
            features=self.features,
            images=images,
            responses=responses,
            targets=self.prepared.targets,
            seed=derive_seed(self.context.seed, "encode", fold.name),
            work=ensure_folder(self.context.out.work / f"state-{fold.index}"),
            device=self.context.config.runtime.device.value,
        )
        model = self.readout.fit(train)
        write_model(self.context.out, f"fold-{fold.index}", model)
        predicted = model.predict(self.features, fold.test)
        measured = self.prepared.image_responses(fold.test, ResponsesMode.mean)
        arrays: dict[str, NDArray[Any]] = {"predicted": predicted, "measured": measured}
        arrays |= {f"column-{name}": values for name, values in model.columns().items()}
        _keep(arrays, self.folder(fold))
        shutil.rmtree(train.work)

    def result(self, fold: Fold) -> FoldResult:
        folder = self.folder(fold)
        predicted, measured = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in TABLES)
        columns = {
            path.stem.removeprefix("column-"): np.load(path)
            for path in sorted(folder.glob("column-*.npy"))
        }
        return FoldResult(fold.index, fold.train, fold.test, predicted, measured, columns)


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


def _report(job: _Job, results: list[FoldResult]) -> StageResult:
    out, targets = job.context.out, job.prepared.targets
    scores = score_table(targets, results)
    with out.hdf5("predictions.h5") as file:
        write_predictions(file, results)
    out.table("targets.tsv", targets)
    out.table("scores.tsv", scores)
    out.table("folds.tsv", fold_table(results))
    figures = metrics(scores) | {
        "test.images": float(sum(len(fold.test) for fold in results)),
        "test.folds": float(len(results)),
    }
    log.info("mean test r over %d targets: %.4f", len(scores), figures["test.r"])
    return StageResult(metrics=figures, methods=_methods(job, results))


def _methods(job: _Job, results: list[FoldResult]) -> str:
    trained = {
        ResponsesMode.mean: "responses averaged over repeats",
        ResponsesMode.single: "single trials",
        ResponsesMode.weighted: "responses averaged over repeats and weighted by their number",
    }[job.mode]
    tested = sum(len(fold.test) for fold in results)
    folds_ = "one held-out set" if len(results) == 1 else f"{len(results)} held-out folds"
    return (
        f"{job.readout.methods()}. It was trained on {trained} and tested on {tested} images in"
        f" {folds_}, against responses averaged over repeats; Pearson correlations were computed"
        " per fold and averaged over folds."
    )
