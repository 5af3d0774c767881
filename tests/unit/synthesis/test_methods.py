"""Methods on the Gaussian generator: failures, sizes, baselines, passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import derive_seed
from neuroattn.generators.contract import Condition
from neuroattn.generators.families.opening import open_folder
from neuroattn.synthesis.attending import blur, degraded, self_attention_guided
from neuroattn.synthesis.drawing import Scene, shifted, sized
from neuroattn.synthesis.guidance_schemas import (
    BestOfNConfig,
    BrainDiveConfig,
    Gradient,
    NoiseOptimisationConfig,
    UnguidedConfig,
    WindowedConfig,
    X0Config,
)
from neuroattn.synthesis.noise_optimisation import NoiseOptimisation, unlikelihood
from neuroattn.synthesis.selection import BestOfN
from neuroattn.synthesis.steering import X0, BrainDive, Unguided, Windowed
from tests.gaussian_generator import Gaussian
from tests.tiny_generator import tiny_generator

STEPS = 10


@pytest.fixture(scope="module")
def prior() -> Gaussian:
    return Gaussian()


def scene(prior: Gaussian) -> Scene:
    return Scene(prior, prior.reward)


def x0(**given: object) -> X0:
    return X0(X0Config(**{"steps": STEPS, "scale": 1.0, **given}))


class Poisoned:
    """A value whose gradient is no number for one picture of the chunk."""

    def __init__(self, prior: Gaussian, row: int) -> None:
        self.prior, self.row = prior, row

    def __call__(self, pixels: Tensor) -> Tensor:
        factor = torch.ones(len(pixels), dtype=pixels.dtype)
        factor[self.row] = torch.nan
        return self.prior.reward(pixels) * factor


def test_a_gradient_that_is_no_number_fails_its_picture_alone(prior) -> None:
    seeds = [1, 2, 3]
    whole = x0().draw(scene(prior), seeds)
    drawn = x0().draw(Scene(prior, Poisoned(prior, 1)), seeds)
    assert drawn.failed.tolist() == [False, True, False]
    assert torch.equal(drawn.pixels[[0, 2]], whole.pixels[[0, 2]])
    assert torch.isfinite(drawn.pixels).all()
    other = NoiseOptimisation(NoiseOptimisationConfig(iterations=2, steps=2))
    failed = other.draw(Scene(prior, Poisoned(prior, 0)), seeds).failed
    assert failed.tolist() == [True, False, False]


def test_unit_gradients_have_one_size_for_every_picture() -> None:
    gradient = torch.randn(3, 2, 4, 4) * torch.tensor([1e-6, 1.0, 1e6]).view(3, 1, 1, 1)
    unit = sized(gradient, Gradient.unit)
    assert torch.allclose(unit.square().flatten(1).mean(1), torch.ones(3), rtol=1e-4)
    assert torch.equal(sized(gradient, Gradient.raw), gradient)
    assert not sized(torch.zeros(1, 2, 2, 2), Gradient.unit).any()


class Half(Gaussian):
    """A network in half precision, as far as its gradient goes."""

    def predict(self, latents: Tensor, *given, **named) -> Tensor:
        return super().predict(latents.half().to(latents.dtype), *given, **named)


def test_responses_in_small_units_have_their_gradient_through_half_precision() -> None:
    prior, seeds = Half(), [1, 2]

    def small(pixels: Tensor) -> Tensor:
        return prior.reward(pixels) * 2.0**-40

    def drawn(method) -> list[Tensor]:
        return [method.draw(Scene(prior, one), seeds).pixels for one in (prior.reward, small)]

    assert torch.equal(*drawn(x0(gradient=Gradient.unit)))
    noise = NoiseOptimisationConfig(iterations=3, steps=2, likelihood=0.0, clip=1e-20)
    assert torch.equal(*drawn(NoiseOptimisation(noise)))


def test_the_same_call_gives_the_same_bits_and_no_scale_is_no_guidance(prior) -> None:
    first = x0().draw(scene(prior), [5, 6])
    torch.manual_seed(9)
    assert torch.equal(first.pixels, x0().draw(scene(prior), [5, 6]).pixels)
    alone = Unguided(UnguidedConfig(steps=STEPS)).draw(scene(prior), [5, 6])
    assert torch.equal(x0(scale=0.0).draw(scene(prior), [5, 6]).pixels, alone.pixels)
    assert torch.equal(x0().unguided().draw(scene(prior), [5, 6]).pixels, alone.pixels)


def test_passes_are_counted(prior) -> None:
    counted = {}
    for name, method in {
        "x0": x0(),
        "braindive": BrainDive(BrainDiveConfig(steps=STEPS, attention=0.0)),
        "windowed": Windowed(WindowedConfig(steps=STEPS, start=0.4, every=2)),
    }.items():
        one = scene(prior)
        method.draw(one, [1])
        counted[name] = (one.account.network, one.account.network_gradient, one.account.decoder)
    assert counted == {"x0": (10, 10, 11), "braindive": (20, 10, 11), "windowed": (10, 3, 4)}


def test_the_guide_is_shown_a_picture_that_moves_from_step_to_step(prior) -> None:
    ramp = torch.arange(16.0).expand(2, 3, 16, 16)
    moved = [shifted(ramp, 0.125, step) for step in range(9)]
    assert {one.shape for one in moved} == {ramp.shape}
    away = {float(one[0, 0, 8, 8]) - 8 for one in moved}
    assert away <= {-2, -1, 0, 1, 2}, "an eighth of 16"
    assert len(away) > 2, "another at each step"
    assert torch.equal(moved[4][0], moved[4][1]), "one for all pictures of the chunk"
    assert torch.equal(shifted(ramp, 0.0, 4), ramp)

    config = WindowedConfig(steps=STEPS, gradient=Gradient.raw, scale=1.0, start=0.0)
    still, moving, again = (
        Windowed(replace(config, shift=share)).draw(scene(prior), [1]).pixels
        for share in (0.0, 0.5, 0.5)
    )
    assert not torch.equal(still, moving)
    assert torch.equal(moving, again)


def test_best_of_n_keeps_the_highest_of_its_draws(prior) -> None:
    config = BestOfNConfig(steps=STEPS, draws=3)
    best = BestOfN(config).draw(scene(prior), [1, 2])
    alone = Unguided(UnguidedConfig(steps=STEPS))
    draws = [alone.draw(scene(prior), [1, 2])] + [
        alone.draw(scene(prior), [derive_seed(seed, "draw", k) for seed in (1, 2)]) for k in (1, 2)
    ]
    values = torch.stack([prior.reward(one.pixels) for one in draws])
    assert torch.equal(prior.reward(best.pixels), values.amax(0))
    assert len(set(values.flatten().tolist())) == 6, "every draw has noise of its own"
    one = BestOfN(replace(config, draws=1)).draw(scene(prior), [1, 2])
    assert torch.equal(one.pixels, BestOfN(config).unguided().draw(scene(prior), [1, 2]).pixels)


def test_noise_optimisation_rises_keeps_the_best_and_stays_near_the_norm_of_noise(prior) -> None:
    config = NoiseOptimisationConfig(iterations=15, steps=2, lr=1.0, clip=1.0)
    before = NoiseOptimisation(config).unguided().draw(scene(prior), [1, 2])
    after = NoiseOptimisation(config).draw(scene(prior), [1, 2])
    assert (prior.reward(after.pixels) > prior.reward(before.pixels) + 0.5).all()
    wild = NoiseOptimisation(replace(config, lr=500.0)).draw(scene(prior), [1, 2])
    assert (prior.reward(wild.pixels) >= prior.reward(before.pixels)).all(), "the best is kept"
    start = prior.latents([1])
    norms = torch.tensor([3.0, 47**0.5, 12.0])
    scaled = torch.cat([start / start.norm() * norm for norm in norms])
    assert unlikelihood(scaled).argmin() == 1, "least where unit noise lies: sqrt(d - 1)"


def test_attention_guidance_needs_a_network_with_attention(prior) -> None:
    with pytest.raises(ConfigError, match=r"guidance.attention=0"):
        BrainDive(BrainDiveConfig(steps=2)).draw(scene(prior), [1])


def test_blurring_keeps_flat_latents_and_touches_attended_places_alone() -> None:
    flat = torch.full((1, 2, 8, 8), 3.0)
    assert torch.allclose(blur(flat), flat)
    latents = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    attention = torch.zeros(1, 4, 4)
    attention[0, 0, 0] = 16.0
    changed = (degraded(latents, attention) != latents).any(1)[0]
    assert changed[:2, :2].all()
    assert int(changed.sum()) == 4


class Worded:
    """A network that says 1 with the text and 0 without it, attends evenly, and knows no blur."""

    def predict(self, latents, level, condition, guidance=1.0):
        return torch.full_like(latents, guidance)

    def predict_attended(self, latents, level, condition):
        return torch.ones_like(latents), torch.zeros(len(latents), 4, 4)

    def x0(self, latents, prediction, level):
        return latents

    def epsilon(self, latents, prediction, level):
        return prediction

    def noised(self, clean, epsilon, level):
        return clean


def test_attention_guidance_does_not_undo_what_a_text_asks_for() -> None:
    latents, counted = torch.zeros(2, 4, 8, 8), []
    for guidance in (1.0, 7.5):
        one = Scene(Worded(), lambda pixels: pixels, text="a photo", guidance=guidance)
        said = self_attention_guided(one, latents, None, Condition(2, {}, {}), 0.75)
        assert (said == guidance).all(), "nothing was blurred, so nothing is added"
        counted.append(one.account.network)
    assert counted == [2, 4], "beside a text with it and without it"


@pytest.mark.parametrize("window", [(0.8, 0.4), (0.4, 0.42), (1.0, 1.0)])
def test_a_window_without_a_step_is_refused(window: tuple[float, float]) -> None:
    start, stop = window
    with pytest.raises(ConfigError, match="none of the 20 steps"):
        WindowedConfig(start=start, stop=stop)
    assert WindowedConfig(start=0.4, stop=0.45).window == (8, 9)


def test_the_published_recipe_runs_on_a_unet_and_attends(tmp_path: Path) -> None:
    generator = open_folder(tiny_generator(tmp_path / "generator"))

    def red(pixels: Tensor) -> Tensor:
        return pixels[:, 0].mean((1, 2)) - pixels[:, 2].mean((1, 2))

    config = BrainDiveConfig(steps=4, scale=2000.0)
    drawn = {}
    for attention in (0.0, 0.75):
        made = BrainDive(replace(config, attention=attention))
        for name, method in (("guided", made), ("unguided", made.unguided())):
            one = Scene(generator, red)
            drawn[name, attention] = method.draw(one, [1, 2]).pixels
            assert one.account.network == 4 * ((name == "guided") + 1 + (attention > 0))
    for attention in (0.0, 0.75):
        gained = red(drawn["guided", attention]) - red(drawn["unguided", attention])
        assert (gained > 0).all()
    assert not torch.equal(drawn["unguided", 0.0], drawn["unguided", 0.75])
