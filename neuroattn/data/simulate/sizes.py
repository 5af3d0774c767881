"""What the sizes of the simulated dataset hold, and how each deviates from NSD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from neuroattn.core.errors import ConfigError
from neuroattn.data.nsd.layout import EXPERIMENT_VERSIONS, IMAGERY, SYNTHETIC, VERSIONS

FSAVERAGE5 = 10_242
FSAVERAGE3 = 642


@dataclass(frozen=True)
class Size:
    """One size.

    Parameters
    ----------
    sessions : at most this many of each subject's.
    shared, own : distinct images that all subjects see, and that each sees alone.
    unseen : of the shared ones, how many are made of held-out exemplars only.
    vertices : per hemisphere: the leading ones of fsaverage5.
    side : of the scenes, pixels; the pictures of NSD are 425 and these are enlarged.
    real : NSD's own numbers of images and repeats; ``shared`` and ``own`` then count scenes,
        each of which serves as several images.
    all_formats : volumes, native surfaces and Algonauts form beside fsaverage.
    algonauts_sessions : last sessions of which the Algonauts test images are taken.
    versions : of the betas that are written, worst first; the last is that of the truth.
    experiments : of `EXPERIMENTS`, those that are written beside the main one.
    """

    name: str
    sessions: int
    shared: int
    own: int
    unseen: int
    vertices: int = FSAVERAGE5
    side: int = 160
    real: bool = False
    all_formats: bool = False
    algonauts_sessions: int = 3
    versions: tuple[str, ...] = ("b3",)
    experiments: tuple[str, ...] = ()

    @property
    def best(self) -> str:
        """The version whose noise and ceilings the truth states."""
        return self.versions[-1]


EXPERIMENTS: Final = (SYNTHETIC, IMAGERY)
SIZES: Final = {
    "tiny": Size("tiny", sessions=2, shared=100, own=400, unseen=20, side=64,
                 all_formats=True, algonauts_sessions=1, versions=tuple(VERSIONS),
                 experiments=EXPERIMENTS),
    "demo": Size("demo", sessions=10, shared=500, own=2000, unseen=100),
    "nsd_like": Size("nsd_like", sessions=40, shared=250, own=750, unseen=50,
                     vertices=FSAVERAGE3, side=64, real=True),
}  # fmt: skip


def size_named(name: str) -> Size:
    """The size called ``name``.

    Raises
    ------
    ConfigError : there is none.
    """
    if name not in SIZES:
        raise ConfigError(
            "no such size of the simulated dataset", expected=" | ".join(SIZES), found=name,
            fix="choose one of them",
        )  # fmt: skip
    return SIZES[name]


def with_choices(
    size: Size, versions: Sequence[str] | None, experiments: Sequence[str] | None
) -> Size:
    """``size`` with other versions and experiments; None keeps its own.

    Raises
    ------
    ConfigError : there is no such version or experiment, none is named, or the versions are
        not those in which NSD has the experiments.
    """
    chosen = _known("versions", versions, size.versions, tuple(VERSIONS))
    beside = _known("experiments", experiments, size.experiments, EXPERIMENTS)
    if not chosen:
        raise ConfigError(
            "betas need a version", expected=" | ".join(VERSIONS), found="none",
            fix="name one at least, as in versions=b3",
        )  # fmt: skip
    if beside and not set(chosen) & set(EXPERIMENT_VERSIONS):
        raise ConfigError(
            "NSD has the further experiments in other versions only",
            expected=" or ".join(EXPERIMENT_VERSIONS), found=", ".join(chosen),
            fix="add one to versions=…, or set experiments=none",
        )  # fmt: skip
    return replace(size, versions=chosen, experiments=beside)


def _known(
    what: str, asked: Sequence[str] | None, default: tuple[str, ...], known: tuple[str, ...]
) -> tuple[str, ...]:
    """The names asked for, in the order of ``known``."""
    if asked is None:
        return default
    strange = sorted(set(asked) - set(known))
    if strange:
        raise ConfigError(
            f"NSD has no such {what}", expected=", ".join(known), found=", ".join(strange),
            fix=f"choose {what}= from them",
        )  # fmt: skip
    return tuple(name for name in known if name in asked)


def deviations(size: Size) -> dict[str, str]:
    """Every way in which the files differ from NSD's, in words."""
    images = (
        f"each of {size.shared} shared and {size.own} own scenes serves as several images; no "
        "scene is both shared and own"
        if size.real
        else f"{size.shared} shared and {size.own} own images per subject are shown, three times "
        f"each, within {size.sessions} sessions; the others of imgBrick are empty"
    )
    absent = sorted(set(VERSIONS) - set(size.versions))
    found = {
        "responses": "simulated responses, made by rules from the scenes; no brain was measured",
        "vertices": f"fsaverage has {size.vertices} vertices per hemisphere (the leading ones of "
        "fsaverage5) instead of 163842; volumes and native surfaces hold the same targets on "
        "grids of their own, whose headers state the coarser voxels",
        "images": images,
        "pictures": f"composed scenes of {size.side} pixels, enlarged to 425 by repeating pixels; "
        "chunks of one picture, compressed",
        "coco": "captions and instances in COCO's form, but of these scenes and with categories "
        "of their own; cocoId is no id of COCO",
        "versions": "b1 and b2 are b3 with more noise of the same kind, no other estimates of one "
        "time series" + (f"; without {', '.join(absent)}" if absent else ""),
        "ncsnr": "the quantiles of the fsaverage betas hold in every space; no ncsnr_split1 or 2",
        "labels": "no HCP_MMP1, Kastner2015, corticalsulc or prf-eccrois, and no pRF maps; streams "
        "are those nearest to planted regions",
        "files": "no time series, anatomy, diffusion, physiology, mean, valid, R2, HRFindex, "
        "FRACvalue or meanbeta files, and no betas in MNI space",
    }
    if SYNTHETIC in size.experiments:
        found["synthetic"] = (
            "NSD-synthetic has its 284 pictures in its 8 classes and 71 subclasses, but drawn by "
            "this package at the scenes' resolution; names of subclasses are ours, and which 48 "
            "pictures are shown twice as often; pictures are compressed; no behaviour"
        )
    if IMAGERY in size.experiments:
        found["imagery"] = (
            "NSD-imagery has its runs, cues and 720 betas, but targets of set B are shared images "
            "of this dataset and those of set C its categories; tables of runs hold SUBJECT, RUN, "
            "TRIAL, CONDITION, CUE, FRAMEFILE and TRIALONSET alone; no design matrices; names of "
            "frames without a picture are ours"
        )
    return found
