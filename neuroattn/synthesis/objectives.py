"""Objectives on a fitted encoder's targets: weights, so that a value is one product.

Every part is a mean over its targets, first within a subject, then over subjects: the size of a
region changes neither value nor gradient, and a subject with many targets counts once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import rois_of
from neuroattn.synthesis.wishes import UNION, Part, Wish

Weights = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Objective:
    """A function of responses, linear but for what it spares.

    Parameters
    ----------
    raised : (targets,) weights.
    spared, usual : (parts, targets) weights and (parts,) responses that they may not exceed.
    """

    wish: Wish
    raised: Float[Tensor, " targets"]
    spared: Float[Tensor, "parts targets"]
    usual: Float[Tensor, " parts"]

    def __call__(self, responses: Float[Tensor, "images targets"]) -> Float[Tensor, " images"]:
        """The value for each picture; gradients are for their sum, never for a mean."""
        value = responses @ self.raised.to(responses)
        excess = responses @ self.spared.to(responses).T - self.usual.to(responses)
        return value - excess.clamp(min=0).sum(1)


@dataclass(frozen=True, eq=False)
class Facts:
    """What objectives are resolved on.

    Parameters
    ----------
    targets : the encoder's targets, with subject, hemisphere, rois.
    fitted : (targets,) which of them it predicts; the others belong to nothing.
    predicted : gives (images, targets): responses predicted to the test pictures.
    profiles : gives (targets, _): by what targets are alike, for clusters.
    parcels : name -> targets that read an attention query.
    directions : name -> file of weights.
    """

    targets: pd.DataFrame
    fitted: NDArray[np.bool_]
    predicted: Callable[[], NDArray[np.float32]]
    profiles: Callable[[], NDArray[np.float32]]
    parcels: Callable[[], Mapping[str, NDArray[np.int64]]]
    directions: Mapping[str, Path]

    @cached_property
    def regions(self) -> dict[str, NDArray[np.bool_]]:
        """Region -> which targets it has; names as they stand, and with ``lh.`` or ``rh.``."""
        cells = [rois_of(cell) for cell in self.targets["rois"]]
        names = list(dict.fromkeys(name for cell in cells for name in cell))
        found = {name: np.array([name in cell for cell in cells]) & self.fitted for name in names}
        found = {name: member for name, member in found.items() if member.any()}
        side = self.targets["hemisphere"].fillna("").astype(str)
        both = {
            f"{one}.{name}": member & (side == one).to_numpy()
            for name, member in found.items()
            for one in ("lh", "rh")
        }
        return found | {name: member for name, member in both.items() if member.any()}

    def plain_regions(self) -> list[str]:
        """Regions without their halves, in the order in which targets name them."""
        return [name for name in self.regions if not name.startswith(("lh.", "rh."))]


def resolve(wish: Wish, facts: Facts, first: Facts | None = None) -> Objective:
    """An objective on these targets.

    Parameters
    ----------
    first : facts of the same targets by which the members of each part are chosen, so that two
        encoders are asked for the same ones; those that ``facts`` do not predict are left out.

    Raises
    ------
    ConfigError : a part that is not there.
    DataError : a direction that is no weight for each target.
    """

    def of(part: Part) -> Weights:
        return weights(part, facts) if first is None else _kept(part, weights(part, first), facts)

    raised = np.sum([part.factor * of(part) for part in wish.raised], axis=0)
    spared = np.array([of(part) for part in wish.spared])
    spared = spared.reshape(len(wish.spared), len(facts.targets))
    usual = _usual(facts) @ spared.T if wish.spared else np.zeros(0)
    tensors = (torch.tensor(array, dtype=torch.float32) for array in (raised, spared, usual))
    return Objective(wish, *tensors)


def _usual(facts: Facts) -> Weights:
    """Mean predicted response (targets,) to the test pictures; 0 of what is not predicted."""
    predicted = facts.predicted()[:, facts.fitted]
    usual = np.zeros(len(facts.targets))
    usual[facts.fitted] = np.nanmean(predicted, 0)
    return usual


def weights(part: Part, facts: Facts) -> Weights:
    """Weight of each target in a part, its factor left out."""
    return _RESOLVERS[part.kind](part.name, facts)


def _kept(part: Part, chosen: Weights, facts: Facts) -> Weights:
    """Weights of those chosen targets that are predicted here, of the size that parts have."""
    mean = _of(np.flatnonzero(chosen), facts)
    if part.kind != "direction":
        return mean
    left = np.where(facts.fitted, chosen, 0.0)
    unit: Weights = left / np.abs(left).sum()
    return unit


def _region(name: str, facts: Facts) -> Weights:
    return subject_means(_members(name, facts), facts.targets["subject"])


def _members(name: str, facts: Facts) -> NDArray[np.bool_]:
    """The targets (targets,) of a region, or of any of several (``FFA-1|FFA-2``)."""
    unknown = [one for one in name.split(UNION) if one not in facts.regions]
    if unknown:
        raise _absent(f"no target is in the region {unknown[0]}", facts.regions, unknown[0])
    members: NDArray[np.bool_] = np.any([facts.regions[one] for one in name.split(UNION)], axis=0)
    return members


def subject_means(member: NDArray[np.bool_], subjects: pd.Series[str]) -> Weights:
    """Weights of the mean over targets of each subject, then over subjects that have any."""
    names = subjects.astype(str).to_numpy()
    having = [member & (names == one) for one in dict.fromkeys(names)]
    shares: list[Weights] = [own / own.sum() for own in having if own.any()]
    mean: Weights = np.mean(shares, axis=0)
    return mean


def _target(name: str, facts: Facts) -> Weights:
    count = len(facts.targets)
    if not name.isdecimal() or int(name) >= count:
        raise _absent(f"there is no target {name}", [f"0 to {count - 1}"], name)
    return _of(np.array([int(name)]), facts)


def _parcel(name: str, facts: Facts) -> Weights:
    known = facts.parcels()
    if name not in known:
        raise _absent(f"no attention query is called {name}", known, name)
    return _of(known[name], facts)


def _of(rows: NDArray[np.int64], facts: Facts) -> Weights:
    member = np.zeros(len(facts.targets), dtype=bool)
    member[rows] = True
    if not (member & facts.fitted).any():
        found = f"none of {len(rows)}"
        raise _absent("no target of this objective was fitted", ["fitted targets"], found)
    member &= facts.fitted
    return subject_means(member, facts.targets["subject"])


def _cluster(name: str, facts: Facts) -> Weights:
    """``1/3@REGION``: clusters are counted from the largest."""
    place, _, region = name.partition("@")
    number, _, count = place.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise _absent(f"the cluster {name} cannot be read", ["cluster:1/3@REGION"], name)
    rows = np.flatnonzero(_members(region, facts))
    if len(rows) < int(count):
        raise _absent(f"{region} has {len(rows)} targets", [f"{len(rows)} clusters at most"], count)
    labels = clusters(facts.profiles()[rows], int(count))
    return _of(rows[labels == int(number) - 1], facts)


def clusters(profiles: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Clusters (targets,) of profiles of unit length, from 0, the largest first (k-means)."""
    from sklearn.cluster import KMeans

    size = np.linalg.norm(profiles, axis=1, keepdims=True)
    unit = np.divide(profiles, size, out=np.zeros_like(profiles), where=size > 0)
    labels = KMeans(count, n_init=10, random_state=0).fit_predict(unit.astype(np.float64))
    first = {label: int(np.flatnonzero(labels == label)[0]) for label in set(labels.tolist())}
    order = sorted(first, key=lambda label: (-int((labels == label).sum()), first[label]))
    return np.array([order.index(label) for label in labels.tolist()])


def _direction(name: str, facts: Facts) -> Weights:
    """Weights over the sum of their sizes: for equal signs, a weighted mean."""
    if name not in facts.directions:
        raise _absent(f"no direction is called {name}", facts.directions, name)
    file = facts.directions[name]
    try:
        found = np.load(file, allow_pickle=False).astype(np.float64)
    except (OSError, ValueError) as error:
        raise _no_direction(file, len(facts.targets), str(error)) from error
    if found.shape != (len(facts.targets),) or not np.isfinite(found).all() or not found.any():
        told = f"{found.shape}, finite: {bool(np.isfinite(found).all())}"
        raise _no_direction(file, len(facts.targets), told)
    if found[~facts.fitted].any():
        raise _no_direction(file, len(facts.targets), "weights of targets that were not fitted")
    unit: Weights = found / np.abs(found).sum()
    return unit


_RESOLVERS: dict[str, Callable[[str, Facts], Weights]] = {
    "region": _region,
    "target": _target,
    "parcel": _parcel,
    "cluster": _cluster,
    "direction": _direction,
}


def _no_direction(file: Path, count: int, found: str) -> DataError:
    return DataError(
        "this file holds no direction over targets",
        file=file,
        expected=f"an array of {count} finite numbers, not all zero",
        found=found,
        fix="write it with numpy.save, a weight for each row of targets.tsv",
    )


def _absent(problem: str, known: Mapping[str, object] | Sequence[str], found: str) -> ConfigError:
    names = " | ".join(sorted(known)) or "nothing: this encoder has none"
    return ConfigError(problem, expected=names, found=found, fix="correct synthesis.objectives=[…]")
