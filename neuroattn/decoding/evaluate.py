"""How well are test images retrieved? Everything that ``decode`` says of its test side.

For every subject one matrix of similarities, raw and centred, is made of averaged outputs; all
figures are read from it (`neuroattn.stats.retrieval`). Beside each stand its chance level, an
interval over images and then subjects, p over pairings within subject, the same among images of
the same objects, and how near the test images are to those of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.errors import DataError
from neuroattn.core.hdf5 import add_dataset
from neuroattn.core.seeding import generator
from neuroattn.decoding.decoder_schemas import EvaluationConfig
from neuroattn.stats import retrieval
from neuroattn.stats.bootstrap import percentile_interval
from neuroattn.stats.overlap import Overlap, train_test_overlap
from neuroattn.stats.retrieval import DIRECTIONS, IMAGE_FROM_BRAIN

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
Labels = Mapping[int, Sequence[str]]

RAW: Final = "raw"
CENTRED: Final = "centred"
ALL: Final = "all"  # the mean over subjects
CURVE: Final = (2, 5, 10, 20, 50, 100, 200, 300, 500, 1000)
NEAREST: Final = 5  # of a gallery picture


@dataclass(frozen=True, eq=False)
class Side:
    """The test side of one subject.

    Parameters
    ----------
    subject : its name.
    image : (images,) ids, each once.
    predicted : (images, dim) outputs averaged over repeats.
    target : (images, dim) embeddings of these images.
    centre : mean prediction and mean target over training images; None leaves ``centred`` out.
    training, training_image : (training, dim) embeddings of the training images, and their ids.
    shown : (images, dim) as ``target``, where that is blurred and ``training`` is not.
    """

    subject: str
    image: Ids
    predicted: Array
    target: Array
    centre: tuple[Array, Array] | None = None
    training: Array | None = None
    training_image: Ids | None = None
    shown: Array | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.image), len(self.predicted), len(self.target)}
        if len(lengths) > 1 or len(np.unique(self.image)) < len(self.image):
            raise DataError(
                "brains and images do not pair", file=f"test side of {self.subject}",
                expected="one averaged output and one embedding for each image",
                found=f"{len(self.image)} ids ({len(np.unique(self.image))} different),"
                f" {len(self.predicted)} outputs, {len(self.target)} embeddings",
                fix="average the repeats of each image first",
            )  # fmt: skip
        if self.predicted.shape[1:] != self.target.shape[1:]:
            raise DataError(
                "the decoder predicts embeddings of another space",
                file=f"test side of {self.subject}",
                expected=f"{self.target.shape[1:]} numbers, as the images have",
                found=f"{self.predicted.shape[1:]}",
                fix="decode with the backbone and the layers that the decoder was fitted to",
            )

    @cached_property
    def similarities(self) -> dict[str, NDArray[np.float32]]:
        """``raw`` and ``centred`` cosines (brains, images), pairs on the diagonal."""
        found = {RAW: retrieval.cosine_similarity(self.predicted, self.target)}
        if self.centre is not None:
            found[CENTRED] = retrieval.cosine_similarity(self.predicted, self.target, self.centre)
        return found

    @cached_property
    def overlap(self) -> Overlap | None:
        """How near the test images are to those of training."""
        if self.training is None or len(self.training) < 2:
            return None
        return train_test_overlap(self.target if self.shown is None else self.shown, self.training)


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Tables by file name, headline figures, and the sides that they came from."""

    sides: Sequence[Side]
    tables: dict[str, pd.DataFrame]
    metrics: dict[str, float] = field(default_factory=dict)

    def write(self, out: ArtefactWriter) -> None:
        """Write the tables and ``retrieval.h5``; there are groups by subject if several."""
        for name, table in self.tables.items():
            out.table(name, table)
        with out.hdf5("retrieval.h5") as file:
            for side in self.sides:
                group = file if len(self.sides) == 1 else file.create_group(side.subject)
                test = group.create_group("test")
                test.attrs["axes"] = "brains images; pairs on the diagonal"
                for name, matrix in side.similarities.items():
                    suffix = "" if name == RAW else f"_{name}"
                    add_dataset(test, f"similarity{suffix}", matrix)
                add_dataset(test, "brain", np.asarray(side.predicted, dtype=np.float32))
                add_dataset(test, "image", np.asarray(side.target, dtype=np.float32))
                add_dataset(test, "image_id", side.image)
                if side.centre is not None:  # mean prediction and mean embedding of training
                    add_dataset(test, "centre", np.stack(side.centre).astype(np.float32))


def evaluate(
    sides: Sequence[Side], labels: Labels, options: EvaluationConfig, seed: int = 0
) -> Evaluation:
    """Every table of retrieval.

    Parameters
    ----------
    labels : kinds of things in each image, by id; without them there is no gallery of hard rivals.

    Raises
    ------
    DataError : a subject has fewer than two test images.
    """
    for side in sides:
        if len(side.image) < 2:
            raise DataError(
                "there is nothing to retrieve from", file=f"test side of {side.subject}",
                expected="two test images or more", found=len(side.image),
                fix="choose a split with more test images",
            )  # fmt: skip
    tables = {
        "retrieval.tsv": pd.DataFrame(_retrieval_rows(sides, options, seed)),
        "nway.tsv": pd.DataFrame(_curve_rows(sides, options, seed)),
        "queries.tsv": pd.concat([_queries(side) for side in sides], ignore_index=True),
        "nearest.tsv": pd.concat(
            [_nearest(side, options.shown, seed) for side in sides], ignore_index=True
        ),
    }
    hard = pd.DataFrame(_hard_rows(sides, labels, options, seed))
    if len(hard):
        tables["hard.tsv"] = hard
    overlap = pd.DataFrame(_overlap_rows(sides))
    if len(overlap):
        tables["overlap.tsv"] = overlap
    return Evaluation(sides, tables, _metrics(tables, sides))


def _centrings(sides: Sequence[Side]) -> list[str]:
    return [name for name in (RAW, CENTRED) if all(name in side.similarities for side in sides)]


def _subjects(sides: Sequence[Side]) -> list[tuple[str, list[Side]]]:
    each = [(side.subject, [side]) for side in sides]
    return each if len(sides) == 1 else [*each, (ALL, list(sides))]


def _retrieval_rows(
    sides: Sequence[Side], options: EvaluationConfig, seed: int
) -> Iterator[dict[str, Any]]:
    for name, members in _subjects(sides):
        for centring in _centrings(sides):
            matrices = [side.similarities[centring] for side in members]
            found = [retrieval.ranks(matrix) for matrix in matrices]
            tests = (
                retrieval.permutation_tests(
                    matrices, top=options.top, draws=options.permutations, seed=seed
                )
                if options.permutations
                else {}
            )
            for direction in DIRECTIONS:
                for k in options.top:
                    hits = [retrieval.hits(rank[direction], k) for rank in found]
                    test = tests.get((direction, f"top{k}"))
                    yield {
                        "subject": name, "centring": centring, "direction": direction, "k": k,
                        "accuracy": float(np.mean([hit.mean() for hit in hits])),
                        **_interval(hits, [side.image for side in members], options, seed),
                        "chance": float(np.mean([min(1.0, k / len(m)) for m in matrices])),
                        "p": test.p if test else float("nan"),
                        "images": sum(map(len, hits)),
                        "gallery": min(map(len, matrices)),
                    }  # fmt: skip


def _interval(
    hits: Sequence[Floats], images: Sequence[Ids], options: EvaluationConfig, seed: int
) -> dict[str, float]:
    if not options.bootstraps:
        return {"low": float("nan"), "high": float("nan")}
    means = retrieval.bootstrap(hits, images, draws=options.bootstraps, seed=seed)
    low, high = percentile_interval(means)
    return {"low": float(low), "high": float(high)}


def _curve_rows(
    sides: Sequence[Side], options: EvaluationConfig, seed: int
) -> Iterator[dict[str, Any]]:
    """Accuracy over the size of the gallery, in closed form; at ``ways`` the draws beside it."""
    smallest = min(len(side.image) for side in sides)
    at = min(options.ways, smallest)
    sizes = sorted({size for size in CURVE if size <= smallest} | {at, smallest})
    for name, members in _subjects(sides):
        for centring in _centrings(sides):
            found = [retrieval.ranks(side.similarities[centring]) for side in members]
            drawn = [
                retrieval.draws_of(
                    side.similarities[centring], ways=at, draws=options.draws, seed=seed
                )
                for side in members
            ]
            for direction in DIRECTIONS:
                for size in sizes:
                    exact = [
                        retrieval.expected_accuracy(rank[direction], len(rank[direction]) - 1, size)
                        for rank in found
                    ]
                    draws = np.mean([each[direction] for each in drawn], axis=0)
                    here = size == at
                    yield {
                        "subject": name, "centring": centring, "direction": direction,
                        "ways": size, "accuracy": float(np.mean(exact)), "chance": 1 / size,
                        "draws_mean": float(draws.mean()) if here else float("nan"),
                        "draws_sd": float(draws.std()) if here else float("nan"),
                    }  # fmt: skip


def _queries(side: Side) -> pd.DataFrame:
    """One row per test image: its ranks, and how near the nearest training image is."""
    columns: dict[str, Any] = {"subject": side.subject, "image": side.image}
    for centring, matrix in side.similarities.items():
        for direction, rank in retrieval.ranks(matrix).items():
            columns[direction if centring == RAW else f"{direction}_{centring}"] = rank
    if side.overlap is not None:
        columns["nearest"] = side.overlap.nearest
        if side.training_image is not None:
            columns["nearest_image"] = side.training_image[side.overlap.index]
        columns["third"] = side.overlap.thirds()
    return pd.DataFrame(columns)


def _nearest(side: Side, shown: int, seed: int) -> pd.DataFrame:
    """The first five images of random queries: a gallery of pictures picks no favourites."""
    matrix = side.similarities[RAW]
    rng = generator(seed, "shown queries", side.subject)
    chosen = np.sort(rng.choice(len(matrix), size=min(shown, len(matrix)), replace=False))
    rank = retrieval.ranks(matrix)[IMAGE_FROM_BRAIN]
    rows = []
    for query in chosen.tolist():
        order = np.argsort(-np.nan_to_num(matrix[query], nan=-np.inf), kind="stable")[:NEAREST]
        rows += [
            {
                "subject": side.subject, "query": int(side.image[query]),
                "query_rank": int(rank[query]) + 1, "place": place + 1,
                "image": int(side.image[image]), "similarity": float(matrix[query, image]),
            }
            for place, image in enumerate(order.tolist())
        ]  # fmt: skip
    columns = ["subject", "query", "query_rank", "place", "image", "similarity"]
    return pd.DataFrame(rows, columns=columns)


def _hard_rows(
    sides: Sequence[Side], labels: Labels, options: EvaluationConfig, seed: int
) -> Iterator[dict[str, Any]]:
    """Among images of the same objects, and beside it among as many random ones."""
    galleries = [
        retrieval.hard_gallery(
            [labels.get(image, ()) for image in side.image.tolist()], options.hard_ways - 1, seed
        )
        for side in sides
    ]
    if not all(len(gallery.query) for gallery in galleries):
        return
    pairs = list(zip(sides, galleries, strict=True))
    groups = [(side.subject, [(side, gallery)]) for side, gallery in pairs]
    for name, members in groups if len(sides) == 1 else [*groups, (ALL, pairs)]:
        for centring in _centrings(sides):
            matrices = [side.similarities[centring] for side, _ in members]
            hits = [
                retrieval.hard_hits(matrix, gallery)
                for matrix, (_, gallery) in zip(matrices, members, strict=True)
            ]
            for direction in DIRECTIONS:
                own = [each[direction] for each in hits]
                random = [
                    retrieval.expected_accuracy(
                        retrieval.ranks(matrix)[direction][gallery.query],
                        len(matrix) - 1,
                        options.hard_ways,
                    )
                    for matrix, (_, gallery) in zip(matrices, members, strict=True)
                ]
                images = [side.image[gallery.query] for side, gallery in members]
                yield {
                    "subject": name, "centring": centring, "direction": direction,
                    "ways": options.hard_ways, "accuracy": float(np.mean([h.mean() for h in own])),
                    **_interval(own, images, options, seed),
                    "random": float(np.mean(random)), "chance": 1 / options.hard_ways,
                    "images": sum(map(len, own)),
                }  # fmt: skip


def _overlap_rows(sides: Sequence[Side]) -> Iterator[dict[str, Any]]:
    """Accuracy by thirds of the test images, from the farthest from training to the nearest."""
    for side in sides:
        if side.overlap is None:
            continue
        found = retrieval.ranks(side.similarities[RAW])
        thirds = side.overlap.thirds()
        for third in np.unique(thirds).tolist():
            here = thirds == third
            yield {
                "subject": side.subject, "third": third, "images": int(here.sum()),
                "nearest": float(side.overlap.nearest[here].mean()),
                "among_training": float(np.median(side.overlap.among_training)),
                **{d: retrieval.accuracy(found[d][here]) for d in DIRECTIONS},
            }  # fmt: skip


def _metrics(tables: Mapping[str, pd.DataFrame], sides: Sequence[Side]) -> dict[str, float]:
    """Headline figures: of the mean over subjects, or of the only one."""
    name = ALL if len(sides) > 1 else sides[0].subject
    found: dict[str, float] = {"test.images": float(sum(len(side.image) for side in sides))}

    def own(table: str) -> pd.DataFrame:
        frame = tables[table]
        return frame[frame["subject"] == name]

    for row in own("retrieval.tsv").to_dict("records"):
        key = f"retrieval.{row['direction']}.{row['centring']}.top{row['k']}"
        found[key] = float(row["accuracy"])
        if np.isfinite(row["p"]):
            found[f"{key}.p"] = float(row["p"])
    for row in own("nway.tsv").dropna(subset=["draws_mean"]).to_dict("records"):
        key = f"retrieval.{row['direction']}.{row['centring']}.{row['ways']}way"
        found[key] = float(row["accuracy"])
        found[f"{key}.draws"] = float(row["draws_mean"])
    if "hard.tsv" in tables:
        for row in own("hard.tsv").to_dict("records"):
            key = f"hard.{row['direction']}.{row['centring']}.{row['ways']}way"
            found[key], found[f"{key}.random"] = float(row["accuracy"]), float(row["random"])
    shares = [side.overlap.share_as_near for side in sides if side.overlap is not None]
    if shares:
        found["overlap.share_as_near"] = float(np.mean(shares))
    return found
