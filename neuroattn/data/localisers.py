"""What other experiments measured of each target, as ``prepare`` keeps it in ``localisers.tsv``.

Population receptive fields and the contrasts of a category localiser were not measured with the
trials of a dataset, so encoders can be held against them without any leak. Columns are there as
far as the dataset has the maps: `FIELDS`, and ``t_<contrast>`` of every contrast.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.tables import read_tsv
from neuroattn.data.dataset import Dataset
from neuroattn.data.prepared import Prepared

FILE: Final = "localisers.tsv"
#: Angle counter-clockwise from the right horizontal meridian and eccentricity of the centre, size
#: (standard deviation), all in degrees; share of variance explained, per cent.
FIELDS: Final = ("prf_angle", "prf_eccentricity", "prf_size", "prf_r2")
CONTRAST: Final = "t_"  # begins the column of a localiser's contrast
LEAST_R2: Final = 10.0  # per cent, below which a receptive field says little

Floats = NDArray[np.float64]


def write_localisers(out: ArtefactWriter, dataset: Dataset) -> None:
    """Write `FILE` where the reader has such maps (a frame ``localisers``, one row a target)."""
    found: pd.DataFrame | None = getattr(dataset, "localisers", None)
    if found is not None and len(found.columns):
        columns = found.astype(np.float64).reset_index(drop=True)
        columns.insert(0, "target", dataset.targets["target"].to_numpy())
        out.table(FILE, columns)


def localisers_of(prepared: Prepared) -> pd.DataFrame | None:
    """The columns of `FILE`, one row per target of this view in their order; None without any."""
    if not prepared.artefact.has(FILE):
        return None
    frame = read_tsv(prepared.artefact.path(FILE)).iloc[prepared.columns]
    return frame.drop(columns="target").reset_index(drop=True)


def contrasts(table: pd.DataFrame) -> dict[str, Floats]:
    """Values of t (targets,) of every contrast by its name."""
    return {
        name.removeprefix(CONTRAST): table[name].to_numpy(dtype=np.float64)
        for name in table.columns
        if name.startswith(CONTRAST)
    }


def receptive_fields(table: pd.DataFrame, degrees: float) -> tuple[Floats, Floats, Floats] | None:
    """Angle, eccentricity and size (targets,) of measured fields; None without such columns.

    NaN where the field explains less than `LEAST_R2`, or has its centre outside a picture of
    ``degrees`` a side, of which a readout could not know.
    """
    if not {"prf_angle", "prf_eccentricity"} <= set(table):
        return None
    angle, far = (table[name].to_numpy(dtype=np.float64) for name in FIELDS[:2])
    size = np.full(len(table), np.nan)
    if "prf_size" in table:
        size = table["prf_size"].to_numpy(dtype=np.float64)
    turn = np.radians(angle)
    inside = np.maximum(np.abs(np.cos(turn)), np.abs(np.sin(turn))) * far <= degrees / 2
    if "prf_r2" in table:
        inside &= ~(table["prf_r2"].to_numpy(dtype=np.float64) < LEAST_R2)
    nowhere = ~inside | ~np.isfinite(angle)
    cut = [np.where(nowhere, np.nan, values) for values in (angle, far, size)]
    return cut[0], cut[1], cut[2]
