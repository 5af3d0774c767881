"""Receptive fields that a readout learned, beside those that were measured otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.tables import read_tsv
from neuroattn.figures import to_webp
from neuroattn.figures.agreement import Panel, found_against_measured
from neuroattn.reports.blocks import Block, Column, Picture, Prose, Table
from neuroattn.reports.sources import Sources
from neuroattn.reports.summaries import column
from neuroattn.reports.wording import cell, count, score, span

FILE, REGIONS = "fields.tsv", "fields-rois.tsv"
LEARNED = ("rf_x_deg", "rf_y_deg", "rf_size_deg", "rf_eccentricity_deg", "rf_angle_deg")
MEASURED = ("prf_angle", "prf_eccentricity", "prf_size")
_ROWS = ("roi", "targets", "eccentricity_r", "angle_error", "field_distance", "distance_chance")


def blocks(sources: Sources) -> tuple[Block, ...]:
    """Learned against measured places as a figure, and agreement by region as a table."""
    if not sources.has("encode") or not sources.parents["encode"].has(FILE):
        return ()
    encode = sources.parents["encode"]
    fields = read_tsv(encode.path(FILE), (*LEARNED, *MEASURED))
    regions = read_tsv(encode.path(REGIONS), _ROWS)
    planted = "planted" if sources.simulated else "measured"
    return (
        _picture(sources, fields, regions, planted),
        _table(regions),
        Prose((_READING.format(planted=planted),)),
    )


_READING = (
    "Centres and sizes in degrees of visual angle. Error of the angle: median distance round the"
    " circle between the learned and the {planted} polar angle, 90 degrees by chance. Distance:"
    " median distance of the two centres; by chance it would be that between the fields of"
    " different targets. A learned field is where in the picture a readout finds what predicts a"
    " target best; it is bounded by the grid of tokens, and a readout of one cell is no pRF."
    " Intervals: 95 % bootstrap of targets, which are not independent of their neighbours."
)


def _picture(
    sources: Sources, fields: pd.DataFrame, regions: pd.DataFrame, planted: str
) -> Picture:
    turn, far = np.radians(column(fields, "prf_angle")), column(fields, "prf_eccentricity")
    places = {
        "right of fixation": (far * np.cos(turn), column(fields, "rf_x_deg")),
        "above fixation": (far * np.sin(turn), column(fields, "rf_y_deg")),
        "eccentricity": (far, column(fields, "rf_eccentricity_deg")),
    }
    ends = [float(np.nanmax(np.abs(np.concatenate(pair)))) for pair in places.values()]
    most = np.ceil(max(ends) * 2) / 2
    panels = [
        Panel(
            title=name, x=x, y=y, x_label=f"{planted} (degrees)", y_label="learned (degrees)",
            range_=(0.0 if name == "eccentricity" else -most, most),
        )
        for name, (x, y) in places.items()
    ]  # fmt: skip
    whole = regions.iloc[0]
    drawn = found_against_measured(
        panels, sources.stamp("encode"), title=f"Learned against {planted} receptive fields",
        subtitle=f"centres; median error of the angle {whole['angle_error']:.0f} degrees,"
        f" r of eccentricity {score(whole['eccentricity_r'])}, n = {count(whole['targets'])}",
    )  # fmt: skip
    return Picture(
        to_webp(drawn),
        alt=f"Learned against {planted} places of receptive fields",
        caption=f"Where each target reads in the picture, as the readout learned it and as it was"
        f" {planted}: right of and above fixation, and eccentricity. Dashed: equality.",
        format="webp",
    )


def _table(regions: pd.DataFrame) -> Table:
    rows = tuple(
        (
            cell(row["roi"]),
            count(row["targets"]),
            f"{score(row['eccentricity_r'])} ({_span(row, 'eccentricity_r')})",
            f"{row['angle_error']:.0f} ({_degrees(row)})",
            f"{row['field_distance']:.2f} ({_span(row, 'field_distance')})",
            f"{row['distance_chance']:.2f}",
            score(row.get("size_r")),
        )
        for _, row in regions.iterrows()
    )
    numeric = ("n targets", "r of eccentricity", "Error of angle, degrees", "Distance, degrees",
               "by chance", "r of size")  # fmt: skip
    columns = (Column("Region"), *(Column(name, numeric=True) for name in numeric))
    return Table("Learned receptive fields by region.", columns, rows, emphasis=True)


def _degrees(row: pd.Series[Any]) -> str:
    return f"{row['angle_error_low']:.0f} to {row['angle_error_high']:.0f}"


def _span(row: pd.Series[Any], name: str) -> str:
    return span(row[f"{name}_low"], row[f"{name}_high"])
