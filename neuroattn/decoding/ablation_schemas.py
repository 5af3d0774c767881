"""Keys and stages of what is done with a fitted decoder: ``ablate`` and ``imagery``.

They are stages of their own, so that another network or trial set trains nothing again. No heavy
import.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from neuroattn.core.config import Section, execution, science
from neuroattn.core.errors import ConfigError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.core.stage import Stage


class Networks(Enum):
    """Where the networks come from."""

    rois = "rois"  # the regions of targets.tsv, or groups of them
    atlas = "atlas"  # files
    planted = "planted"  # of a simulated dataset


class Parcelled(Enum):
    """What makes parcels, of which controls are made."""

    place = "place"  # nearness on fsaverage5; alike responses elsewhere
    responses = "responses"  # alike training responses


class Standardise(Enum):
    """On whose mean and deviation other trials are put."""

    own = "own"  # of all trials of that set, whatever was seen or imagined in them
    training = "training"  # of the training trials


class Candidates(Enum):
    """What imagined trials are compared with."""

    imagined = "imagined"  # the pictures of the trial set
    imagined_and_test = "imagined_and_test"  # and the test images of the decoder


@dataclass(kw_only=True)
class AblationConfig(Section):
    """Which parts of the brain are left out, or kept alone, at test time."""

    networks: Networks = science(Networks.rois, "Networks: rois, atlas (files) or planted.")
    groups: dict[str, list[str]] = science(
        {}, "Network -> regions of targets.tsv, for networks=rois; empty takes each region alone."
    )
    atlas: list[str] = execution(
        [],
        "Files for networks=atlas: .tsv (target, network), .npy (targets,), or labels of fsaverage"
        " (.annot, .label.gii), one with lh, one with rh in its name. Digests are fingerprinted.",
    )
    least: int = science(
        10, "Fewest targets of a network.", check=lambda count: count >= 1, must="be 1 or more"
    )
    controls: int = science(
        100,
        "Random sets of parcels of each network's size.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )
    parcels: int = science(
        100,
        "Parcels of each hemisphere that controls and the map of contributions are made of.",
        check=lambda count: count >= 2,
        must="be 2 or more",
    )
    by: Parcelled = science(Parcelled.place, "What makes targets one parcel: place or responses.")
    concepts: bool = science(True, "Measure each kind of things apart, where they are known.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.networks is Networks.atlas and not self.atlas:
            raise ConfigError(
                "networks are to come from an atlas and none is given",
                expected="ablation.atlas=[FILE, …]",
                found="no file; no atlas ships with neuroattn",
                fix="docs/decoding.md says where atlases are to be had and how to write one",
            )


@dataclass(kw_only=True)
class ImageryConfig(Section):
    """Another set of trials that a fitted decoder is tried on."""

    trials: str | None = execution(
        None,
        "The trial set, as overrides of this run: 'dataset.trial_set=imagery dataset.betas=b2'.",
    )
    gallery: str | None = execution(
        None,
        "Features of what trials are compared with, as further overrides: texts by"
        " 'backbone=space_captions backbone.captions=FILE'; null takes the decoder's own backbone,"
        " on the pictures of the trial set.",
    )
    standardise: Standardise = science(
        Standardise.own, "Mean and deviation of each target: of the trial set, or of training."
    )
    candidates: Candidates = science(
        Candidates.imagined, "The gallery: what was imagined, or the test images besides."
    )
    permutations: int = science(
        10000,
        "Permutations of the pairing of brains and images.",
        check=lambda count: count >= 1,
        must="be 1 or more",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gallery is not None and self.candidates is Candidates.imagined_and_test:
            # Texts and pictures lie apart in a space of both: which is nearer says what it is.
            raise ConfigError(
                "test images stand in the gallery as the decoder's own backbone has them",
                expected="imagery.candidates=imagined beside imagery.gallery",
                found="imagined_and_test",
                fix="leave out imagery.gallery, or the test images",
            )


def atlas_files(config: Any) -> Mapping[str, Path]:
    """Input files of ``ablate``."""
    found = {}
    for number, name in enumerate(config.ablation.atlas):
        path = user_path(name)
        if not path.is_file():
            raise MissingDataError(
                "the atlas is not there", file=path,
                expected="a .tsv, a .npy, or labels (.annot, .label.gii) of a hemisphere",
                found="nothing", fix="correct ablation.atlas; docs/decoding.md tells the formats",
            )  # fmt: skip
        found[f"atlas-{number}-{path.name}"] = path
    return found


def check_one_target(also: Sequence[str]) -> None:
    """Refuse a decoder of further features: a trial set has pictures of its own, and none of them.

    Raises
    ------
    ConfigError : naming the further features.
    """
    if also:
        raise ConfigError(
            "the decoder predicts further features, which the pictures of a trial set do not have",
            expected="a decoder of one target: decoder.target.also=[]",
            found=", ".join(also),
            fix="decode without decoder.target.also; imagery.gallery compares trials with texts",
        )


def imagined_trials(config: Any) -> Mapping[str, tuple[str, str]]:
    """The other trial set: its ``prepare`` and ``features``.

    Raises
    ------
    ConfigError : no set is named, or the decoder predicts features that it has none of.
    """
    check_one_target([reference for _, reference in _also(config).values()])
    trials, gallery = config.imagery.trials, config.imagery.gallery
    if trials is None:
        raise ConfigError(
            "which trials to decode is not set",
            expected="overrides that make another trial set",
            found="imagery.trials is not set",
            fix="imagery.trials='dataset.trial_set=imagery dataset.betas=b2'",
        )
    words = trials if gallery is None else f"{trials} {gallery}"
    return {"imagery/prepare": ("prepare", trials), "imagery/features": ("features", words)}


def _also(config: Any) -> Mapping[str, tuple[str, str]]:
    target = getattr(config.decoder, "target", None)
    also = [] if target is None else target.also
    return {f"target-{index}": ("features", reference) for index, reference in enumerate(also)}


FURTHER_STAGES = (
    Stage(
        name="ablate",
        version=1,
        about="leave networks out of a fitted decoder, or keep them alone, beside random parcels",
        reads=("ablation", "seed"),
        parents=lambda _: ("prepare", "features", "decode"),
        cites=_also,
        leaves="neuroattn.decoding.ablation_schemas:atlas_files",
        run="neuroattn.decoding.ablate_stage:run",
        label=lambda config: f"ablate-{config.decoder.name}",
    ),
    Stage(
        name="imagery",
        version=4,
        about="decode imagined or other trials with a decoder that never saw such",
        reads=("imagery", "seed"),
        parents=lambda _: ("prepare", "features", "decode"),
        cites=imagined_trials,
        run="neuroattn.decoding.imagery:run",
        label=lambda config: f"imagery-{config.decoder.name}",
    ),
)
