"""What the sizes of the simulated dataset hold, and how each deviates from NSD."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from neuroattn.core.errors import ConfigError

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


SIZES: Final = {
    "tiny": Size("tiny", sessions=2, shared=100, own=400, unseen=20, side=64,
                 all_formats=True, algonauts_sessions=1),
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


def deviations(size: Size) -> dict[str, str]:
    """Every way in which the files differ from NSD's, in words."""
    images = (
        f"each of {size.shared} shared and {size.own} own scenes serves as several images; no "
        "scene is both shared and own"
        if size.real
        else f"{size.shared} shared and {size.own} own images per subject are shown, three times "
        f"each, within {size.sessions} sessions; the others of imgBrick are empty"
    )
    return {
        "responses": "simulated responses, made by rules from the scenes; no brain was measured",
        "vertices": f"fsaverage has {size.vertices} vertices per hemisphere (the leading ones of "
        "fsaverage5) instead of 163842; volumes and native surfaces hold the same targets on "
        "grids of their own",
        "images": images,
        "pictures": f"composed scenes of {size.side} pixels, enlarged to 425 by repeating pixels",
        "coco": "captions and instances in COCO's form, but of these scenes and with categories "
        "of their own; cocoId is no id of COCO",
        "ncsnr": "the quantiles of the fsaverage betas hold in every space",
    }
