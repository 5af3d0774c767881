from __future__ import annotations

import math

import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.generators.contract import Level
from neuroattn.generators.parameters import KNOWN, clean_of, epsilon_of, min_snr, steered, target

KEPT = 0.3
LEVELS = {
    "preserving": Level(1, torch.tensor(500), math.sqrt(KEPT), math.sqrt(1 - KEPT)),
    "exploding": Level(1, torch.tensor(500.0), 1.0, math.sqrt((1 - KEPT) / KEPT)),
    "flow": Level(1, torch.tensor(600.0), 0.4, 0.6),
}


def _made() -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(0)
    clean, epsilon = torch.randn(2, 5, dtype=torch.float64, generator=stream)
    return clean, epsilon


def _truth(prediction: str, clean: torch.Tensor, epsilon: torch.Tensor) -> torch.Tensor:
    kept = torch.tensor(KEPT, dtype=torch.float64)
    return target(prediction, clean, epsilon, kept.sqrt(), (1 - kept).sqrt())


CASES = [
    (prediction, form)
    for prediction in KNOWN
    for form in (["flow"] if prediction == "flow" else ["preserving", "exploding"])
]


@pytest.mark.parametrize(("prediction", "form"), CASES)
def test_a_true_prediction_gives_back_clean_latent_and_noise(prediction: str, form: str) -> None:
    (clean, epsilon), level = _made(), LEVELS[form]
    noisy = level.signal * clean + level.noise * epsilon
    said = _truth(prediction, clean, epsilon)
    assert torch.allclose(clean_of(prediction, said, noisy, level), clean)
    assert torch.allclose(epsilon_of(prediction, said, noisy, level), epsilon)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_library_agrees(prediction: str) -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(10)
    step = int(scheduler.timesteps[4])
    kept = scheduler.alphas_cumprod[step].double()
    clean, epsilon = _made()
    said = target(prediction, clean, epsilon, kept.sqrt(), (1 - kept).sqrt())
    noisy = kept.sqrt() * clean + (1 - kept).sqrt() * epsilon
    assert torch.allclose(scheduler.step(said, step, noisy).pred_original_sample, clean, atol=1e-6)


@pytest.mark.parametrize(("prediction", "form"), CASES)
def test_steering_is_the_prediction_of_a_tilted_gaussian(prediction: str, form: str) -> None:
    """A unit Gaussian times exp(w clean) is one around w: the score of its noisy form is known."""
    (clean, epsilon), level = _made(), LEVELS[form]
    noisy = level.signal * clean + level.noise * epsilon
    wanted = torch.linspace(-1, 1, 5, dtype=torch.float64)
    spread = level.signal**2 + level.noise**2

    def best(mean: torch.Tensor) -> torch.Tensor:
        rest = noisy - level.signal * mean
        guess = mean + level.signal / spread * rest
        return _truth(prediction, guess, level.noise / spread * rest)

    # The reward w clean, seen at the noisy latent through its one-step estimate.
    gradient = level.signal / spread * wanted
    found = steered(prediction, best(torch.zeros(5)), gradient, level)
    assert torch.allclose(found, best(wanted))


def test_what_is_not_known_is_refused() -> None:
    zero = torch.zeros(1)
    for function in (clean_of, epsilon_of, steered):
        with pytest.raises(ConfigError, match="score"):
            function("score", zero, zero, LEVELS["flow"])
    with pytest.raises(ConfigError, match="score"):
        target("score", zero, zero, zero, zero)
    with pytest.raises(ConfigError, match="only noise"):
        steered("flow", zero, zero, Level(0, zero, 0.0, 1.0))


@pytest.mark.parametrize(("prediction", "form"), CASES)
def test_weighted_errors_are_those_of_the_clean_latent_times_the_capped_ratio(
    prediction: str, form: str
) -> None:
    (clean, epsilon), level = _made(), LEVELS[form]
    noisy = level.signal * clean + level.noise * epsilon
    said = _truth(prediction, clean, epsilon)
    off = clean_of(prediction, said + 0.1, noisy, level) - clean_of(prediction, said, noisy, level)
    signal, noise = (
        torch.tensor(part, dtype=torch.float64) for part in (level.signal, level.noise)
    )
    for cap in (0.2, 100.0):
        weight = min_snr(prediction, signal, noise, cap)
        wanted = min(float((signal / noise) ** 2), cap) * off.square()
        assert torch.allclose(weight * 0.01, wanted)
    assert min_snr(prediction, signal, noise, None) == 1
