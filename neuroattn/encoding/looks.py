"""Numbers of where queries look, and of how alike they are. Pure functions of attention maps.

Places are in units of half the picture, from -1 (left, top) to 1 (right, bottom), as those of
receptive fields (`neuroattn.encoding.fields`). In degrees of visual angle y points upwards, and
angles run from the right horizontal meridian counter-clockwise, as pRF maps have them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.data.prepared import Prepared

Floats = NDArray[np.float64]
Maps = NDArray[Any]
DEGREES = ("rf_x_deg", "rf_y_deg", "rf_size_deg", "rf_eccentricity_deg", "rf_angle_deg")


def mean_maps(maps: Maps) -> Floats:
    """Mean over images (queries, tokens) of maps (images, queries, tokens)."""
    return np.asarray(maps.mean(0, dtype=np.float64))


def entropy(maps: Maps) -> Floats:
    """Entropy over the last axis, as a share of that of looking everywhere alike: 0 to 1."""
    values = np.asarray(maps, dtype=np.float64)
    values = values / values.sum(-1, keepdims=True)
    logs = np.log(values, where=values > 0, out=np.zeros_like(values))
    most = np.log(values.shape[-1]) if values.shape[-1] > 1 else 1.0
    return np.asarray(-(values * logs).sum(-1) / most)


def centre(maps: Maps, grid: tuple[int, int]) -> Floats:
    """Centre of mass x, y and spread (…, 3) of maps (…, tokens), row by row of ``grid``.

    Spread is the root mean squared distance from the centre along one axis.
    """
    rows, columns = grid
    x = np.tile((np.arange(columns) + 0.5) / columns * 2 - 1, rows)
    y = np.repeat((np.arange(rows) + 0.5) / rows * 2 - 1, columns)
    values = np.asarray(maps, dtype=np.float64)
    values = values / values.sum(-1, keepdims=True)
    middle = [values @ x, values @ y]
    variance = values @ (x**2 + y**2) - middle[0] ** 2 - middle[1] ** 2
    return np.stack([*middle, np.sqrt(np.maximum(variance, 0.0) / 2)], axis=-1)


def cosines(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine (rows, rows) between vectors (rows, dim); 0 beside one of length 0."""
    long = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, long, out=np.zeros_like(vectors), where=long > 0)
    return np.asarray(unit @ unit.T, dtype=np.float32)


def look_table(
    names: tuple[str, ...], maps: Maps, similarity: NDArray[np.float32], grid: tuple[int, int]
) -> pd.DataFrame:
    """One row per query: where it looks, how narrowly, and which other it resembles.

    ``entropy`` is the mean over images, ``entropy_of_mean`` that of the mean map: far apart where
    a query follows what a picture shows. ``rf_x``, ``rf_y``, ``rf_size`` are of the mean map.

    Parameters
    ----------
    maps : (images, queries, tokens).
    similarity : (queries, queries) cosines.
    """
    mean = mean_maps(maps)
    fields = centre(mean, grid)
    others = np.array(similarity, dtype=np.float64)
    np.fill_diagonal(others, -np.inf)
    nearest = others.argmax(1)
    alone = len(names) == 1
    return pd.DataFrame(
        {
            "query": names,
            "entropy": entropy(maps).mean(0),
            "entropy_of_mean": entropy(mean),
            "rf_x": fields[:, 0],
            "rf_y": fields[:, 1],
            "rf_size": fields[:, 2],
            "nearest": "" if alone else [names[index] for index in nearest],
            "cosine": np.nan if alone else others[np.arange(len(names)), nearest],
        }
    )


def in_degrees(fields: pd.DataFrame, degrees: float) -> pd.DataFrame:
    """`DEGREES` of receptive fields (columns rf_x, rf_y, rf_size).

    Parameters
    ----------
    degrees : visual angle of the picture's side; 8.4 in NSD.
    """
    half = degrees / 2
    x, y = fields["rf_x"].to_numpy(float) * half, -fields["rf_y"].to_numpy(float) * half
    size = fields["rf_size"].to_numpy(float) * half
    values = x, y, size, np.hypot(x, y), np.degrees(np.arctan2(y, x)) % 360
    return pd.DataFrame(dict(zip(DEGREES, values, strict=True)), index=fields.index)


def more_looks(
    model: Any, features: Any, images: NDArray[np.int64], heads: bool
) -> dict[str, NDArray[Any]]:
    """What a model can say beside its mean maps, under the names that it is kept by."""
    found: dict[str, NDArray[Any]] = {}
    if hasattr(model, "similarity"):
        found["attention-similarity"] = model.similarity()
    if heads and hasattr(model, "heads"):
        found["attention-heads"] = model.heads(features, images)
    return found


def kept_table(folder: Path, fold: int, grid: tuple[int, int]) -> pd.DataFrame:
    """`look_table` of what a fold kept, with the fold; empty where it kept too little."""
    names = tuple(np.load(folder / "attention-queries.npy").tolist())
    maps, similarity = np.load(folder / "attention.npy"), folder / "attention-similarity.npy"
    if not len(maps) or not similarity.exists():
        return pd.DataFrame()
    table = look_table(names, maps, np.load(similarity), grid)
    table.insert(0, "fold", fold)
    return table


def degrees_of(prepared: Prepared) -> float | None:
    """Visual angle of the side of a picture, where the dataset knows it."""
    degrees = prepared.description.get("degrees")
    return None if degrees is None else float(degrees)


def in_view(table: pd.DataFrame, degrees: float | None) -> pd.DataFrame:
    """The table, with its receptive fields in degrees beside them where that is known."""
    if degrees is None or not {"rf_x", "rf_y", "rf_size"} <= set(table):
        return table
    return pd.concat([table, in_degrees(table, degrees)], axis=1)
