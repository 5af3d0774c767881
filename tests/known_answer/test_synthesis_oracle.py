"""Guidance where the answer is known: a Gaussian prior and a linear reward.

The reward tilts the prior by a shift that is known exactly; the start noise is not tilted, which
leaves 1 - sqrt(alpha_bar) of it (research notes on synthesis, section 5a). What public code does
instead deviates by factors that are known as well.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from neuroattn.generators.contract import Level
from neuroattn.synthesis.drawing import Scene
from neuroattn.synthesis.guidance_schemas import (
    BrainDiveConfig,
    FlowConfig,
    Gradient,
    UnguidedConfig,
    WindowedConfig,
    X0Config,
)
from neuroattn.synthesis.steering import X0, BrainDive, Flow, Unguided, Windowed
from tests.gaussian_generator import Gaussian

STEPS, FEW, SEEDS, RAW = 200, 40, (3, 4), Gradient.raw
SLOW = pytest.mark.slow
FORMS = [
    ("epsilon", "ddim"), ("v_prediction", "dpm"), ("flow", "flow"), ("v_prediction", "euler"),
    *(
        pytest.param(*form, marks=SLOW)
        for form in (
            ("epsilon", "dpm"), ("v_prediction", "ddim"), ("sample", "ddim"), ("epsilon", "euler"),
        )
    ),
]  # fmt: skip


class AtTheNoisyLatent(X0):
    """What is shown to the guide is the noisy latent itself."""

    def estimate(self, clean: Tensor, noisy: Tensor, level: Level) -> Tensor:
        return noisy


class Detached(Gaussian):
    """A network through which no gradient passes."""

    def predict(self, *given, **named) -> Tensor:
        return super().predict(*given, **named).detach()


def generator(prediction: str, sampler: str, kind: type[Gaussian] = Gaussian) -> Gaussian:
    return kind(prediction, sigmas=sampler in ("euler", "lms"))


@cache
def unguided(prediction: str, sampler: str, steps: int) -> Tensor:
    prior = generator(prediction, sampler)
    alone = Unguided(UnguidedConfig(steps=steps, sampler=sampler))
    return alone.draw(Scene(prior, prior.reward), SEEDS).pixels


def shift(prior: Gaussian, method: Any, sampler: str) -> Tensor:
    """What guidance has added to each sample (images, 48)."""
    guided = method.draw(Scene(prior, prior.reward), SEEDS)
    assert not guided.failed.any()
    before = unguided(prior.prediction, sampler, method.config.steps)
    return (guided.pixels - before).flatten(1)


def exact(prior: Gaussian, sampler: str) -> Tensor:
    return prior.shift(prior.schedule(STEPS, sampler).levels[0])


def ratio(prior: Gaussian, method: Any, sampler: str, scale: float = 1.0) -> float:
    """The gain in reward over the exact one."""
    return share(prior, shift(prior, method, sampler), sampler, scale)


def share(prior: Gaussian, change: Tensor, sampler: str, scale: float = 1.0) -> float:
    gains = change @ prior.weight
    assert torch.allclose(gains, gains[:1], rtol=1e-9), "the gain is one number for all noise"
    return float(gains[0] / (scale * exact(prior, sampler) @ prior.weight))


def x0(sampler: str, scale: float = 1.0, steps: int = FEW) -> X0Config:
    return X0Config(steps=steps, sampler=sampler, scale=scale)


@pytest.mark.parametrize(("prediction", "sampler"), FORMS)
def test_x0_gains_what_the_formula_says(prediction: str, sampler: str) -> None:
    prior = generator(prediction, sampler)
    change = shift(prior, X0(x0(sampler, steps=STEPS)), sampler)
    assert abs(share(prior, change, sampler) - 1) < 0.01
    assert torch.allclose(change, exact(prior, sampler), atol=0.01 * float(change.abs().max()))


def test_a_scale_is_a_factor() -> None:
    prior = generator("epsilon", "ddim")
    assert abs(ratio(prior, X0(x0("ddim", 3.0)), "ddim", 3.0) - 1) < 0.01


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("method", [X0, Windowed])
def test_a_unit_gradient_is_the_same_share_of_the_noise_in_every_form(
    prediction: str, method: type
) -> None:
    kind, more = (X0Config, {}) if method is X0 else (WindowedConfig, {"start": 0.4})
    found = {}
    for sampler in ("ddim", "euler"):
        prior = generator(prediction, sampler)
        config = kind(steps=FEW, sampler=sampler, scale=0.5, gradient=Gradient.unit, **more)
        found[sampler] = shift(prior, method(config), sampler)
    away = found["euler"] - found["ddim"]
    assert float(away.norm()) < 0.05 * float(found["ddim"].norm())


@pytest.mark.parametrize(("prediction", "sampler"), [("epsilon", "dpm"), ("v_prediction", "ddim")])
def test_the_published_blend_overshoots_and_leaves_the_manifold(
    prediction: str, sampler: str
) -> None:
    prior = generator(prediction, sampler)
    config = BrainDiveConfig(steps=FEW, sampler=sampler, scale=1.0, attention=0.0)
    change = shift(prior, BrainDive(config), sampler)
    assert 1.25 < share(prior, change, sampler) < 1.4
    off = prior.off_manifold(change)
    assert float(off.min()) > 3.5 * float(prior.off_manifold(exact(prior, sampler)))


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
def test_a_gradient_at_the_noisy_latent_is_another_quantity(prediction: str) -> None:
    prior = generator(prediction, "ddim")
    assert 4 < ratio(prior, AtTheNoisyLatent(x0("ddim")), "ddim") < 5


@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
def test_a_gradient_that_does_not_pass_the_network_is_far_off(sampler: str) -> None:
    prior = generator("epsilon", sampler, Detached)
    assert 18 < ratio(prior, X0(x0(sampler)), sampler) < 25


def test_a_window_of_everything_is_x0_and_a_part_of_it_is_less() -> None:
    prior = generator("epsilon", "ddim")

    def window(**given: float) -> Windowed:
        more = {"start": 0.0, **given}
        return Windowed(WindowedConfig(steps=FEW, sampler="ddim", scale=1.0, gradient=RAW, **more))

    whole = shift(prior, window(), "ddim")
    assert torch.equal(whole, shift(prior, X0(x0("ddim")), "ddim"))
    assert 0.02 < ratio(prior, window(start=0.4), "ddim") < 0.98
    assert abs(ratio(prior, window(every=4), "ddim") - 1) < 0.08


def test_the_cap_of_flow_lowers_the_gain_and_without_it_flow_is_x0() -> None:
    prior = generator("flow", "flow")
    found = [
        ratio(prior, Flow(FlowConfig(steps=FEW, scale=1.0, cap=cap)), "flow")
        for cap in (1.0, 5.0, 1e9)
    ]
    assert found == sorted(found)
    assert 0.5 < found[0] < 0.7
    assert 0.85 < found[1] < 0.95
    assert found[2] == pytest.approx(ratio(prior, X0(x0("flow")), "flow"), rel=1e-12)


def test_a_flipped_sign_lowers_by_as_much() -> None:
    prior = generator("epsilon", "ddim")
    prior.weight = -prior.weight
    down = shift(prior, X0(x0("ddim")), "ddim")
    prior.weight = -prior.weight
    assert torch.allclose(down, -shift(prior, X0(x0("ddim")), "ddim"), atol=1e-9)


@pytest.mark.parametrize("method", [X0, BrainDive])
def test_a_picture_does_not_depend_on_its_chunk_in_double_precision(method: type) -> None:
    prior = generator("epsilon", "dpm")
    kind = X0Config if method is X0 else BrainDiveConfig
    more = {} if method is X0 else {"attention": 0.0}
    config = kind(steps=20, sampler="dpm", scale=5.0, **more)
    scene = Scene(prior, lambda pixels: torch.tanh(prior.reward(pixels)))
    together = method(config).draw(scene, [7, 8, 9, 10]).pixels
    alone = method(config).draw(scene, [9]).pixels
    assert float((together[2] - alone[0]).abs().max()) < 1e-12
