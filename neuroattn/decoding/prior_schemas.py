"""Choices of the prior group: which blur of a picture its brain response is matched with.

Imported by the command line at start-up, so it names code and never imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from neuroattn.core.config import Choice, science
from neuroattn.core.registry import Entry, Registry


class Rule(Enum):
    """How an uncertainty becomes a blur."""

    levels = "levels"  # low, medium or high
    continuous = "continuous"  # anything from low to high, between cached levels


@dataclass(kw_only=True)
class PriorConfig(Choice):
    """Keys that every prior has: none of its own."""


@dataclass(kw_only=True)
class NoPriorConfig(PriorConfig):
    """Pictures as they are."""

    name: str = science("none", "The choice's name in its registry.")


@dataclass(kw_only=True)
class FixedPriorConfig(PriorConfig):
    """One blur for all pictures."""

    strength: float | None = science(
        None,
        "Strength of the blur, as in backbone.blur.levels, or between two of them; null takes the"
        " strongest there is; 0 is the original.",
        check=lambda value: value is None or value >= 0,
        must="be 0 or more, or null",
    )


@dataclass(kw_only=True)
class UniformPriorConfig(FixedPriorConfig):
    """A Gaussian blur, alike everywhere; needs backbone.blur.kind=uniform."""

    name: str = science("uniform", "The choice's name in its registry.")


@dataclass(kw_only=True)
class LowresPriorConfig(FixedPriorConfig):
    """A lower resolution; needs backbone.blur.kind=lowres."""

    name: str = science("lowres", "The choice's name in its registry.")


@dataclass(kw_only=True)
class FoveaPriorConfig(FixedPriorConfig):
    """A foveated blur; needs backbone.blur.kind=fovea."""

    name: str = science("fovea", "The choice's name in its registry.")


@dataclass(kw_only=True)
class AdaptivePriorConfig(PriorConfig):
    """Keys of priors that blur a picture by how uncertain its pair is."""

    strengths: list[float] = science(
        [],
        "Low, medium and high blur, ascending; empty takes the three levels of backbone.blur.",
        check=lambda values: (
            not values or (len(values) == 3 and 0 <= values[0] < values[1] < values[2])
        ),
        must="be three ascending strengths, or empty",
    )
    alpha: float = science(
        0.05,
        "Share of pairs that are flagged where uncertainty is Gaussian, both tails together.",
        check=lambda share: 0 < share < 1,
        must="lie between 0 and 1",
    )
    rule: Rule = science(
        Rule.levels, "levels (low, medium or high) or continuous (in between as well)."
    )


@dataclass(kw_only=True)
class UbpPriorConfig(AdaptivePriorConfig):
    """Uncertainty-aware blur prior: by how similar a pair has become (Wu et al. 2025)."""

    name: str = science("ubp", "The choice's name in its registry.")
    momentum: float = science(
        0.3,
        "Weight of a new similarity in a pair's moving average; the first one counts in full.",
        check=lambda weight: 0 < weight <= 1,
        must="be above 0 and at most 1",
    )


@dataclass(kw_only=True)
class ReliabilityPriorConfig(AdaptivePriorConfig):
    """By how much the repeats of a picture differ, which no training changes."""

    name: str = science("reliability", "The choice's name in its registry.")


@dataclass(kw_only=True)
class FusionPriorConfig(PriorConfig):
    """A learned mixture of all levels, the original included."""

    name: str = science("fusion", "The choice's name in its registry.")
    per_channel: bool = science(
        False, "Weights of the levels for each channel of the target, and not the same for all."
    )


PRIORS = Registry(
    "prior",
    {
        "none": Entry(NoPriorConfig, "neuroattn.decoding.blur_prior:FixedPrior"),
        "uniform": Entry(UniformPriorConfig, "neuroattn.decoding.blur_prior:FixedPrior"),
        "lowres": Entry(LowresPriorConfig, "neuroattn.decoding.blur_prior:FixedPrior"),
        "fovea": Entry(FoveaPriorConfig, "neuroattn.decoding.blur_prior:FixedPrior"),
        "ubp": Entry(UbpPriorConfig, "neuroattn.decoding.blur_prior:UncertaintyPrior"),
        "reliability": Entry(
            ReliabilityPriorConfig, "neuroattn.decoding.blur_prior:ReliabilityPrior"
        ),
        "fusion": Entry(FusionPriorConfig, "neuroattn.decoding.blur_prior:FusionPrior"),
    },
)

# Those with one blur for all pictures, and those that know every blur before training begins, so
# that a closed form can take them.
FIXED = ("none", "uniform", "lowres", "fovea")
BEFOREHAND = (*FIXED, "reliability")
