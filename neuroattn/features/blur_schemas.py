"""Keys of the blur levels that a feature store holds beside the original pictures.

No heavy import.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Section, science


class BlurKind(Enum):
    """How a picture loses its detail."""

    uniform = "uniform"  # a Gaussian, everywhere alike
    lowres = "lowres"  # fewer pixels, drawn again at full size
    fovea = "fovea"  # Gaussian, with the original blended in towards the centre


class FoveaCentre(Enum):
    """How much of the original is left at the centre of a foveated blur."""

    paper = "paper"
    released = "released"

    @property
    def weight(self) -> float:
        """1 in equation 5 of Wu et al. 2025; their released code halves it."""
        return 1.0 if self is FoveaCentre.paper else 0.5


def ascending(strengths: list[float]) -> bool:
    """Whether all are above 0 and each is above the one before."""
    return all(low < high for low, high in zip([0.0, *strengths], strengths, strict=False))


@dataclass(kw_only=True)
class BlurConfig(Section):
    """Blurred pictures whose features are stored beside those of the originals.

    The original is always level 0. Each level costs one more pass of the network and as much
    disk again; pictures are decoded once for all.
    """

    kind: BlurKind = science(
        BlurKind.fovea,
        "uniform (a Gaussian, alike everywhere), lowres or fovea (sharp centre, as in UBP).",
    )
    levels: list[float] = science(
        [],
        "Strengths beside the original, ascending: standard deviation in pixels of a picture 224"
        " wide (uniform, fovea; 8 is OpenCV's kernel of 51), or cells of so many pixels (lowres).",
        check=lambda strengths: ascending([float(one) for one in strengths]),
        must="be above 0 and ascend, each different from the one before",
    )
    centre: FoveaCentre = science(
        FoveaCentre.paper,
        "Share of the original at the centre of fovea: paper (1) or released (0.5, the authors'"
        " code).",
    )
    decay: float = science(
        3.0,
        "How fast that share falls: exp(-decay x distance / distance of a corner).",
        check=lambda rate: rate > 0,
        must="be above 0",
    )
