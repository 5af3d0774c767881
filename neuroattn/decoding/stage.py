"""The stage ``decode``: fit a decoder from responses to image embeddings, and retrieve with it.

Everything that is fitted (z-scores, standardisation, projection, the scale of embeddings, the
decoder) is fitted on training images alone and kept beside the model. Of several subjects each
has an input of its own; one decoder takes them all.

Payload: ``retrieval.h5`` and its tables (`neuroattn.decoding.evaluate`), ``embeddings.h5``
(`neuroattn.decoding.embeddings`), ``scores.tsv`` (where the decoder reads), ``curves.tsv`` (of a
trained one), ``model.safetensors`` and its sidecars ``input*.safetensors``, ``space.safetensors``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.atomic import ensure_folder
from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import derive_seed
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.dataset import open_dataset
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig
from neuroattn.data.splits import Fold, folds
from neuroattn.decoding.contributions import contributions
from neuroattn.decoding.decoder import (
    Decoder,
    DecodingSet,
    FittedDecoder,
    Rows,
    write_arrays,
    write_decoder,
)
from neuroattn.decoding.decoder_schemas import DecoderConfig
from neuroattn.decoding.embeddings import Embeddings, write_embeddings
from neuroattn.decoding.evaluate import Evaluation, Side, evaluate
from neuroattn.decoding.prior import Bank
from neuroattn.decoding.prior_kept import (
    blur_told,
    blurring,
    keep_clean,
    keep_prior,
    person_names,
    pictures_of,
)
from neuroattn.decoding.prior_schemas import PRIORS, PriorConfig
from neuroattn.decoding.registry import DECODERS, check_prior
from neuroattn.decoding.shown import keep_pictures
from neuroattn.decoding.sides import SideMaker, UnitSide, check_paired, selection_of
from neuroattn.decoding.targets import TargetSpace, fit_space
from neuroattn.encoding.kept import write_curves
from neuroattn.encoding.sides import check_sides, images_of, units_of
from neuroattn.features.store import FeatureStore
from neuroattn.stats.retrieval import average_repeats

log = logging.getLogger("neuroattn.decoding")

CENTRE_ROWS = 4096  # training rows whose mean prediction is taken off for centred figures
LARGEST = 512 << 20  # bytes of training embeddings that are compared with the test images


def run(context: StageContext) -> StageResult:
    """Fit, retrieve, and say where the decoder reads.

    Raises
    ------
    ConfigError, DataError, LeakError : what is wrong, and the remedy.
    """
    check_prior(context.config)
    job = _Job.begin(context)
    sides = job.sides()
    space = job.space(sides)
    train = job.training_side(sides, space)
    decoder: Decoder = DECODERS.load(job.config.name)(job.config)
    model = decoder.fit(train)
    job.keep(model, sides, space)
    tested = [job.test(model, number, side, space) for number, side in enumerate(sides)]
    found = job.evaluate([each.side for each in tested])
    found.write(context.out)
    keep_pictures(context.out, found.tables["nearest.tsv"], job.dataset, job.prepared)
    write_embeddings(context.out, [each.embeddings for each in tested])
    context.out.table("scores.tsv", pd.concat([each.scores for each in tested], ignore_index=True))
    context.out.table("targets.tsv", job.prepared.targets)
    figures = dict(found.metrics)
    figures |= job.keep_prior(model, sides, [each.side for each in tested], space)
    figures |= {
        "train.images": float(len(np.unique(np.concatenate([side.train for side in sides])))),
        "train.rows": float(sum(len(side.rows.images) for side in sides)),
        "test.images": float(sum(len(side.test) for side in sides)),
        "inputs": float(sum(side.rows.table.shape[1] for side in sides)),
        "dim": float(space.dim),
    }
    methods = job.methods(decoder, sides, space) + blur_told(model)
    return StageResult(metrics=figures, methods=methods)


@dataclass(frozen=True, eq=False)
class _Tested:
    """What the test side of one subject gave."""

    side: Side
    embeddings: Embeddings
    scores: pd.DataFrame


@dataclass(frozen=True, eq=False)
class _Job:
    context: StageContext
    config: DecoderConfig
    dataset: DatasetConfig
    prepared: Prepared
    stores: list[FeatureStore]
    fold: Fold

    @classmethod
    def begin(cls, context: StageContext) -> _Job:
        config = context.section("decoder", DecoderConfig)
        dataset = context.section("dataset", DatasetConfig)
        prepared = Prepared(context.parents["prepare"])
        own = FeatureStore(context.parents["features"])
        check_paired(prepared, own.images, own.artefact.folder)
        further = [
            FeatureStore(context.parents[f"target-{index}"])
            for index in range(len(config.target.also))
        ]
        plan = folds(prepared, dataset.split)
        if config.fold >= len(plan):
            raise ConfigError(
                "the split has no such fold",
                expected=f"decoder.fold from 0 to {len(plan) - 1}",
                found=config.fold,
                fix="choose one of these folds",
            )
        return cls(context, config, dataset, prepared, [own, *further], plan[config.fold])

    @property
    def seed(self) -> int:
        return derive_seed(self.context.seed, "decode", self.fold.name)

    def sides(self) -> list[UnitSide]:
        """Every subject's training table and test images."""
        units = units_of(self.prepared)
        images = [
            images_of(self.fold, unit, self.config.images, self.context.seed) for unit in units
        ]
        check_sides(self.fold, self.prepared, images)
        work = ensure_folder(self.context.out.work / "inputs")
        maker = SideMaker(self.config, self.dataset, self.seed, work)
        return [maker.make(unit, *own) for unit, own in zip(units, images, strict=True)]

    def space(self, sides: list[UnitSide]) -> TargetSpace:
        """Fitted on all training images."""
        images = np.unique(np.concatenate([side.train for side in sides]))
        return fit_space(self.config.target, self.stores, images)

    def training_side(self, sides: list[UnitSide], space: TargetSpace) -> DecodingSet:
        images = np.unique(np.concatenate([side.train for side in sides]))
        prior = self.context.section("prior", PriorConfig)

        def make_prior(bank: Bank) -> Any:
            return PRIORS.load(prior.name)(prior, bank)

        return DecodingSet(
            subjects=[side.rows for side in sides],
            space=space,
            selection=selection_of(self.config, self.prepared, self.fold, images, self.seed),
            forbidden=self.fold.test,
            make_prior=make_prior,
            blurs=prior.name != "none",
            seed=self.seed,
            work=ensure_folder(self.context.out.work / "state"),
            device=self.context.config.runtime.device.value,
            tracker=self.context.tracker,
            open_progress=self.context.progress,
        )

    def keep(self, model: FittedDecoder, sides: list[UnitSide], space: TargetSpace) -> None:
        """The model, and everything that was fitted beside it."""
        out = self.context.out
        write_decoder(out, model)
        write_arrays(out, "space.safetensors", dict(space.arrays()))
        out.json("space.json", space.identity())
        for side in sides:
            suffix = f"-{side.unit.name}" if side.unit.name else ""
            write_arrays(out, f"input{suffix}.safetensors", side.input.arrays())
            if side.rows.parcels is not None:
                out.json(f"parcels{suffix}.json", [str(name) for name in side.rows.parcels])
            if side.view.scale is not None:
                write_arrays(out, f"normalise{suffix}.safetensors", side.view.scale.arrays())
        write_curves(out, "training", out.work / "state")

    def test(
        self, model: FittedDecoder, number: int, side: UnitSide, space: TargetSpace
    ) -> _Tested:
        """Embeddings of one subject's test side, averaged over repeats."""
        inputs, places = side.tested(self.config.evaluation.average)
        each = space.normalised(model.embed(number, inputs))
        predicted = average_repeats(each, places)[0].astype(np.float32)
        pictures = model.gallery(side.test)
        centre = self._centre(model, number, side, space)
        shown = training = None
        if len(side.train) * space.dim * 4 <= LARGEST:
            shown, training = space.read(side.test), space.read(side.train)
        subject = side.unit.name or str(self.prepared.subjects[0])
        names = sorted(set(self.prepared.trials["subject"].astype(str)))
        tested = Side(
            subject, side.test, predicted, pictures, centre, training,
            None if training is None else side.train, shown,
        )  # fmt: skip
        read = contributions(model.module(number), side.input, inputs, pictures[places], space)
        about = space.identity() | {"averaged": self.config.evaluation.average.value}
        trials, of = side.view.trial_rows(side.test)
        embeddings = Embeddings(
            subject if side.unit.name else "|".join(names), about, predicted, side.test,
            [trials[of == place] for place in range(len(side.test))],
        )  # fmt: skip
        return _Tested(tested, embeddings, self._scores(side, read))

    def _centre(
        self, model: FittedDecoder, number: int, side: UnitSide, space: TargetSpace
    ) -> tuple[Rows, Rows]:
        """Mean prediction and mean embedding over the training side."""
        step = max(1, len(side.rows.table) // CENTRE_ROWS)
        rows = np.arange(0, len(side.rows.table), step)
        predicted = space.normalised(model.embed(number, np.array(side.rows.table[rows])))
        pictures = model.gallery(np.unique(side.rows.images[rows]))
        return predicted.mean(0), pictures.mean(0)

    def _scores(self, side: UnitSide, found: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
        """Where the decoder reads: a row for every target of the subject, empty where unread."""
        targets = self.prepared.targets.iloc[side.unit.columns]
        table = targets[["target", "subject", "rois", "hemisphere"]].reset_index(drop=True)
        for name, values in found.items():
            column = np.full(len(table), np.nan)
            column[side.input.columns] = values
            table[name] = column
        return table

    def evaluate(self, sides: list[Side]) -> Evaluation:
        labels = {int(image): names for image, names in self.prepared.categories.items()}
        seed = derive_seed(self.context.seed, "retrieval")
        return evaluate(sides, labels, self.config.evaluation, seed)

    def keep_prior(
        self, model: FittedDecoder, sides: list[UnitSide], tested: list[Side], space: TargetSpace
    ) -> dict[str, float]:
        """What a prior that blurs learned, and retrieval without its blur."""
        prior = blurring(model)
        if prior is None:
            return {}
        names = person_names(sides, self.prepared)
        pictures = pictures_of(open_dataset(self.dataset).stimuli, self.prepared.images)
        store = self.stores[0]
        size = int(store.artefact.config["backbone"]["image_size"])
        figures = keep_prior(self.context.out, prior, names, store.blur, pictures, size=size)
        clean = []
        for side, test in zip(sides, tested, strict=True):
            middle = space.read(np.unique(side.rows.images)[:CENTRE_ROWS]).mean(0)
            centre = None if test.centre is None else (test.centre[0], middle)
            clean.append(replace(test, target=space.read(test.image), centre=centre))
        labels = {int(image): names for image, names in self.prepared.categories.items()}
        seed, options = derive_seed(self.context.seed, "retrieval"), self.config.evaluation
        return figures | keep_clean(self.context.out, clean, labels, options, seed)

    def methods(self, decoder: Decoder, sides: list[UnitSide], space: TargetSpace) -> str:
        """The Methods text."""
        layers = ", ".join(block.name for block in space.blocks)
        images = len(np.unique(np.concatenate([side.train for side in sides])))
        return (
            f"{decoder.methods()}. Targets were embeddings of {layers}"
            f" ({space.pool.value} over tokens, {space.scale.value}, of length one). The decoder"
            f" was fitted on {images} images and tested on"
            f" {len(np.unique(np.concatenate([side.test for side in sides])))} others, whose"
            f" {self.config.evaluation.average.value} were averaged over repeats; images were"
            " retrieved by cosine, ties counted as failures."
        )
