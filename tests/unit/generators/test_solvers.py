"""Our steps against those of diffusers, on the same predictions."""

from __future__ import annotations

import warnings

import diffusers
import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.generators.solvers import own_sampler, schedule, seeded_noise
from tests.unit.generators.families.pipelines import NOISING

SHAPE = (2, 4, 4)
KINDS = {
    "ddim": diffusers.DDIMScheduler, "dpm": diffusers.DPMSolverMultistepScheduler,
    "euler": diffusers.EulerDiscreteScheduler, "lms": diffusers.LMSDiscreteScheduler,
    "lcm": diffusers.LCMScheduler, "flow": diffusers.FlowMatchEulerDiscreteScheduler,
}  # fmt: skip
CASES = [
    (sampler, prediction)
    for sampler in KINDS
    for prediction in (["flow"] if sampler == "flow" else ["epsilon", "v_prediction", "sample"])
]


def _noising(sampler: str, prediction: str):
    if sampler == "flow":
        return KINDS["flow"](shift=3.0)
    more = {} if sampler in ("euler", "lms", "dpm") else {"clip_sample": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return KINDS[sampler](**NOISING, **more, prediction_type=prediction)


def _said(latents: torch.Tensor, level_index: int) -> torch.Tensor:
    return torch.tanh(latents.flip(-1) * 0.7 + level_index * 0.1)


@pytest.mark.parametrize(("sampler", "prediction"), CASES)
@pytest.mark.parametrize("steps", [1, 7])
def test_our_steps_are_those_of_diffusers(sampler: str, prediction: str, steps: int) -> None:
    noising, noise = _noising(sampler, prediction), seeded_noise(5, SHAPE)[None]
    ours = schedule(
        noising, prediction, sampler, steps, SHAPE, device=torch.device("cpu"), seeds=[5]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        noising.set_timesteps(steps)
    theirs = noise * (1.0 if sampler == "flow" else noising.init_noise_sigma)
    latents = ours.start(noise)
    assert torch.allclose(latents, theirs)
    stream = torch.Generator().manual_seed(5)
    torch.randn(SHAPE, generator=stream)  # the start noise
    named = {"generator": stream} if sampler == "lcm" else {}
    for level, time in zip(ours.levels, noising.timesteps, strict=True):
        assert float(level.time) == float(time)
        if sampler != "flow":
            seen = noising.scale_model_input(theirs, time)
            assert torch.allclose(seen, theirs * level.scale, rtol=1e-4, atol=1e-5)
        said = _said(latents * level.scale, level.index)
        latents = ours.step(said, level, latents)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            theirs = noising.step(said, time, theirs, **named).prev_sample
        assert torch.allclose(latents, theirs, rtol=1e-3, atol=2e-3), level.index


def test_levels_shift_with_the_number_of_tokens() -> None:
    noising = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    place = torch.device("cpu")
    small = schedule(noising, "flow", "flow", 4, (16, 32, 32), device=place).levels
    large = schedule(noising, "flow", "flow", 4, (16, 128, 128), device=place).levels
    assert all(a.noise < b.noise for a, b in zip(small[1:], large[1:], strict=True))


def test_what_does_not_suit_is_refused() -> None:
    place, noising = torch.device("cpu"), _noising("ddim", "epsilon")
    with pytest.raises(ConfigError, match="no sampler 'heun'"):
        schedule(noising, "epsilon", "heun", 4, SHAPE, device=place)
    with pytest.raises(ConfigError, match="does not belong"):
        schedule(noising, "epsilon", "flow", 4, SHAPE, device=place)
    with pytest.raises(ConfigError, match="no steps"):
        schedule(noising, "epsilon", "ddim", 0, SHAPE, device=place)
    with pytest.raises(ConfigError, match="noise between its steps"):
        schedule(noising, "epsilon", "lcm", 4, SHAPE, device=place)
    with pytest.raises(ConfigError, match="do not suit"):
        schedule(noising, "epsilon", "lcm", 400, SHAPE, device=place, seeds=[0])
    with pytest.raises(ConfigError, match="UniPCMultistepScheduler"):
        own_sampler(diffusers.UniPCMultistepScheduler())


def test_steps_are_taken_in_order() -> None:
    made = schedule(
        _noising("dpm", "epsilon"), "epsilon", "dpm", 3, SHAPE, device=torch.device("cpu")
    )
    noise = torch.zeros(1, *SHAPE)
    with pytest.raises(ConfigError, match="in order"):
        made.step(noise, made.levels[1], noise)
