"""What guidance asks of a generator: every family answers it, the embedded model included.

A method of synthesis writes its own denoising loop over these parts and knows no family::

    schedule = generator.schedule(50)
    condition = generator.condition(len(seeds))  # nothing: the cached null prompt
    latents = schedule.start(generator.latents(seeds))
    for level in schedule.levels:
        latents = latents.detach().requires_grad_()
        said = generator.predict(latents, level, condition)
        clean = generator.x0(latents, said, level)
        reward = objective(generator.decode(clean, guidance_path=True)).sum()
        (gradient,) = torch.autograd.grad(reward, latents)
        said = generator.steered(said.detach(), scale * gradient, level)
        latents = schedule.step(said, level, latents.detach())
    pixels = generator.decode(latents)

One formula covers all parameterisations: a noisy latent is ``signal * clean + noise * epsilon``,
and its `Level` says both numbers.

==================  ======================  =========================
form                signal, noise           prediction
==================  ======================  =========================
DDPM and relatives  sqrt(a), sqrt(1 - a)    epsilon, v or the sample
k-diffusion         1, sigma                epsilon, v or the sample
flow matching       1 - sigma, sigma        epsilon - clean (``flow``)
==================  ======================  =========================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Level:
    """How noisy the latents are before one step: ``signal * clean + noise * epsilon``.

    Parameters
    ----------
    index : position in the schedule, from 0; the first is the noisiest.
    time : what the network is told, 0-d.
    scale : factor on the latents before the network sees them; 1 but in the k-diffusion form.
    """

    index: int
    time: Tensor
    signal: float
    noise: float
    scale: float = 1.0


@dataclass(frozen=True)
class Condition:
    """What the network is told beside latents and time, for so many pictures.

    Parameters
    ----------
    tensors : by the network's own names, (pictures, …) each.
    null : the same for no condition, where guidance needs both; None if this is no condition, or
        the model has no such thing (`Identity.true_null`).
    """

    count: int
    tensors: Mapping[str, Tensor]
    null: Mapping[str, Tensor] | None = None

    def passes(self, guidance: float) -> int:
        """Passes for one prediction: 2 where the network is asked without the condition too."""
        return 1 if guidance == 1 or self.null is None else 2

    def rows(self, start: int, stop: int) -> Condition:
        """The condition of some of the pictures."""
        null = None if self.null is None else _cut(self.null, start, stop)
        return Condition(stop - start, _cut(self.tensors, start, stop), null)

    def both(self) -> dict[str, Tensor]:
        """No condition first, the condition second: one call of the network for both."""
        null = self.tensors if self.null is None else self.null
        return {name: torch.cat([null[name], told]) for name, told in self.tensors.items()}


def _cut(tensors: Mapping[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    return {name: value[start:stop] for name, value in tensors.items()}


class Schedule(Protocol):
    """The levels of one run and the solver that goes through them; it holds the solver's memory.

    Make a new one for each chunk of pictures: multistep solvers remember earlier steps.
    """

    levels: Sequence[Level]

    def start(self, noise: Float[Tensor, "images channels rows columns"]) -> Tensor:
        """Latents at the first level, from unit noise."""

    def step(self, prediction: Tensor, level: Level, latents: Tensor) -> Tensor:
        """Latents at the next level; call it once a level, in order."""


@dataclass(frozen=True)
class Identity:
    """Which model this is, for provenance.

    Parameters
    ----------
    source : hub id or folder as it was named; ``revision`` its commit, if one was given.
    digests : SHA-256 of each file of the model, by its name inside the folder.
    few_steps : made for one to eight steps: the start noise is optimised, not the trajectory.
    """

    name: str
    family: str
    source: str
    revision: str | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    few_steps: bool = False

    @property
    def true_null(self) -> bool:
        """Whether its empty prompt is no condition: guidance was distilled into few-step models.

        These are asked once, with their condition: a second guidance on top of the distilled one
        overshoots.
        """
        return not self.few_steps

    def record(self) -> dict[str, Any]:
        """As JSON for an artefact."""
        return {
            "name": self.name, "family": self.family, "source": self.source,
            "revision": self.revision, "digests": dict(self.digests),
            "true_null": self.true_null, "few_steps": self.few_steps,
        }  # fmt: skip


@runtime_checkable
class Generator(Protocol):
    """A frozen generator. No parameter has a gradient; everything from latents on has one.

    Attributes
    ----------
    prediction : epsilon, v_prediction, sample or flow.
    """

    identity: Identity
    prediction: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a latent."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""

    @property
    def dim(self) -> int | None:
        """Numbers of an embedding that can drive it; None where none can."""

    def latents(self, seeds: Sequence[int]) -> Float[Tensor, "images channels rows columns"]:
        """Unit noise, each picture's from its own seed, drawn on the CPU in single precision."""

    def schedule(
        self, steps: int, sampler: str | None = None, *, seeds: Sequence[int] | None = None
    ) -> Schedule:
        """A fresh schedule of ``steps`` steps; None takes the model's own solver.

        Samplers: ``ddim``, ``dpm``, ``euler``, ``lms`` for diffusion, ``flow`` for flow matching,
        ``lcm`` for few-step models. ``lcm`` adds noise between steps, each picture's from its
        seed, so it needs ``seeds``.

        Raises
        ------
        ConfigError : the sampler does not belong to this model.
        """

    def condition(
        self,
        count: int,
        *,
        text: Sequence[str] | None = None,
        embeddings: Float[Tensor, "images dim"] | None = None,
    ) -> Condition:
        """The condition of ``count`` pictures; nothing given is the cached null prompt.

        Raises
        ------
        ConfigError : this model takes no such condition, or its size or number differs.
        """

    def predict(
        self, latents: Tensor, level: Level, condition: Condition, guidance: float = 1.0
    ) -> Tensor:
        """The network's word, differentiable; ``guidance`` other than 1 exaggerates the condition.

        It is computed in the network's precision and returned in that of the latents.
        """

    def x0(self, latents: Tensor, prediction: Tensor, level: Level) -> Tensor:
        """The clean latents that a prediction implies (one step)."""

    def steered(self, prediction: Tensor, gradient: Tensor, level: Level) -> Tensor:
        """The prediction after ``gradient`` (by the latents) is added to the score.

        Epsilon falls by ``noise * gradient``. The flow's velocity falls by
        ``noise / (1 - noise) * gradient``, infinite at the first level: cap or skip it there.
        """

    def noised(self, clean: Tensor, epsilon: Tensor, level: Level) -> Tensor:
        """``signal * clean + noise * epsilon``."""

    def epsilon(self, latents: Tensor, prediction: Tensor, level: Level) -> Tensor:
        """The noise that a prediction implies."""

    def decode(
        self, latents: Float[Tensor, "images channels rows columns"], *, guidance_path: bool = False
    ) -> Float[Tensor, "images 3 height width"]:
        """Pixels in [0, 1]; ``guidance_path`` takes the cheap decoder where there is one."""

    def encode(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images channels rows columns"]:
        """Clean latents of pixels in [0, 1], in the network's units."""


@runtime_checkable
class Attending(Protocol):
    """A generator whose self-attention can be read, as self-attention guidance needs it."""

    def predict_attended(
        self, latents: Tensor, level: Level, condition: Condition
    ) -> tuple[Tensor, Float[Tensor, "images rows columns"]]:
        """The prediction, and how much each place of the middle block is attended to.

        Weights are averaged over heads and summed over queries: their mean is 1.
        """
