"""Stage ``imagery``: other trials through a decoder that never saw such, imagined ones above all.

Zero-shot: the decoder, its standardisation aside, is as ``decode`` left it. Trials of an image are
averaged as the decoder's own test averaged them, responses or embeddings, and each is compared with
what could have been imagined, pictures or texts in the space that the decoder predicts. Whether
brains and images belong together is tested by permuting the pairing; with a dozen images the number
of trials matters as much as p, so it stands beside it. Images of two sorts are better tested apart:
where only one sort carries anything, or the decoder knows only one, the other is noise in the test.

Payload: ``imagery.tsv`` (direction, statistic, value, chance, p, images, trials, and of how many
images the decoder had the picture in training), ``imagery.h5`` (``/similarity`` brains x gallery,
``/image`` ids, ``/gallery`` ids, ``/own`` columns, ``/seen`` in training, ``/null``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.stage import StageContext, StageResult
from neuroattn.data.prepared import Prepared
from neuroattn.decoding.ablate_stage import load
from neuroattn.decoding.ablation_schemas import (
    Candidates,
    ImageryConfig,
    Standardise,
    check_one_target,
)
from neuroattn.decoding.decoder import Ids, Rows
from neuroattn.decoding.decoder_schemas import Average
from neuroattn.decoding.load import Loaded, LoadedSide, read_space
from neuroattn.features.store import FeatureStore
from neuroattn.stats import retrieval
from neuroattn.stats.retrieval import DIRECTIONS, Chance

log = logging.getLogger("neuroattn.decoding")

TOP = (1, 5)
_KEYS = ("hemisphere", "vertex")


def run(context: StageContext) -> StageResult:
    """Decode every trial of the set and test the pairing.

    Raises
    ------
    ConfigError : the decoder predicts more than one feature of a picture.
    DataError : its targets are not those of the decoder, or its gallery is of another space.
    """
    options = context.section("imagery", ImageryConfig)
    check_one_target(context.parents["decode"].config["decoder"]["target"]["also"])
    loaded = load(context)
    prepared = Prepared(context.parents["imagery/prepare"])
    side = _side_of(loaded, prepared)
    number = list(loaded.sides).index(side)
    averaged, ids, trials = decode(loaded, number, prepared, options)
    wanted, gallery_ids = _gallery(context, loaded, side, ids, options)
    _tell_alike(wanted)
    own = np.arange(len(ids))
    seen = seen_in_training(loaded.sides, prepared, ids)
    centre = averaged.mean(0, dtype=np.float64), wanted[: len(ids)].mean(0, dtype=np.float64)
    matrix = retrieval.cosine_similarity(averaged, wanted, centre)
    tests = tests_of(matrix, own, draws=options.permutations, seed=context.seed)
    table = pd.DataFrame(_rows(tests, matrix, int(trials.sum()), int(seen.sum())))
    context.out.table("imagery.tsv", table)
    with context.out.hdf5("imagery.h5") as file:
        for name, values in {
            "similarity": matrix, "image": ids, "gallery": gallery_ids, "own": own,
            "brain": averaged, "trials": trials,
            "seen": seen.astype(np.uint8),
            "null": tests[DIRECTIONS[0], "margin"].null,
        }.items():  # fmt: skip
            add_dataset(file, name, np.asarray(values))
    metrics = {
        f"imagery.{direction}.{name}{suffix}": value
        for (direction, name), test in tests.items()
        for suffix, value in (("", test.observed), (".p", test.p))
    }
    metrics |= {"imagery.trials": float(trials.sum()), "imagery.images": float(len(ids))}
    metrics["imagery.seen_in_training"] = float(seen.mean())
    methods = _methods(prepared, int(trials.sum()), seen, wanted, options)
    return StageResult(metrics=metrics, methods=methods)


def seen_in_training(
    sides: Sequence[LoadedSide], prepared: Prepared, ids: Ids
) -> NDArray[np.bool_]:
    """Which images of the trial set are pictures that the decoder was trained on (images,).

    Trial sets number their images differently, so pictures are told by their digest: one that was
    scaled or cropped anew is not recognised. A decoder that has seen a picture may know its
    embedding by heart; what it then finds in a trial was not new to it.
    """
    trained: set[str] = set()
    for side in sides:
        trained |= set(_digests(side.unit.data, side.train))
    seen = np.array([digest in trained for digest in _digests(prepared, ids)], dtype=bool)
    if seen.any():
        log.warning(
            "%d of %d images of these trials were among the training images of the decoder: this"
            " is no test on new images. Leave them out of training (dataset.split), or say so",
            int(seen.sum()), len(seen),
        )  # fmt: skip
    return seen


def _digests(prepared: Prepared, ids: Ids) -> list[str]:
    table = prepared.images
    known = dict(zip(table["image"].tolist(), table["sha256"].astype(str), strict=True))
    return [known[image] for image in ids.tolist()]


def tests_of(
    matrix: NDArray[np.float32], own: Ids, *, draws: int, seed: int
) -> dict[tuple[str, str], Chance]:
    """Retrieval, and the mean similarity of pairs, beside random pairings.

    ``margin`` is the mean similarity of a brain and its image less the mean of all; it reads
    the matrix one way only, and stands under the first direction.
    """
    top = [k for k in TOP if k < matrix.shape[1]]
    found = retrieval.permutation_tests([matrix], [own], top=top, draws=draws, seed=seed)
    known = np.nan_to_num(matrix.astype(np.float64))
    rng = np.random.default_rng(seed)
    shuffles = rng.permuted(np.tile(own, (draws, 1)), axis=1)
    rows = np.arange(len(own))
    middle = float(known[:, own].mean())
    null = known[rows, shuffles].mean(axis=1) - middle
    observed = float(known[rows, own].mean()) - middle
    p = (1 + int(np.sum(null >= observed - 1e-12))) / (1 + draws)
    return found | {(DIRECTIONS[0], "margin"): Chance(observed, null, p)}


def decode(
    loaded: Loaded, number: int, prepared: Prepared, options: ImageryConfig
) -> tuple[Rows, Ids, Ids]:
    """Embeddings (images, dim) by image, ids ascending, and how many trials each has.

    What is averaged over an image's trials is what the decoder's own test averaged
    (``decoder.evaluation.average``): a network that learned means of repeats knows no single
    trial's noise.
    """
    side = loaded.sides[number]
    responses = prepared.responses(None, side.input.columns)
    if not np.isfinite(responses).all():
        raise DataError(
            "responses of the trial set are not all finite", file=prepared.artefact.folder,
            expected="a number for every trial and input of the decoder", found="NaN or infinity",
            fix="decode without the targets that this trial set lacks",
        )  # fmt: skip
    if options.standardise is Standardise.own:
        mean, sd = responses.mean(0, dtype=np.float64), responses.std(0, dtype=np.float64)
        # What varies in a fit and not here says nothing here: it stands at its mean.
        scaled = (responses - mean) / np.where(sd > 0, sd, 1.0)
        standardised = np.asarray(scaled, dtype=np.float32)
    else:
        standardised = side.standardised_raw(responses)
    image = prepared.trials["image"].to_numpy(dtype=np.int64)
    ids, trials = np.unique(image, return_counts=True)
    if loaded.config.evaluation.average is Average.responses:
        means, _ = retrieval.average_repeats(standardised, image)
        return loaded.embed(number, means.astype(np.float32)), ids, trials
    averaged, _ = retrieval.average_repeats(loaded.embed(number, standardised), image)
    return averaged.astype(np.float32), ids, trials


def _side_of(loaded: Loaded, prepared: Prepared) -> LoadedSide:
    """The subject whose trials these are, with the same targets in the same order."""
    subject = str(prepared.subjects[0])
    sides = [
        side
        for side in loaded.sides
        if (side.unit.name or str(side.unit.data.subjects[0])) == subject
    ]
    if prepared.several or not sides:
        known = [side.unit.name or str(side.unit.data.subjects[0]) for side in loaded.sides]
        raise DataError(
            "the decoder was not fitted to this subject", file=prepared.artefact.folder,
            expected=f"one of {', '.join(known)}", found=", ".join(map(str, prepared.subjects)),
            fix="choose dataset.subjects=[…] of imagery.trials among them",
        )  # fmt: skip
    mine, theirs = sides[0].unit.data.targets, prepared.targets
    same = len(mine) == len(theirs) and all(
        mine[key].astype(str).tolist() == theirs[key].astype(str).tolist() for key in _KEYS
    )
    if not same:
        raise DataError(
            "the trial set has other targets than the decoder", file=prepared.artefact.folder,
            expected=f"{len(mine)} targets, at the same places", found=f"{len(theirs)} targets",
            fix="give imagery.trials the same mask and space; it may differ in trials and betas",
        )  # fmt: skip
    return sides[0]


def _gallery(
    context: StageContext, loaded: Loaded, side: LoadedSide, ids: Ids, options: ImageryConfig
) -> tuple[Rows, Ids]:
    """Embeddings (gallery, dim), those of the trials' images first, and ids; -1 - id for others."""
    store = FeatureStore(context.parents["imagery/features"])
    absent = np.setdiff1d(ids, store.images)
    if absent.size:
        raise DataError(
            "trials without the embedding of their image", file=store.artefact.folder,
            expected=f"features of {len(ids)} images", found=f"none of {absent.size}",
            fix="make the features from the trial set of imagery.trials",
        )  # fmt: skip
    space = read_space(loaded.artefact, loaded.config, [store])
    wanted = _read(space, store, ids)
    if wanted.shape[1] != loaded.space.dim:
        raise DataError(
            "the gallery is of another space than the decoder predicts",
            file=store.artefact.folder, expected=f"{loaded.space.dim} numbers an image",
            found=wanted.shape[1], fix="give imagery.gallery features of the same space",
        )  # fmt: skip
    if options.candidates is Candidates.imagined:
        return wanted, ids
    # As shown, as the imagined ones are: in the blur of a prior the two would lie apart.
    others = loaded.space.read(side.test)
    return np.vstack([wanted, others]), np.concatenate([ids, -1 - side.test])


def _tell_alike(wanted: Rows) -> None:
    """Warn of a gallery with equals in it, as captions of unknown words are."""
    apart = len(np.unique(np.round(wanted, 5), axis=0))
    if apart < len(wanted):
        log.warning(
            "only %d of the %d embeddings that trials are held against differ, and ties are"
            " failures. Words that an image-text space does not know are one word to it",
            apart, len(wanted),
        )  # fmt: skip


def _read(space: Any, store: FeatureStore, ids: Ids) -> Rows:
    try:
        found: Rows = space.read(ids)
    except ValueError as error:
        raise DataError(
            "the gallery is of another space than the decoder predicts",
            file=store.artefact.folder, expected=f"{space.dim} numbers an image", found=error,
            fix="give imagery.gallery features of the same space",
        ) from error  # fmt: skip
    return found


def _rows(
    tests: dict[tuple[str, str], Chance], matrix: NDArray[np.float32], trials: int, seen: int
) -> list[dict[str, Any]]:
    return [
        {"direction": direction, "statistic": name, "value": test.observed,
         "chance": float(test.null.mean()), "high": float(np.quantile(test.null, 0.95)),
         "p": test.p, "images": len(matrix), "gallery": matrix.shape[1], "trials": trials,
         "seen": seen}
        for (direction, name), test in tests.items()
    ]  # fmt: skip


def _methods(
    prepared: Prepared,
    trials: int,
    seen: NDArray[np.bool_],
    wanted: Rows,
    options: ImageryConfig,
) -> str:
    note = str(prepared.description.get("description", ""))
    return (
        f"The decoder was tried on {trials} trials of {len(seen)} images of another set"
        f" ({note}), which no part of it was fitted to; {int(seen.sum())} of these images were"
        " among its training images; brains, averaged by image, were compared"
        f" with {len(wanted)} embeddings, and the pairing was permuted {options.permutations}"
        " times."
    )
