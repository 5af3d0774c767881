"""Learned receptive fields against those that another experiment measured.

A readout with a receptive field says where in the picture a target reads, in degrees of visual
angle where the dataset knows the size of its pictures. Population receptive fields were measured
with other stimuli (`neuroattn.data.localisers`), and a simulation has planted ones. Agreement is
told by three numbers with chance levels of their own: angles are 90 degrees off by chance,
eccentricities do not correlate, and centres lie as far apart as those of two random targets.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.seeding import generator
from neuroattn.data.localisers import localisers_of, receptive_fields
from neuroattn.data.prepared import Prepared
from neuroattn.encoding.evaluate import roi_rows

Floats = NDArray[np.float64]
Measured = tuple[Floats, Floats, Floats]  # angle, eccentricity and size of each target

FILE, REGIONS = "fields.tsv", "fields-rois.tsv"
ALL = "all targets"
FEWEST = 5  # targets, below which agreement is not told
MEASURED = ("prf_angle", "prf_eccentricity", "prf_size")
NUMBERS = ("eccentricity_r", "angle_error", "field_distance", "distance_chance", "size_r")
_INTERVALS = NUMBERS[:3]
_LEARNED = ("rf_x_deg", "rf_y_deg", "rf_size_deg")


def field_agreement(
    fields: pd.DataFrame, angle: Floats, eccentricity: Floats, size: Floats | None = None
) -> dict[str, float]:
    """How well receptive fields agree with measured ones, over targets where both are known.

    ``eccentricity_r`` and ``size_r`` are Pearson's r; ``angle_error`` the median distance round
    the circle, in degrees (90 by chance); ``field_distance`` the median distance of the centres,
    and ``distance_chance`` what it is between the fields of different targets.

    Parameters
    ----------
    fields : columns rf_x_deg, rf_y_deg, rf_size_deg; y upwards.
    angle : (targets,) degrees, counter-clockwise from the right horizontal meridian.
    eccentricity, size : (targets,) degrees.
    """
    x, y, own_size = (fields[name].to_numpy(float) for name in _LEARNED)
    known = np.isfinite(x) & np.isfinite(y) & np.isfinite(angle) & np.isfinite(eccentricity)
    found = {"targets": float(known.sum())}
    if known.sum() < FEWEST:
        return found
    learned = x[known] + 1j * y[known]
    turn = np.radians(angle[known])
    measured = eccentricity[known] * np.exp(1j * turn)
    away = np.degrees(np.angle(learned * np.exp(-1j * turn)))
    found |= {
        "eccentricity_r": _r(np.abs(learned), eccentricity[known]),
        "angle_error": float(np.median(np.abs(away))),
        "field_distance": float(np.median(np.abs(learned - measured))),
        "distance_chance": _between_others(learned, measured),
    }
    if size is not None:
        sized = known & np.isfinite(size) & np.isfinite(own_size)
        found["size_r"] = _r(own_size[sized], size[sized])
    return found


def _r(first: Floats, second: Floats) -> float:
    if len(first) < FEWEST or first.std() == 0 or second.std() == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def _between_others(
    learned: NDArray[np.complex128], measured: NDArray[np.complex128], shifts: int = 20
) -> float:
    """Median distance between the learned field of one target and the measured one of another."""
    order = generator(0, "field chance").permutation(len(learned))
    moved = np.unique(np.linspace(1, len(learned) - 1, shifts).astype(int))
    apart = [np.abs(learned[order] - np.roll(measured[order], by)) for by in moved]
    return float(np.median(np.concatenate(apart)))


def with_intervals(
    fields: pd.DataFrame, measured: Measured, draws: int, seed: int
) -> dict[str, float]:
    """`field_agreement` with 95 % bootstrap intervals over targets: ``<number>_low``, ``_high``."""
    angle, eccentricity, size = measured
    found = field_agreement(fields, angle, eccentricity, size)
    known = np.isfinite(fields["rf_x_deg"].to_numpy(float)) & np.isfinite(angle)
    rows = np.flatnonzero(known & np.isfinite(eccentricity))
    drawn: dict[str, list[float]] = {name: [] for name in _INTERVALS}
    random = generator(seed, "fields")
    if "angle_error" in found:
        for _ in range(draws):
            some = random.choice(rows, len(rows))
            one = field_agreement(fields.iloc[some], angle[some], eccentricity[some])
            for name, values in drawn.items():
                values.append(one[name])
    for name, values in drawn.items():
        ends = np.nanquantile(values, [0.025, 0.975]) if values else (np.nan, np.nan)
        found |= {f"{name}_low": float(ends[0]), f"{name}_high": float(ends[1])}
    return found


def write_fields(
    out: ArtefactWriter, prepared: Prepared, scores: pd.DataFrame, draws: int, seed: int
) -> dict[str, float]:
    """Write `FILE` (by target) and `REGIONS`; metrics ``field.<number>`` over all targets.

    Nothing where the readout has no receptive fields, or none were measured.

    Parameters
    ----------
    scores : one row per target, in the order of ``prepared.targets``.
    draws : bootstrap draws of targets.
    """
    table, degrees = localisers_of(prepared), prepared.description.get("degrees")
    if table is None or degrees is None or not set(_LEARNED) <= set(scores):
        return {}
    measured = receptive_fields(table, float(degrees))
    if measured is None:
        return {}
    angle, far, size = measured
    regions = {ALL: np.arange(len(scores)), **roi_rows(scores["rois"])}
    rows: list[dict[str, Any]] = []
    for name, places in regions.items():
        here = angle[places], far[places], size[places]
        agreed = with_intervals(scores.iloc[places], here, draws, seed)
        if "angle_error" in agreed:
            rows.append({"roi": name, **agreed})
    if not rows:
        return {}
    learned = [name for name in map(str, scores.columns) if name.startswith("rf_")]
    kept = scores[["target", "rois", *learned]]
    beside = dict(zip(MEASURED, measured, strict=True))
    out.table(FILE, kept.reset_index(drop=True).assign(**beside))
    out.table(REGIONS, pd.DataFrame(rows))
    whole = rows[0]
    wanted = ("targets", *NUMBERS) if whole["roi"] == ALL else ()
    return {f"field.{name}": float(whole[name]) for name in wanted if np.isfinite(whole[name])}
