"""One pass over the predictions of all models: intervals, paired differences, partitions.

Every model sees the same draws of test images, so differences and partitions are paired. A block
of targets is in memory at a time; regions are means over targets, so they are summed up on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import derive_seed
from neuroattn.stats.bootstrap import bootstrap_r, percentile_interval
from neuroattn.stats.multiple import benjamini_hochberg, exceedance
from neuroattn.stats.paired import exchange_models, two_sided
from neuroattn.stats.partition import partition

Floats = NDArray[np.float64]
Table = NDArray[np.float32]
Pair = tuple[str, str]
Joint = tuple[str, str, str]
PARTS = ("unique_first", "unique_second", "shared")


@dataclass(frozen=True)
class Plan:
    """What is computed.

    Parameters
    ----------
    models : names, in the order of the predictions.
    pairs : (first, second): the difference is that of the first less the second.
    partitions : (joint, first, second) model.
    regions : name -> rows of its targets.
    bootstraps, permutations, seed : draws of images, exchanges of models, and their streams.
    """

    models: Sequence[str]
    pairs: Sequence[Pair]
    partitions: Sequence[Joint]
    regions: Mapping[str, NDArray[np.int64]]
    bootstraps: int
    permutations: int
    seed: int


@dataclass(eq=False)
class Mean:
    """Mean over the targets of each region: running sums (draws, regions) of what is defined."""

    total: Floats
    count: Floats

    @classmethod
    def of(cls, draws: int, regions: int) -> Mean:
        """Nothing yet."""
        return cls(np.zeros((draws, regions)), np.zeros((draws, regions)))

    def add(self, values: Floats, member: Floats) -> None:
        """Add (draws, targets) of a block; ``member`` (targets, regions) says what belongs."""
        known = np.isfinite(values)
        self.total += np.where(known, values, 0.0) @ member
        self.count += known.astype(float) @ member

    @property
    def value(self) -> Floats:
        """Means (draws, regions); NaN where nothing was defined."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.total / self.count)


@dataclass(eq=False)
class Resampled:
    """Ends of intervals, p values, and draws of the means over regions.

    Parameters
    ----------
    r : model -> draws (bootstraps, regions) of the mean r.
    difference : pair -> draws (bootstraps, regions) of the difference.
    null : pair -> (1 + permutations, regions): the difference as it is, then exchanged.
    target : pair -> columns difference, low, high, p, q, p_max (targets,).
    shares : joint -> part of the variance -> draws (bootstraps, regions).
    """

    r: dict[str, Mean] = field(default_factory=dict)
    difference: dict[Pair, Mean] = field(default_factory=dict)
    null: dict[Pair, Mean] = field(default_factory=dict)
    target: dict[Pair, dict[str, Floats]] = field(default_factory=dict)
    shares: dict[Joint, dict[str, Mean]] = field(default_factory=dict)


class Resampler:
    """Takes the predictions of all models block by block."""

    def __init__(self, plan: Plan, targets: int, fold: NDArray[np.int64]) -> None:
        self.plan, self.fold = plan, fold
        names = list(plan.regions.values())
        self._member = np.zeros((targets, len(names)))
        for index, rows in enumerate(names):
            self._member[rows, index] = 1
        self.result = Resampled()
        self._highest = {pair: np.zeros(plan.permutations) for pair in plan.pairs}
        self._reserve(targets, len(names))

    def _reserve(self, targets: int, regions: int) -> None:
        plan, out = self.plan, self.result
        columns = ("difference", "low", "high", "p")
        for model in plan.models:
            out.r[model] = Mean.of(plan.bootstraps, regions)
        for pair in plan.pairs:
            out.difference[pair] = Mean.of(plan.bootstraps, regions)
            out.null[pair] = Mean.of(1 + plan.permutations, regions)
            out.target[pair] = {name: np.full(targets, np.nan) for name in columns}
        for joint in plan.partitions:
            out.shares[joint] = {part: Mean.of(plan.bootstraps, regions) for part in PARTS}

    def add(self, part: slice, predicted: Sequence[Table], measured: Table) -> None:
        """Take the targets of ``part``: predictions (rows, targets) in the order of the models."""
        tables = dict(zip(self.plan.models, predicted, strict=True))
        for pair in self.plan.pairs:
            self._exchange(pair, part, tables, measured)
        for inner, r in self._drawn(predicted, measured):
            columns = slice(part.start + inner.start, part.start + inner.stop)
            self._intervals(columns, r)

    def _exchange(
        self, pair: Pair, part: slice, tables: Mapping[str, Table], measured: Table
    ) -> None:
        draws, seed = self.plan.permutations, derive_seed(self.plan.seed, "exchange")
        first, second = (tables[name] for name in pair)
        column, highest = self.result.target[pair], self._highest[pair]
        blocks = exchange_models(first, second, measured, self.fold, draws=draws, seed=seed)
        for block in blocks:
            columns = slice(part.start + block.part.start, part.start + block.part.stop)
            column["difference"][columns] = block.observed
            self.result.null[pair].add(
                np.vstack([block.observed, block.null]), self._member[columns]
            )
            if draws:
                column["p"][columns] = block.p
                np.maximum(highest, np.nanmax(np.abs(block.null), axis=1, initial=0.0), out=highest)

    def _drawn(
        self, predicted: Sequence[Table], measured: Table
    ) -> Iterator[tuple[slice, dict[str, Floats]]]:
        """Blocks of r (draws, targets) by model, of the same draws."""
        draws, seed = self.plan.bootstraps, derive_seed(self.plan.seed, "bootstrap")
        if not draws:
            return
        streams = [
            bootstrap_r(table, measured, self.fold, draws=draws, seed=seed) for table in predicted
        ]
        for blocks in zip(*streams, strict=True):
            columns = blocks[0][0]
            r = (drawn for _, drawn in blocks)
            yield columns, dict(zip(self.plan.models, r, strict=True))

    def _intervals(self, columns: slice, r: Mapping[str, Floats]) -> None:
        member, out = self._member[columns], self.result
        for model, drawn in r.items():
            out.r[model].add(drawn, member)
        for first, second in self.plan.pairs:
            difference = r[first] - r[second]
            column = out.target[first, second]
            column["low"][columns], column["high"][columns] = percentile_interval(difference)
            out.difference[first, second].add(difference, member)
        for joint, first, second in self.plan.partitions:
            explained = [np.square(np.maximum(r[name], 0.0)) for name in (first, second, joint)]
            for part, values in parts_of(*explained).items():
                out.shares[joint, first, second][part].add(values, member)

    def finish(self) -> Resampled:
        """Correct the p values for the number of targets."""
        for pair, column in self.result.target.items():
            column["q"] = benjamini_hochberg(column["p"])
            column["p_max"] = (
                exceedance(np.abs(column["difference"]), self._highest[pair])
                if self.plan.permutations
                else np.full_like(column["p"], np.nan)
            )
        return self.result


def parts_of(first: Floats, second: Floats, joint: Floats) -> dict[str, Floats]:
    """Shares of variance by the name of the part, from those that the models explain."""
    found = partition(first, second, joint)
    return dict(zip(PARTS, (found.first, found.second, found.shared), strict=True))


def ends(draws: Floats) -> tuple[Floats, Floats]:
    """Ends (regions,) of the 95 % intervals over draws; NaN where a draw is undefined."""
    if not len(draws):
        unknown = np.full(draws.shape[1], np.nan)
        return unknown, unknown
    return percentile_interval(draws)


def region_p(null: Floats) -> Floats:
    """Two-sided p (regions,) of the first row against the others; NaN without others."""
    if len(null) < 2:
        return np.full(null.shape[1], np.nan)
    return two_sided(null[0], null[1:])
