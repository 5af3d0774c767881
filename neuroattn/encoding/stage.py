"""The stage ``encode``: fit a readout fold by fold, predict the test images, score them.

A finished fold stays in the writer's work folder, so a killed run repeats only the fold it was
in. A fold depends on its training rows, the config and its own seed, and on no other fold;
with one thread count the resumed result has the bytes of an uninterrupted one.

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
from typing import Any

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
from neuroattn.encoding.protocol import methods, overlap, protocol
from neuroattn.encoding.readout import Attends, Features, Readout, TrainingSet, write_model
from neuroattn.encoding.registry import ENCODERS, EncoderConfig, ScoringConfig
from neuroattn.encoding.scoring import resampled
from neuroattn.features.store import FeatureStore
from neuroattn.training.tracking import Shifted

log = logging.getLogger("neuroattn.encoding")

TABLES = ("predicted", "measured")
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
        readout=ENCODERS.load(config.name)(config),
        prepared=prepared,
        features=FeatureStore(context.parents["features"]),
        dataset=dataset,
        scoring=context.section("scoring", ScoringConfig),
    )
    plan = folds(prepared, dataset.split)
    with context.progress(f"encode with {config.name}, folds", len(plan)) as progress:
        for fold in plan:
            if not job.is_finished(fold):
                job.compute(fold)
            progress.advance()
    job.write_attention(plan)
    return _report(job, [job.result(fold) for fold in plan])


def training_rows(
    prepared: Prepared,
    images: NDArray[np.int64],
    mode: ResponsesMode,
    targets: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows that a readout learns from: image ids (rows,) and responses (rows, targets).

    ``targets`` are the columns to read; None reads all.

    ``mean`` gives one row per image. ``single`` gives one per trial. ``weighted`` gives each
    image's mean as often as it was shown (counts without their common factor): for squared
    errors the same fit as on single trials.
    """
    if mode is ResponsesMode.single:
        trials, positions = prepared.trial_rows(images)
        return images[positions], prepared.responses(trials, targets)
    responses = prepared.image_responses(images, ResponsesMode.mean, columns=targets)
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
    dataset: DatasetConfig
    scoring: ScoringConfig

    def folder(self, fold: Fold) -> Path:
        return self.context.out.work / f"fold-{fold.index}"

    def is_finished(self, fold: Fold) -> bool:
        return self.folder(fold).is_dir()

    def compute(self, fold: Fold) -> None:
        """Fit and predict one fold; its folder takes its name when all of it is on the disk."""
        config = self.dataset
        view = self.on_scale(fold)
        chosen = ceilings.select(view, fold.train, config.ceiling, config.normalise)
        self._keep_fitted(fold, view, chosen)
        images, responses = training_rows(view, fold.train, config.responses, chosen)
        targets = self.prepared.targets
        train = TrainingSet(
            features=self.features,
            images=images,
            responses=responses,
            targets=targets if chosen is None else targets.iloc[chosen].reset_index(drop=True),
            seed=derive_seed(self.context.seed, "encode", fold.name),
            work=ensure_folder(self.context.out.work / f"state-{fold.index}"),
            device=self.context.config.runtime.device.value,
            tracker=Shifted(self.context.tracker, fold.index * STEPS, f"fold-{fold.index}."),
            open_progress=self.context.progress,
        )
        model = self.readout.fit(train)
        write_model(self.context.out, f"fold-{fold.index}", model)
        method = config.ceiling.method
        arrays: dict[str, NDArray[Any]] = {
            "predicted": _spread(model.predict(self.features, fold.test), chosen, len(targets)),
            "measured": view.image_responses(fold.test, ResponsesMode.mean),
            "ceiling": ceilings.ceiling(view, fold.test, method, config.normalise),
        }
        if isinstance(model, Attends):
            shown = fold.test[: self.scoring.attention_images]
            arrays["attention"] = model.attention(self.features, shown)
            arrays["attention-images"] = shown
            self._describe_attention(model)
        for name, values in model.columns().items():
            arrays[f"column-{name}"] = _spread(values, chosen, len(targets))
        _keep(arrays, self.folder(fold))
        shutil.rmtree(train.work)

    def on_scale(self, fold: Fold) -> Prepared:
        """The dataset on the scale that this fold is fitted and tested on."""
        normalise = self.dataset.normalise
        if normalise is Normalise.none:
            return self.prepared
        seen = fold.train if normalise is Normalise.session_train else None
        return self.prepared.scaled(self.prepared.session_scale(seen))

    def _keep_fitted(self, fold: Fold, view: Prepared, chosen: NDArray[np.int64] | None) -> None:
        if view.scale is not None:
            self._sidecar(fold, "normalise", view.scale.arrays())
        if chosen is not None:
            self._sidecar(fold, "selection", {"targets": chosen})

    def _sidecar(self, fold: Fold, name: str, arrays: dict[str, NDArray[Any]]) -> None:
        from safetensors.numpy import save_file

        with self.context.out.file(f"fold-{fold.index}/{name}.safetensors") as path:
            save_file(arrays, path)

    def _describe_attention(self, model: Attends) -> None:
        about = {"queries": list(model.queries), "grid": list(model.grid)}
        write_json(self.context.out.work / "attention.json", about)

    def write_attention(self, plan: list[Fold]) -> None:
        """Collect what the folds kept into ``attention.h5``; nothing where no readout attends."""
        about = self.context.out.work / "attention.json"
        if not about.exists():
            return
        described = read_json(about)
        with self.context.out.hdf5("attention.h5") as file:
            file.attrs["queries"] = described["queries"]
            file.attrs["grid"] = described["grid"]
            for fold in plan:
                group = file.create_group(f"fold-{fold.index}")
                for name, key in (("attention", "attention"), ("attention-images", "image")):
                    values = np.load(self.folder(fold) / f"{name}.npy")
                    if values.size:
                        add_dataset(group, key, values)

    def result(self, fold: Fold) -> FoldResult:
        folder = self.folder(fold)
        predicted, measured = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in TABLES)
        columns = {
            path.stem.removeprefix("column-"): np.load(path)
            for path in sorted(folder.glob("column-*.npy"))
        }
        ceiling = np.load(folder / "ceiling.npy")
        return FoldResult(fold.index, fold.train, fold.test, predicted, measured, columns, ceiling)


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


def _report(job: _Job, results: list[FoldResult]) -> StageResult:
    out, targets = job.context.out, job.prepared.targets
    scores = score_table(targets, results, job.dataset.ceiling.threshold)
    with out.hdf5("predictions.h5") as file:
        write_predictions(file, results)
    out.table("targets.tsv", targets)
    seed = derive_seed(job.context.seed, "scoring")
    columns, regions = resampled(scores, results, job.scoring, seed)
    out.table("scores.tsv", pd.concat([scores, columns], axis=1))
    out.table("rois.tsv", regions)
    out.table("folds.tsv", fold_table(results))
    out.json("protocol.json", protocol(job.dataset))
    figures = metrics(scores) | {
        "test.images": float(sum(len(fold.test) for fold in results)),
        "test.folds": float(len(results)),
        **overlap(job.prepared, job.dataset.split, results),
    }
    log.info("mean test r over %d targets: %.4f", len(scores), figures["test.r"])
    return StageResult(
        metrics=figures, methods=methods(job.readout.methods(), job.dataset, results)
    )
