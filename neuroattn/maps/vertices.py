"""From targets to whole hemispheres: which mesh, which vertices, NaN elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import rois_of
from neuroattn.figures.cortex import Outlines
from neuroattn.surface.coordinates import HEMISPHERES
from neuroattn.surface.meshes import N_VERTICES

SIZES = {"fsaverage5": 10_242, "fsaverage6": 40_962, "fsaverage": 163_842}
Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Vertices:
    """Where targets stand on a mesh of the fsaverage family.

    Parameters
    ----------
    space : name of the mesh.
    size : vertices of a hemisphere.
    hemisphere, vertex : (targets,).
    subjects : whose targets they are.
    """

    space: str
    size: int
    hemisphere: NDArray[np.str_]
    vertex: NDArray[np.int64]
    subjects: int = 1

    @property
    def shared(self) -> bool:
        """Whether several targets (of several subjects) stand at one vertex."""
        both = np.char.add(self.hemisphere, self.vertex.astype(str))
        return len(np.unique(both)) < len(both)

    def spread(self, values: NDArray[np.floating[Any]]) -> dict[str, Values]:
        """Values of targets (targets,) on every vertex: hemisphere -> (size,), NaN elsewhere.

        Targets of several subjects at one vertex are averaged over those that have a value.
        """
        out = {}
        for side in HEMISPHERES:
            here = (self.hemisphere == side) & np.isfinite(values)
            count = np.bincount(self.vertex[here], minlength=self.size)
            total = np.bincount(self.vertex[here], weights=values[here], minlength=self.size)
            out[side] = np.divide(total, count, out=np.full(self.size, np.nan), where=count > 0)
        return out

    def outlines(self, rois: pd.Series[str], wanted: list[str] | None) -> Outlines:
        """Members of each region on fsaverage5."""
        cells = [rois_of(cell) for cell in rois]
        chosen = outlined(cells, wanted)
        members = {}
        for name in chosen:
            inside = np.array([float(name in cell) for cell in cells])
            members[name] = {
                side: values[:N_VERTICES] > 0 for side, values in self.spread(inside).items()
            }
        return Outlines(members)


def outlined(cells: Sequence[Sequence[str]], wanted: list[str] | None) -> list[str]:
    """Regions to outline: those asked for that there are, or all but those that hold others.

    Parameters
    ----------
    cells : regions of each target.

    Raises
    ------
    ConfigError : a region that no target is in.
    """
    counts = Counter(name for cell in cells for name in cell)
    absent = [name for name in wanted or () if name not in counts]
    if absent:
        raise ConfigError(
            f"no target is in the region {', '.join(absent)}",
            expected=" | ".join(counts) or "a region that targets.tsv names",
            found=", ".join(absent),
            fix="correct maps.outlined, or leave it out",
        )
    if wanted is not None:
        return list(wanted)
    # A stream's outline would run round or through the regions inside it.
    both = Counter(pair for cell in cells for pair in permutations(cell, 2))
    holds = {
        outer
        for (outer, inner), shared in both.items()
        if shared > 0.5 * counts[inner] and counts[outer] > 1.3 * counts[inner]
    }
    small = [name for name, count in counts.items() if count <= 0.1 * len(cells)]
    return [name for name in small if name not in holds] or list(counts)


def vertices_of(targets: pd.DataFrame, dataset: Mapping[str, Any]) -> Vertices:
    """Places of ``targets`` on the mesh that ``dataset.json`` names.

    Raises
    ------
    DataError : the dataset is in no fsaverage space, or targets have no vertex.
    """
    space = str(dataset.get("space"))
    size = SIZES.get(space, 0)
    vertex = pd.to_numeric(targets["vertex"], errors="coerce")
    if not size or vertex.isna().any():
        raise DataError(
            "these targets stand on no mesh that can be drawn",
            expected=f"space {', '.join(SIZES)}, and a hemisphere and vertex for every target",
            found=f"space {space}, {int(vertex.isna().sum())} of {len(targets)} without vertex",
            fix="map a dataset in fsaverage space, or leave the stage map out",
        )
    places = vertex.to_numpy(dtype=np.int64)
    sides = targets["hemisphere"].fillna("").to_numpy(dtype=str)
    if places.min() < 0 or places.max() >= size or not np.isin(sides, HEMISPHERES).all():
        raise DataError(
            f"targets stand outside {space}",
            expected=f"vertices 0 to {size - 1} of lh and rh",
            found=f"vertices {places.min()} to {places.max()} of {', '.join(np.unique(sides))}",
            fix="correct the space in the dataset's description, or its vertex numbers",
        )
    return Vertices(space, size, sides, places, int(targets["subject"].nunique()))
