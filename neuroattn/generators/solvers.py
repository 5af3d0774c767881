"""Schedules: the levels come from the model's own noising process, the steps are ours.

The steps are short formulas over clean latent and noise, exact in any precision (those of
diffusers round to single precision in between), and hold only the memory that they need.
Tests compare each with the solver of diffusers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.generators.contract import Level, Schedule
from neuroattn.generators.library import diffusers
from neuroattn.generators.parameters import clean_of, epsilon_of

_KINDS: Final = {
    "ddim": "DDIMScheduler",
    "dpm": "DPMSolverMultistepScheduler",
    "euler": "EulerDiscreteScheduler",
    "lms": "LMSDiscreteScheduler",
    "lcm": "LCMScheduler",
    "flow": "FlowMatchEulerDiscreteScheduler",
}
#: The sampler that a model's own scheduler stands for.
OWN: Final = {
    "DDIMScheduler": "ddim",
    "DDPMScheduler": "ddim",
    "PNDMScheduler": "dpm",
    "DPMSolverMultistepScheduler": "dpm",
    "EulerDiscreteScheduler": "euler",
    "EulerAncestralDiscreteScheduler": "euler",
    "LMSDiscreteScheduler": "lms",
    "LCMScheduler": "lcm",
    "FlowMatchEulerDiscreteScheduler": "flow",
}
#: Steps that a rule looks back on, its own included.
_ORDERS: Final = {"dpm": 2, "lms": 4}


@dataclass(frozen=True)
class Said:
    """What a prediction implies at one level."""

    level: Level
    latents: Tensor
    clean: Tensor
    epsilon: Tensor


Rule = Callable[[list[Said], Level], Tensor]


class Steps:
    """A run through levels by one rule; see `contract.Schedule`.

    Parameters
    ----------
    levels : of the steps, and one more for where the last step leads.
    rule : latents at the next level from what was said so far, the newest last.
    first : deviation of the start noise.
    order : steps that the rule looks back on, its own included; the others are forgotten.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        rule: Rule,
        prediction: str,
        first: float = 1.0,
        order: int = 1,
    ) -> None:
        self.levels: Sequence[Level] = tuple(levels[:-1])
        self._all, self._rule, self._first, self._order = tuple(levels), rule, first, order
        self._prediction = prediction
        self._said: list[Said] = []
        self._next = 0

    def start(self, noise: Tensor) -> Tensor:
        """Latents at the first level, from unit noise."""
        return noise * self._first

    def step(self, prediction: Tensor, level: Level, latents: Tensor) -> Tensor:
        """Latents at the next level.

        Raises
        ------
        ConfigError : levels are not taken in order.
        """
        if level.index != self._next:
            raise ConfigError(
                "the steps of a schedule are taken in order, each once",
                expected=f"level {self._next}",
                found=f"level {level.index}",
                fix="make a new schedule for each chunk of pictures",
            )
        clean = clean_of(self._prediction, prediction, latents, level)
        epsilon = epsilon_of(self._prediction, prediction, latents, level)
        self._said = [*self._said, Said(level, latents, clean, epsilon)][-self._order :]
        self._next += 1
        return self._rule(self._said, self._all[self._next])


def first_order(said: list[Said], after: Level) -> Tensor:
    """The same clean latent and noise at the next level: DDIM, and Euler in both other forms."""
    return after.signal * said[-1].clean + after.noise * said[-1].epsilon


def second_order(said: list[Said], after: Level) -> Tensor:
    """DPM-Solver++ (2M), midpoint form (Lu et al. 2022, algorithm 2); first order at the ends."""
    now = said[-1]
    if len(said) == 1 or after.noise == 0:
        return first_order(said, after)
    before = said[-2]
    size = _log_ratio(after) - _log_ratio(now.level)
    ratio = (_log_ratio(now.level) - _log_ratio(before.level)) / size
    clean = now.clean + (now.clean - before.clean) / (2 * ratio)
    kept = after.noise / now.level.noise
    return kept * now.latents - after.signal * math.expm1(-size) * clean


def multistep(said: list[Said], after: Level) -> Tensor:
    """The linear multistep method of order 4 in the k-diffusion form (Karras et al. 2022)."""
    sigmas = [one.level.noise for one in said]
    out = said[-1].latents
    for number, one in enumerate(said):
        out = out + _lagrange_integral(sigmas, number, sigmas[-1], after.noise) * one.epsilon
    return out


def consistency(scaling: float, noises: Sequence[Tensor]) -> Rule:
    """A latent consistency model (Luo et al. 2023): a clean latent, and fresh noise on it."""

    def rule(said: list[Said], after: Level) -> Tensor:
        now = said[-1]
        time = float(now.level.time) * scaling
        skip, out = 0.25 / (time**2 + 0.25), time / math.sqrt(time**2 + 0.25)
        clean = out * now.clean + skip * now.latents
        if after.noise == 0:
            return clean
        return after.signal * clean + after.noise * noises[now.level.index].to(clean)

    return rule


def schedule(
    noising: Any,
    prediction: str,
    sampler: str,
    steps: int,
    shape: tuple[int, int, int],
    *,
    device: torch.device,
    seeds: Sequence[int] | None = None,
) -> Schedule:
    """A fresh schedule over a model's noising process, a scheduler of diffusers.

    Raises
    ------
    ConfigError : no such sampler, one that is not of this model's kind, or no seeds for one
        that draws.
    """
    _check(sampler, prediction, steps)
    solver = _solver(noising, sampler, steps, shape, device)
    levels = _levels(solver, sampler)
    if sampler == "lcm":
        scaling = float(solver.config.timestep_scaling)
        rule = consistency(scaling, _fresh(seeds, steps - 1, shape))
        return Steps(levels, rule, prediction)
    first = float(solver.init_noise_sigma) if sampler in ("euler", "lms") else 1.0
    rules: dict[str, Rule] = {"dpm": second_order, "lms": multistep}
    rule = rules.get(sampler, first_order)
    return Steps(levels, rule, prediction, first, _ORDERS.get(sampler, 1))


def own_sampler(noising: Any) -> str:
    """The sampler that a model's own scheduler stands for.

    Raises
    ------
    ConfigError : nobody knows that scheduler.
    """
    kind = str(noising.config.get("_class_name", type(noising).__name__))
    if kind not in OWN:
        raise ConfigError(
            f"no schedule is known for {kind}",
            expected=" | ".join(OWN),
            found=kind,
            fix="name a sampler (guidance.sampler=ddim), or put another scheduler into the folder",
        )
    return OWN[kind]


def seeded_noise(seed: int, shape: tuple[int, int, int], *, skip: int = 0) -> Tensor:
    """Unit noise of one picture, drawn on the CPU; ``skip`` earlier draws are passed over."""
    stream = torch.Generator().manual_seed(seed)
    for _ in range(skip):
        torch.randn(shape, generator=stream)
    return torch.randn(shape, generator=stream)


def _fresh(seeds: Sequence[int] | None, draws: int, shape: tuple[int, int, int]) -> list[Tensor]:
    """Noise between the steps; the first draw of each seed was its start noise."""
    if draws > 0 and seeds is None:
        raise ConfigError(
            "this sampler adds noise between its steps, each picture's from its own seed",
            expected="seeds",
            found="none",
            fix="give the seeds of the pictures, or take one step",
        )
    return [
        torch.stack([seeded_noise(seed, shape, skip=1 + draw) for seed in seeds or ()])
        for draw in range(draws)
    ]


def _check(sampler: str, prediction: str, steps: int) -> None:
    if sampler not in _KINDS:
        raise ConfigError(
            f"there is no sampler {sampler!r}", expected=" | ".join(_KINDS), found=sampler,
            fix="choose one of these",
        )  # fmt: skip
    if (sampler == "flow") != (prediction == "flow"):
        raise ConfigError(
            f"the sampler {sampler} does not belong to a model that predicts {prediction}",
            expected="flow" if prediction == "flow" else "any but flow",
            found=sampler,
            fix="leave the sampler out, which takes the model's own",
        )
    if steps < 1:
        raise ConfigError("no steps", expected="1 or more", found=steps, fix="set more steps")


def _solver(
    noising: Any, sampler: str, steps: int, shape: tuple[int, int, int], device: torch.device
) -> Any:
    with warnings.catch_warnings():  # its way to NumPy is about to be renamed
        warnings.simplefilter("ignore", DeprecationWarning)
        made = getattr(diffusers(), _KINDS[sampler]).from_config(noising.config)
        more = {"mu": _shift(made.config, shape)} if made.config.get("use_dynamic_shifting") else {}
        try:
            made.set_timesteps(steps, device=device, **more)
        except ValueError as error:
            raise ConfigError(
                f"{steps} steps do not suit the sampler {sampler}",
                expected="what the model was made for",
                found=str(error),
                fix="take fewer steps",
            ) from error
    return made


def _shift(config: Any, shape: tuple[int, int, int]) -> float:
    """Shift of the levels by the number of tokens (patches of 2), between two given points."""
    tokens = shape[1] // 2 * (shape[2] // 2)
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return float(low + (high - low) * (tokens - few) / (many - few))


def _levels(solver: Any, sampler: str) -> list[Level]:
    """Levels of the steps, and where the last step leads."""
    times = list(solver.timesteps)
    if sampler in ("ddim", "lcm"):
        kept = [float(solver.alphas_cumprod[int(time)]) for time in times]
        kept.append(float(solver.final_alpha_cumprod) if sampler == "ddim" else 1.0)
        pairs = [(math.sqrt(share), math.sqrt(1 - share), 1.0) for share in kept]
    else:
        forms = {"flow": _flow, "dpm": _preserving}
        pairs = [forms.get(sampler, _exploding)(float(sigma)) for sigma in solver.sigmas]
    last = torch.zeros_like(times[-1])
    return [
        Level(index, time, signal, noise, scale)
        for index, (time, (signal, noise, scale)) in enumerate(
            zip([*times, last], pairs, strict=True)
        )
    ]


def _flow(sigma: float) -> tuple[float, float, float]:
    return 1 - sigma, sigma, 1.0


def _preserving(sigma: float) -> tuple[float, float, float]:
    size = math.hypot(1, sigma)
    return 1 / size, sigma / size, 1.0


def _exploding(sigma: float) -> tuple[float, float, float]:
    return 1.0, sigma, 1 / math.hypot(1, sigma)


def _log_ratio(level: Level) -> float:
    return math.log(level.signal / level.noise)


def _lagrange_integral(points: Sequence[float], number: int, low: float, high: float) -> float:
    """Integral of the polynomial that is 1 at one of ``points`` and 0 at the others."""
    others = [point for index, point in enumerate(points) if index != number]
    polynomial = np.poly1d(others, r=True) if others else np.poly1d([1.0])
    integral = np.polyint(polynomial / polynomial(points[number]))
    return float(integral(high) - integral(low))
