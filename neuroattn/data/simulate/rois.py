"""The table of planted regions: names, label numbers, positions and where those come from.

Positions are in MNI152, right hemisphere, mirrored to the left; each ``source`` describes the
region. None was read from a table of a publication when this was written: ``approximate`` ones
are where such regions lie within a centimetre or so, ``recalled`` ones are the seeds of the
source as we remember them. They are good enough to look at and mean nothing more: the responses
planted there are simulated. Radii are ours: how far a region may grow to get its vertices.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray


class Kind(StrEnum):
    """Which rule a region's targets follow."""

    early = "early"  # what stands in a receptive field
    category = "category"  # a category, wherever it stands
    network = "network"  # one signal for all targets of a network


@dataclass(frozen=True)
class Roi:
    """One region, planted in both hemispheres.

    Parameters
    ----------
    collection, label : the label file that names it, and its number there, from 1.
    category : what its rule is about: one of the scenes' categories, ``place``, or a network.
    peak : MNI152 of the right hemisphere, mm; none in the retinotopic areas.
    radius : mm along the surface within which its targets are sought.
    general : whether it lies in ``nsdgeneral``.
    position : how its peak is known: ``formula``, ``approximate`` or ``recalled``.
    """

    name: str
    collection: str
    label: int
    kind: Kind
    category: str
    peak: tuple[float, float, float] | None
    radius: float
    general: bool
    position: str
    source: str

    def peak_in(self, hemisphere: str) -> NDArray[np.float64]:
        """Its peak (3,) in one hemisphere, MNI152, mm."""
        x, y, z = self.peak or (np.nan, np.nan, np.nan)
        return np.array([-x if hemisphere == "lh" else x, y, z])


VISUAL: Final = "prf-visualrois"
VISUAL_AREAS: Final = ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4")
FLOC: Final = ("floc-faces", "floc-bodies", "floc-places", "floc-words")
NETWORKS: Final = "networks"  # in truth/ only: NSD has no such label file
STREAMS: Final = (
    "early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal",
)  # fmt: skip

_TEMPLATE: Final = "analytic template, synthetic (retinotopy.py)"


@cache
def load_rois() -> tuple[Roi, ...]:
    """All planted regions: the retinotopic areas, then the rows of ``rois.tsv``."""
    early = [
        Roi(name, VISUAL, number, Kind.early, "field", None, np.inf, True, "formula", _TEMPLATE)
        for number, name in enumerate(VISUAL_AREAS, start=1)
    ]
    table = pd.read_csv(Path(__file__).with_name("rois.tsv"), sep="\t")
    return (*early, *(_roi(row) for row in table.to_dict("records")))


def _roi(row: Mapping[Any, Any]) -> Roi:
    return Roi(
        name=str(row["name"]),
        collection=str(row["collection"]),
        label=int(row["label"]),
        kind=Kind(str(row["kind"])),
        category=str(row["category"]),
        peak=(float(row["x"]), float(row["y"]), float(row["z"])),
        radius=float(row["radius"]),
        general=row["general"] == "yes",
        position=str(row["position"]),
        source=str(row["source"]),
    )


def label_names(collection: str) -> dict[int, str]:
    """Names of a collection's labels by number, without 0."""
    if collection == "streams":
        return dict(enumerate(STREAMS, start=1))
    if collection == "nsdgeneral":
        return {1: "nsdgeneral"}
    return {roi.label: roi.name for roi in load_rois() if roi.collection == collection}
