"""The configuration and the stage ``map``, light enough for the command line to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from neuroattn.core.config import Section, execution, science
from neuroattn.core.stage import Stage

FORMATS = ("gifti", "mgz", "nifti")
MINUS = "encode/minus"  # the parent that is subtracted


def _formats(names: Any) -> bool:
    return bool(names) and set(names) <= set(FORMATS) and len(set(names)) == len(names)


@dataclass(kw_only=True)
class MapsConfig(Section):
    """What is mapped, and how."""

    stats: list[str] = science(
        ["r"],
        "Columns of scores.tsv to map; ceilings are mapped beside them where they are there.",
        check=lambda names: len(names) > 0 and len(set(names)) == len(names),
        must="name at least one column, and none twice",
    )
    formats: list[str] = science(
        ["gifti", "nifti"],
        "Files to write: gifti (surfaces), nifti (volumes), mgz (either; FreeView, NSD's tools).",
        check=_formats,
        must=f"name some of {', '.join(FORMATS)}, none twice",
    )
    top: float = science(
        0.7,
        "Upper end of the colour scale of correlations, the same for every model.",
        check=lambda value: 0 < value <= 1,
        must="be above 0, up to 1",
    )
    minus: str | None = execution(
        None,
        "Another encode artefact whose scores are subtracted, by reference: a folder, a label or"
        " a fingerprint. Its fingerprint enters that of the map.",
    )
    span: float = science(
        0.3,
        "Ends of the colour scale of differences, below and above 0.",
        check=lambda value: 0 < value <= 2,
        must="be above 0, up to 2",
    )
    significant: float | None = science(
        None,
        "Draw only targets with q at or below this (of either model, for a difference) and write"
        " them as a mask; null draws all.",
        check=lambda value: value is None or 0 < value < 1,
        must="lie between 0 and 1, or be null",
    )
    captions: bool = science(
        False,
        "Also map what captions say: people, classes of nouns, concepts, weights as colours.",
    )
    decoder: bool = science(
        False, "Also map where the decoder reads: sensitivity and contribution, folded to targets."
    )
    outlined: list[str] | None = science(
        None,
        "Regions outlined and named; null: all but those with a tenth of the targets and those"
        " that hold another one.",
    )


def _parents(config: Any) -> tuple[str, ...]:
    said = ("caption",) if config.maps.captions else ()
    read = ("decode",) if config.maps.decoder else ()
    return ("prepare", "encode", *said, *read)


def _cites(config: Any) -> Mapping[str, tuple[str, str]]:
    return {MINUS: ("encode", config.maps.minus)} if config.maps.minus else {}


STAGES: tuple[Stage, ...] = (
    Stage(
        name="map",
        version=3,
        about="scores and differences on the cortex: GIFTI, MGZ or NIfTI files and pictures",
        reads=("maps",),
        parents=_parents,
        cites=_cites,
        run="neuroattn.maps.stage:run",
        label=lambda config: f"map-{config.encoder.name}",
    ),
)
