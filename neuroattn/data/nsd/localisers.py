"""Maps of NSD's other experiments at the targets: receptive fields, category localiser.

NSD measured population receptive fields with moving bars and its category contrasts with the
fLoc localiser (Allen et al. 2022, Methods). Angles are degrees counter-clockwise from the right
horizontal meridian, eccentricity and size (standard deviation) degrees of visual angle, R2 per
cent. On fsaverage each vertex takes the value of the nearest one of the subject's surface:
angles have no mean. A simulation without such files has its planted fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.tables import read_tsv
from neuroattn.data.localisers import FIELDS
from neuroattn.data.nsd.files import LabelFiles
from neuroattn.data.nsd.maps import carried, read_map, read_nearest
from neuroattn.data.nsd.targets import Space

_WIDTHS = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum in standard deviations
_WHOLE = 100.0  # per cent: a planted field is known


def read_localisers(
    maps: Mapping[str, LabelFiles], planted: Mapping[str, Path], space: Space, targets: pd.DataFrame
) -> pd.DataFrame:
    """One column for each map (targets,), and planted fields where no file has fields.

    Raises
    ------
    DataError : a map belongs to another subject or space.
    """
    columns = {name: _at_targets(files, space) for name, files in maps.items()}
    table = pd.DataFrame(columns, index=range(space.count))
    if "targets.tsv" in planted and not set(FIELDS) & set(columns):
        table = pd.concat([_planted(planted["targets.tsv"], targets), table], axis=1)
    return table


def _at_targets(files: LabelFiles, space: Space) -> NDArray[np.float32]:
    parts = []
    for part, (shape, places) in enumerate(zip(space.shapes, space.places, strict=True)):
        if files.nearest:
            own = read_map(files.parts[part], None)
            nearest = read_nearest(files.nearest[part], len(own))
            values = carried(own, nearest, fill=np.nan)
        else:
            values = read_map(files.parts[part], shape)
        parts.append(values[places])
    return np.concatenate(parts)


def _planted(file: Path, targets: pd.DataFrame) -> pd.DataFrame:
    truth = read_tsv(file, ("hemisphere", "vertex", "x", "y", "width"))
    truth = truth.set_index(["hemisphere", "vertex"])[["x", "y", "width"]]
    at = pd.MultiIndex.from_arrays([targets["hemisphere"], targets["vertex"].astype(np.int64)])
    x, y, width = truth.reindex(at).to_numpy(dtype=np.float64).T
    explained = np.where(np.isfinite(x), _WHOLE, np.nan)
    values = np.degrees(np.arctan2(y, x)) % 360, np.hypot(x, y), width / _WIDTHS, explained
    return pd.DataFrame(dict(zip(FIELDS, values, strict=True)))
