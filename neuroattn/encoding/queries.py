"""Which query reads for which target: the one table from which routing and its labels come.

The transformer readout has one learned query per region of interest and hemisphere, and one
for targets in no region (Adeli, Sun & Kriegeskorte 2025, section 3). A target in several
regions reads the sum of their outputs. Targets with the same regions form a *group*, so that
each group's outputs are summed once and its targets are one matrix product.

Names and columns come from this table alone: an attention map is stored under the name of the
query that made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError
from neuroattn.core.tables import rois_of
from neuroattn.encoding.registry import Overlap, QueryKind

REST = "rest"
# Of the atlas ``streams`` of NSD, from early visual cortex along each pathway.
STREAMS = (
    "early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class QueryTable:
    """Queries, groups of targets, and who reads what.

    Parameters
    ----------
    names : (queries,) as in ``lh.V1v``; ``rest`` stands last in its hemisphere.
    groups : (groups, queries) how often a group counts each query's output, 0 where never.
    multiplicity : (groups,) how often a group counts the bias.
    group : (targets,) group of each target.
    """

    names: tuple[str, ...]
    groups: NDArray[np.float32]
    multiplicity: NDArray[np.float32]
    group: NDArray[np.int64]

    def order(self) -> NDArray[np.int64]:
        """Permutation (targets,) that puts the targets of a group side by side."""
        return np.argsort(self.group, kind="stable")

    def sizes(self) -> list[int]:
        """Number of targets of each group."""
        return [int(n) for n in np.bincount(self.group, minlength=len(self.groups))]

    def targets_of(self, name: str) -> NDArray[np.int64]:
        """Targets that read the query called ``name``."""
        return np.flatnonzero(self.groups[self.group, self.names.index(name)] > 0)


@dataclass(frozen=True, eq=False)
class Own:
    """A query for every target; no table of targets x queries is made.

    Parameters
    ----------
    targets : how many there are.
    shown : regions over whose targets attention is averaged to be looked at.
    """

    targets: int
    shown: QueryTable

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the attention maps: those of the regions."""
        return self.shown.names


@dataclass(frozen=True)
class Free:
    """So many queries; every target reads a learned mixture of all of them."""

    queries: int
    targets: int

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the queries, which belong to nothing."""
        return tuple(f"free-{index}" for index in range(self.queries))


Asked = QueryTable | Own | Free


def query_table(
    targets: pd.DataFrame,
    kind: QueryKind,
    *,
    rois: list[str] | None = None,
    overlap: Overlap = Overlap.summed,
    parcels: Sequence[str] | None = None,
) -> QueryTable:
    """The table for ``targets`` (columns hemisphere, rois; row order is column order).

    Parameters
    ----------
    rois : regions that get a query; None takes all that the targets name.
    overlap : a target in k regions sums their outputs and counts its bias k times
        (``summed``, as in the public code), or takes their mean (``mean``).
    parcels : (targets,) the parcel of each target, empty in none, for ``kind`` parcels.

    Raises
    ------
    ConfigError : a region that no target has.
    """
    hemispheres = [str(value) for value in targets["hemisphere"].fillna("")]
    if parcels is not None:
        reads: list[tuple[str, ...]] = [
            (_name(side, parcel or REST),)
            for side, parcel in zip(hemispheres, parcels, strict=True)
        ]
        ranks = {parcel: rank for rank, parcel in enumerate([*sorted({*parcels} - {""}), REST])}
    elif kind in (QueryKind.rois, QueryKind.streams):
        wanted = _wanted(targets, rois if kind is QueryKind.rois else _streams(targets))
        regions = [[name for name in rois_of(cell) if name in wanted] for cell in targets["rois"]]
        reads = [
            tuple(_name(side, roi) for roi in names or [REST])
            for side, names in zip(hemispheres, regions, strict=True)
        ]
        ranks = {roi: rank for rank, roi in enumerate([*wanted, REST])}
    elif kind is QueryKind.hemispheres:
        reads = [(side or "all",) for side in hemispheres]
        ranks = {}
    else:
        reads = [("all",) for _ in hemispheres]
        ranks = {}
    return _table(reads, ranks, overlap)


def _wanted(targets: pd.DataFrame, rois: list[str] | None) -> list[str]:
    known = list(dict.fromkeys(name for cell in targets["rois"] for name in rois_of(cell)))
    absent = [name for name in rois or () if name not in known]
    if absent:
        raise ConfigError(
            f"no target is in the region {', '.join(absent)}",
            expected=" | ".join(known) or "a region that targets.tsv names",
            found=", ".join(absent),
            fix="correct encoder.rois, or leave it out to give every region a query",
        )
    return known if rois is None else list(rois)


def _streams(targets: pd.DataFrame) -> list[str]:
    known = {name for cell in targets["rois"] for name in rois_of(cell)}
    found = [name for name in STREAMS if name in known]
    if not found:
        raise ConfigError(
            "no target is in a stream",
            expected=" | ".join(STREAMS),
            found=" | ".join(sorted(known)) or "targets without regions",
            fix="add the atlas streams to the regions of the dataset, or take encoder.queries=rois",
        )
    return found


def _name(side: str, roi: str) -> str:
    return f"{side}.{roi}" if side else roi


def _table(reads: list[tuple[str, ...]], ranks: dict[str, int], overlap: Overlap) -> QueryTable:
    def place(name: str) -> tuple[str, int]:
        side, roi = (name[:2], name[3:]) if name[:3] in ("lh.", "rh.") else ("", name)
        return side, ranks.get(roi, 0)

    names = tuple(sorted(dict.fromkeys(name for row in reads for name in row), key=place))
    column = {name: index for index, name in enumerate(names)}
    combinations = {row: index for index, row in enumerate(dict.fromkeys(reads))}
    groups = np.zeros((len(combinations), len(names)), dtype=np.float32)
    for row, index in combinations.items():
        for name in row:
            groups[index, column[name]] += 1
    multiplicity = groups.sum(axis=1)
    if overlap is Overlap.mean:
        groups, multiplicity = groups / multiplicity[:, None], np.ones_like(multiplicity)
    group = np.array([combinations[row] for row in reads], dtype=np.int64)
    return QueryTable(names, groups, multiplicity, group)


def table_on(table: QueryTable, names: tuple[str, ...]) -> QueryTable:
    """The same groups of targets over the queries ``names``, which some other targets made.

    Raises
    ------
    ConfigError : a group reads a query that is not among them.
    """
    absent = [name for name in table.names if name not in names]
    if absent:
        raise ConfigError(
            f"there is no query {', '.join(absent)}",
            expected=" | ".join(names),
            found=", ".join(absent),
            fix="keep targets that these queries read for, as dataset.mask and dataset.rois do",
        )
    groups = np.zeros((len(table.groups), len(names)), dtype=np.float32)
    groups[:, [names.index(name) for name in table.names]] = table.groups
    return QueryTable(tuple(names), groups, table.multiplicity, table.group)


def table_to_json(table: QueryTable) -> dict[str, Any]:
    """A JSON form from which `table_from_json` makes an equal table."""
    return {
        "names": list(table.names),
        "groups": table.groups.tolist(),
        "multiplicity": table.multiplicity.tolist(),
        "group": table.group.tolist(),
    }


def table_from_json(content: dict[str, Any]) -> QueryTable:
    """The table that `table_to_json` wrote."""
    return QueryTable(
        names=tuple(content["names"]),
        groups=np.array(content["groups"], dtype=np.float32),
        multiplicity=np.array(content["multiplicity"], dtype=np.float32),
        group=np.array(content["group"], dtype=np.int64),
    )


def asked_to_json(asked: Asked) -> dict[str, Any]:
    """A JSON form from which `asked_from_json` makes an equal one."""
    if isinstance(asked, Own):
        return {"own": {"targets": asked.targets, "shown": table_to_json(asked.shown)}}
    if isinstance(asked, Free):
        return {"free": {"queries": asked.queries, "targets": asked.targets}}
    return {"queries": table_to_json(asked)}


def asked_from_json(plan: dict[str, Any]) -> Asked:
    """What `asked_to_json` wrote."""
    if "own" in plan:
        return Own(int(plan["own"]["targets"]), table_from_json(plan["own"]["shown"]))
    if "free" in plan:
        return Free(int(plan["free"]["queries"]), int(plan["free"]["targets"]))
    return table_from_json(plan["queries"])
