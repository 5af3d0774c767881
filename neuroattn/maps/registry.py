"""The configuration and the stage ``map``, light enough for the command line to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neuroattn.core.config import Section, science
from neuroattn.core.stage import Stage

FORMATS = ("gifti", "mgz")


def _formats(names: Any) -> bool:
    return bool(names) and set(names) <= set(FORMATS) and len(set(names)) == len(names)


@dataclass(kw_only=True)
class MapsConfig(Section):
    """What is mapped, and how."""

    stats: list[str] = science(
        ["r"],
        "Columns of scores.tsv to map; ceilings and p values are mapped where they are there.",
        check=lambda names: len(names) > 0 and len(set(names)) == len(names),
        must="name at least one column, and none twice",
    )
    formats: list[str] = science(
        ["gifti"],
        "Files to write: gifti (read by all), mgz (FreeView, NSD's own tools).",
        check=_formats,
        must=f"name some of {', '.join(FORMATS)}, none twice",
    )
    top: float = science(
        0.7,
        "Upper end of the colour scale of correlations, the same for every model.",
        check=lambda value: 0 < value <= 1,
        must="be above 0, up to 1",
    )
    outlined: list[str] | None = science(
        None, "Regions outlined on the flat map; null: all but those with a tenth of the targets."
    )


STAGES: tuple[Stage, ...] = (
    Stage(
        name="map",
        version=1,
        about="scores on the cortex: GIFTI or MGZ files and pictures with regions outlined",
        reads=("maps",),
        parents=lambda _config: ("prepare", "encode"),
        run="neuroattn.maps.stage:run",
        label=lambda config: f"map-{config.encoder.name}",
    ),
)
