"""Network ablation: which parts of the brain a decoder needs, and which suffice.

*Drop-one* leaves a network out at test time: what falls depends on that network alone. *Keep-one*
leaves all others out: what remains can be read from it, even where others carry the same. A
component that two networks share is invisible to the first and seen by the second.

Every effect stands beside those of random parcels of the same size (`matched_controls`). Effects
of controls, standardised within their network, are one null sample for all networks of a
measure, so that p is finer than 1 / controls; q is Benjamini-Hochberg over the networks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.decoding.partial import (
    Columns,
    MaskedPasses,
    Outputs,
    PartialProducts,
    matched_controls,
)
from neuroattn.stats import retrieval
from neuroattn.stats.multiple import benjamini_hochberg, exceedance
from neuroattn.stats.retrieval import DIRECTIONS, IMAGE_FROM_BRAIN

log = logging.getLogger("neuroattn.decoding")

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Measures = dict[str, float]

DROP: Final = "drop"
KEEP: Final = "keep"
MODES: Final = (DROP, KEEP)
CONCEPT: Final = "concept."  # what a measure of one kind of things begins with
FEWEST: Final = 5  # images with, and without, a kind of things
MOST: Final = 4096  # training images that say where a kind of things lies
SHRINK: Final = 0.1  # of the mean variance, added to each
DECODED: Final = 0.1  # area under the curve above .5 from which a kind counts as decoded
SHARE: Final = 0.1  # of what there is above chance: less is no finding, however sure it is


@dataclass(frozen=True, eq=False)
class Concept:
    """A kind of things: the direction along which training images with it differ from others.

    Parameters
    ----------
    axis : (dim,) discriminant of training embeddings with and without it (`discriminants`).
    present : (images,) of the test side.
    """

    name: str
    axis: Floats
    present: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Task:
    """What outputs are measured against.

    Parameters
    ----------
    target : (images, dim) embeddings of the test images.
    centre : mean prediction and mean target over training images.
    concepts : kinds of things whose presence is read off the outputs.
    """

    target: Array
    centre: tuple[Array, Array]
    concepts: Sequence[Concept] = ()

    @cached_property
    def _pictures(self) -> NDArray[np.float32]:
        return retrieval.unit_rows(self.target - self.centre[1])

    def similarity(self, outputs: Outputs) -> NDArray[np.float32]:
        """Centred cosines (brains, images); the images' side is made once."""
        brains = retrieval.unit_rows(outputs - self.centre[0])
        return np.asarray(brains @ self._pictures.T)

    def chance(self, measure: str) -> float:
        """What a measure is on average when nothing is decoded."""
        if measure in DIRECTIONS:
            return 1.0 / len(self.target)
        return 0.0 if measure == "margin" else 0.5

    def measure(self, outputs: Outputs) -> Measures:
        """Every measure of outputs (images, dim).

        ``image_from_brain`` and ``brain_from_image`` (centred top-1), ``percentile`` (share of
        rivals left behind, both ways), ``margin`` (own cosine less the mean of others) and
        ``concept.<name>`` (area under the curve, .5 by chance).
        """
        similarity = self.similarity(outputs)
        rank = retrieval.ranks(similarity)
        rivals = len(similarity) - 1
        found = {direction: retrieval.accuracy(rank[direction]) for direction in DIRECTIONS}
        found["percentile"] = 1.0 - float(np.mean([rank[d].mean() for d in DIRECTIONS])) / rivals
        found["margin"] = margin(similarity)
        centred = np.asarray(outputs, dtype=np.float64) - self.centre[0]
        for concept in self.concepts:
            found[CONCEPT + concept.name] = area(centred @ concept.axis, concept.present)
        return found


def margin(similarity: Array) -> float:
    """Own cosine less the mean cosine with other images, over brains; NaN counts as 0."""
    known = np.nan_to_num(np.asarray(similarity, dtype=np.float64))
    own = np.diag(known)
    return float(np.mean(own - (known.sum(axis=1) - own) / (len(known) - 1)))


def area(scores: Floats, present: NDArray[np.bool_]) -> float:
    """Area under the ROC curve: a pair that ties counts half; .5 for scores that never vary."""
    from scipy.stats import rankdata

    count = int(present.sum())
    others = len(present) - count
    if not count or not others:
        return float("nan")
    order = rankdata(np.round(scores, 12))
    return float((order[present].sum() - count * (count + 1) / 2) / (count * others))


def concepts_of(
    training: Array,
    training_labels: Sequence[Sequence[str]],
    test_labels: Sequence[Sequence[str]],
) -> list[Concept]:
    """A `Concept` for every kind that enough training and test images show, and lack."""
    names = sorted({name for labels in training_labels for name in labels})
    step = -(-len(training) // MOST)
    training, training_labels = training[::step], training_labels[::step]
    found = []
    for name in names:
        with_it = np.array([name in labels for labels in training_labels])
        present = np.array([name in labels for labels in test_labels])
        counts = [with_it.sum(), (~with_it).sum(), present.sum(), (~present).sum()]
        if min(counts) < FEWEST:
            continue
        axis = training[with_it].mean(0, dtype=np.float64)
        axis = axis - training[~with_it].mean(0, dtype=np.float64)
        found.append(Concept(name, axis, present))
    if not found:
        return []
    axes = discriminants(training, np.stack([concept.axis for concept in found]))
    return [replace(concept, axis=axis) for concept, axis in zip(found, axes, strict=True)]


def discriminants(training: Array, differences: Floats, shrink: float = SHRINK) -> Floats:
    """Differences of means (kinds, dim) over the covariance of embeddings (images, dim).

    A plain difference of means also moves with whatever else varies along it, so that a kind is
    read worse when other kinds are decoded louder. The covariance has ``shrink`` times its mean
    variance on its diagonal; with more dimensions than images it is inverted through the images.
    """
    centred = np.asarray(training, dtype=np.float64) - training.mean(0, dtype=np.float64)
    count, dim = centred.shape
    ridge = shrink * max(float(np.square(centred).sum()) / (count * dim), 1e-12)
    if dim <= count:
        gram = centred.T @ centred / count + ridge * np.eye(dim)
        return np.asarray(np.linalg.solve(gram, differences.T).T)
    kernel = centred @ centred.T / count + ridge * np.eye(count)
    inside = np.linalg.solve(kernel, centred @ differences.T) / count
    return np.asarray((differences - inside.T @ centred) / ridge)


@dataclass(frozen=True, eq=False)
class Brain:
    """One subject: its decoder with inputs that can be left out, and what it is measured by.

    Parameters
    ----------
    networks : columns of each network.
    parcels : columns of the parcels that controls are made of; they cover the inputs.
    """

    subject: str
    masking: PartialProducts | MaskedPasses
    task: Task
    networks: Mapping[str, Columns]
    parcels: Sequence[Columns]


def ablate(
    brains: Sequence[Brain],
    controls: int = 100,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> pd.DataFrame:
    """Every network left out and kept alone, beside its controls; means over subjects.

    Returns
    -------
    Columns ``mode network targets measure value intact chance share control_mean control_low
    control_high z p q``. ``share`` is of what the intact decoder has above chance: with ``drop``
    what is lost of it, with ``keep`` what is left. ``control_low`` and ``control_high`` bound 95 %
    of the controls' values; p is one-sided (drop: lower than the controls, keep: higher), q over
    the networks of one mode and measure.
    """
    brains = _of_common_kinds(brains)
    intact = _mean([brain.task.measure(brain.masking.whole()) for brain in brains])
    rows, nulls = [], []
    for name in brains[0].networks:
        values: dict[str, list[Measures]] = {mode: [] for mode in MODES}
        drawn: dict[str, list[list[Measures]]] = {mode: [] for mode in MODES}
        for brain in brains:
            columns = brain.networks[name]
            for mode, measures in _both(brain, columns).items():
                values[mode].append(measures)
            rng = generator(seed, "ablation controls", brain.subject, name)
            sets = matched_controls(brain.parcels, columns, controls, rng)
            found = [_both(brain, control) for control in sets]
            for mode in MODES:
                drawn[mode].append([each[mode] for each in found])
        advance()
        targets = sum(len(brain.networks[name]) for brain in brains)
        for mode in MODES:
            value = _mean(values[mode])
            count = min(map(len, drawn[mode]))
            null = [_mean([own[draw] for own in drawn[mode]]) for draw in range(count)]
            for measure in value:
                # A network of more than half of the inputs has no control of its size.
                sample = np.array([each[measure] for each in null] or [np.nan] * controls)
                rows.append(
                    {"mode": mode, "network": name, "targets": targets, "measure": measure,
                     "value": value[measure], "intact": intact[measure],
                     "chance": float(np.mean([b.task.chance(measure) for b in brains]))}
                )  # fmt: skip
                nulls.append(sample)
    return _judged(pd.DataFrame(rows), np.array(nulls))


def _of_common_kinds(brains: Sequence[Brain]) -> list[Brain]:
    """The same, measured by the kinds of things that are known of every subject."""
    known = [{concept.name for concept in brain.task.concepts} for brain in brains]
    common = set.intersection(*known)
    others = sorted(set.union(*known) - common)
    if others:
        log.info(
            "kinds that not every subject saw often enough are left out: %s", ", ".join(others)
        )

    def kept(task: Task) -> Task:
        return replace(task, concepts=[kind for kind in task.concepts if kind.name in common])

    return [replace(brain, task=kept(brain.task)) for brain in brains]


def _both(brain: Brain, columns: Columns) -> dict[str, Measures]:
    without, only = brain.masking.both(columns)
    return {DROP: brain.task.measure(without), KEEP: brain.task.measure(only)}


def _mean(found: Sequence[Measures]) -> Measures:
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def _judged(table: pd.DataFrame, null: Floats) -> pd.DataFrame:
    """Effects beside their controls; null (rows, controls) holds the controls' values."""
    value = table["value"].to_numpy(dtype=np.float64)
    intact = table["intact"].to_numpy(dtype=np.float64)
    drop = (table["mode"] == DROP).to_numpy()
    mean, sd = null.mean(axis=1), null.std(axis=1, ddof=1)
    # One query fewer found is the smallest step of an accuracy: controls that never vary are no
    # proof that the next one would not.
    sd = np.maximum(sd, 1e-3)
    sign = np.where(drop, -1.0, 1.0)
    chance = table["chance"].to_numpy(dtype=np.float64)
    concept = table["measure"].astype(str).str.startswith(CONCEPT).to_numpy()
    # A kind that the whole brain hardly tells has no shares: they would be of noise.
    least = np.where(concept, DECODED, 0.0)
    above = np.where(intact > chance + least, intact - chance, np.nan)
    table["share"] = np.where(drop, intact - value, value - chance) / above
    table["control_mean"] = mean
    table["control_low"], table["control_high"] = np.quantile(null, [0.025, 0.975], axis=1)
    table["z"] = sign * (value - mean) / sd
    standard = sign[:, None] * (null - mean[:, None]) / sd[:, None]
    table["p"], table["q"] = np.nan, np.nan
    for rows in table.groupby(["mode", "measure"]).indices.values():
        pooled, z = standard[rows].ravel(), table["z"].to_numpy()[rows]
        p = exceedance(z - 1e-12, pooled[np.isfinite(pooled)])
        table.loc[table.index[rows], "p"] = p
        table.loc[table.index[rows], "q"] = benjamini_hochberg(p)
    return table


def contributions(brain: Brain, advance: Callable[[], object] = lambda: None) -> Floats:
    """What the margin loses when the parcel of a target is left out: (targets,).

    A map of where the decoder reads: near 0 where others carry the same.
    """
    whole = brain.task.measure(brain.masking.whole())["margin"]
    out = np.full(sum(map(len, brain.parcels)), np.nan)
    for parcel in brain.parcels:
        outputs = brain.masking.without(parcel)
        out[parcel] = whole - margin(brain.task.similarity(outputs))
        advance()
    return out


def found(
    table: pd.DataFrame, mode: str, measure: str = IMAGE_FROM_BRAIN, level: float = 0.05
) -> list[str]:
    """Networks that matter for a measure: q below ``level``, and a share of `SHARE` or more."""
    rows = table[(table["mode"] == mode) & (table["measure"] == measure)]
    kept = rows[(rows["q"] < level) & (rows["share"] >= SHARE)]
    return [str(name) for name in kept["network"]]
