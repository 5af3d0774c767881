"""Keys of the methods that make pictures: the choices of the group ``guidance``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from math import floor
from typing import Self

from neuroattn.core.config import (
    Choice,
    at_least,
    positive,
    science,
    share,
    share_below_one,
)
from neuroattn.core.errors import ConfigError
from neuroattn.core.phrases import PICTURE_OF
from neuroattn.generators.registry import GUIDANCE as EMBEDDED_GUIDANCE

UNGUIDED = "none"  # the method, and the name of the pictures that belong to every objective


class Gradient(Enum):
    """How large a gradient is before the scale."""

    raw = "raw"  # as it comes: units of the response over units of the latent
    unit = "unit"  # a root mean square of 1 for each picture: a scale carries over


class Decoder(Enum):
    """Through which decoder gradients flow."""

    full = "full"
    cheap = "cheap"  # the tiny one where the generator has one; pictures take the full one


@dataclass(kw_only=True)
class GuidanceConfig(Choice):
    """What all methods have in common: nothing but a name."""


@dataclass(kw_only=True)
class DenoisedConfig(GuidanceConfig):
    """Keys of methods that draw pictures with the generator."""

    steps: int = at_least(50, "Denoising steps.")
    sampler: str | None = science(
        None, "ddim, dpm, euler, lms, flow or lcm, as the generator allows; null: its own solver."
    )


@dataclass(kw_only=True)
class UnguidedConfig(DenoisedConfig):
    """The generator alone: what pictures look like when nobody asks for anything."""

    name: str = science(UNGUIDED, "The choice's name in its registry.")


@dataclass(kw_only=True)
class SteeredConfig(DenoisedConfig):
    """Keys of methods that add a gradient to the prediction at each step."""

    scale: float = science(
        130.0,
        "Weight of the gradient; 0 is no guidance. It carries over neither to another encoder nor"
        " to other units of the responses, unless the gradient is unit.",
        check=lambda x: x >= 0,
        must="be 0 or more",
    )
    scales: dict[str, float] = science(
        {},
        "Scales of single objectives in place of scale, as in {FFA-1: 2, EBA: 4}: which is best"
        " differs between regions (docs/synthesis.md).",
        check=lambda scales: all(value >= 0 for value in scales.values()),
        must="be 0 or more",
    )
    gradient: Gradient = science(Gradient.raw, "raw, or unit: the same size for every picture.")
    decoder: Decoder = science(Decoder.full, "full, or cheap: the tiny decoder in the guidance.")

    def of(self, objective: str) -> Self:
        """The keys for one objective: with its own scale, if it has one."""
        return replace(self, scale=self.scales.get(objective, self.scale))


@dataclass(kw_only=True)
class BrainDiveConfig(SteeredConfig):
    """BrainDiVE as published (Luo et al. 2023): blended estimate, a pass of its own for it."""

    name: str = science("braindive", "The choice's name in its registry.")
    sampler: str | None = science("dpm", "The solver; published: DPM-Solver++.")
    attention: float = science(
        0.75,
        "Scale of self-attention guidance (Hong et al. 2023); 0 leaves it out.",
        check=lambda x: x >= 0,
        must="be 0 or more",
    )


@dataclass(kw_only=True)
class X0Config(SteeredConfig):
    """The gradient at the one-step estimate of the clean picture, through the network."""

    name: str = science("x0", "The choice's name in its registry.")


@dataclass(kw_only=True)
class WindowedConfig(SteeredConfig):
    """As x0, in a part of the trajectory and at every k-th step of it."""

    name: str = science("windowed", "The choice's name in its registry.")
    steps: int = at_least(20, "Denoising steps.")
    decoder: Decoder = science(Decoder.cheap, "cheap: the tiny decoder in the guidance; or full.")
    start: float = share(0.4, "Share of the steps that pass before guidance begins.")
    stop: float = share(1.0, "Share of the steps after which it ends.")
    every: int = at_least(1, "Guide every so many steps, with as many times the scale.")
    shift: float = share_below_one(
        0.0, "Farthest shift of what the guide is shown, as a share of its side, another at each"
        " step: what only one place of a picture drives cannot add up. 0 is none.",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        first, last = self.window
        if first >= last:
            raise ConfigError(
                f"the window of guidance is empty: it holds none of the {self.steps} steps",
                expected="guidance.start below guidance.stop by a step or more",
                found=f"{self.start} and {self.stop}",
                fix="set guidance.start=0.4 guidance.stop=1",
            )

    @property
    def window(self) -> tuple[int, int]:
        """The first step that may be guided, and the first after it that may not."""
        return floor(self.start * self.steps), floor(self.stop * self.steps)


@dataclass(kw_only=True)
class FlowConfig(SteeredConfig):
    """As x0, for flow matching: the weight at the first steps, where it diverges, is capped."""

    name: str = science("flow", "The choice's name in its registry.")
    steps: int = at_least(28, "Denoising steps.")
    cap: float = positive(
        5.0, "Largest ratio of noise to signal that weighs a gradient; it is infinite at the start."
    )


@dataclass(kw_only=True)
class NoiseOptimisationConfig(DenoisedConfig):
    """The start noise of a few-step generator, optimised (ReNO, Eyring et al. 2024)."""

    name: str = science("noise_optimisation", "The choice's name in its registry.")
    steps: int = at_least(1, "Denoising steps, all of them in the gradient.")
    iterations: int = at_least(50, "Steps of gradient ascent on the noise.")
    scale: float = science(
        1.0, "Weight of the objective beside the noise's own likelihood.",
        check=lambda x: x >= 0, must="be 0 or more",
    )  # fmt: skip
    lr: float = positive(5.0, "Learning rate of the ascent, with Nesterov momentum.")
    momentum: float = science(
        0.9, "Momentum of the ascent.", check=lambda x: 0 < x < 1, must="be above 0 and below 1"
    )
    clip: float = positive(0.1, "Largest norm of the gradient of a picture's noise.")
    likelihood: float = science(
        0.01, "Weight of the noise's negative log likelihood by its norm.",
        check=lambda x: x >= 0, must="be 0 or more",
    )  # fmt: skip
    decoder: Decoder = science(Decoder.full, "full, or cheap: the tiny decoder in the ascent.")


@dataclass(kw_only=True)
class BestOfNConfig(DenoisedConfig):
    """Unguided pictures, the best of several by the guide: what selection alone can do."""

    name: str = science("best_of_n", "The choice's name in its registry.")
    draws: int = at_least(4, "Pictures drawn for each one that is kept.")


@dataclass(kw_only=True)
class RetrievalConfig(GuidanceConfig):
    """The test pictures of the dataset that the guide puts highest: what no generator is for."""

    name: str = science("retrieval", "The choice's name in its registry.")


class Said(Enum):
    """What is told of an objective's captions."""

    captions = "captions"  # the captions of its targets in turn, the surest first
    nouns = "nouns"  # what they all name and others do not, at the place that each names


@dataclass(kw_only=True)
class WordsConfig(DenoisedConfig):
    """Keys of methods that tell the generator what captions say of an objective's targets."""

    said: Said = science(
        Said.captions,
        "captions: each target's own; or nouns: what stands out in all, at each one's place.",
    )
    prompt: str = science(
        PICTURE_OF, "How a noun is told.", check=lambda x: "{}" in x, must="hold {}"
    )
    weight: float = science(
        EMBEDDED_GUIDANCE,
        "Classifier-free guidance by the words; 1 is none, hub models are used at 7.5.",
        check=lambda x: x >= 0, must="be 0 or more",
    )  # fmt: skip


@dataclass(kw_only=True)
class CaptionsConfig(WordsConfig):
    """Pictures drawn from the captions of an objective's targets, without any gradient."""

    name: str = science("captions", "The choice's name in its registry.")
    steps: int = at_least(25, "Denoising steps.")


@dataclass(kw_only=True)
class PrimedConfig(WindowedConfig, WordsConfig):
    """As windowed; in the steps before the window the generator is told words.

    What a picture is of is decided in the first steps, when an estimate of it is still a mean over
    all that it could become and its gradient says little. Captions say it there.
    """

    name: str = science("primed", "The choice's name in its registry.")
    said: Said = science(
        Said.nouns,
        "nouns: what stands out in all, at each one's place; or captions: each target's own.",
    )
    weight: float = science(
        1.0, "Classifier-free guidance by the words before the window; in it they weigh 1.",
        check=lambda x: x >= 0, must="be 0 or more",
    )  # fmt: skip

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window[0] == 0:
            raise ConfigError(
                "no step is left for the words",
                expected=f"guidance.start of one or more of the {self.steps} steps",
                found=self.start,
                fix="set guidance.start=0.5, or guidance=windowed",
            )
