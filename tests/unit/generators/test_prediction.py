from __future__ import annotations

import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.generators.prediction import (
    KNOWN,
    clean_from,
    clean_from_flow,
    clean_from_sigma,
    noise_from,
    target,
)

CLEAN, NOISE = (
    torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(n)).double() for n in (1, 2)
)
KEPT = torch.tensor([0.9, 0.2]).double().reshape(-1, 1, 1, 1)


@pytest.mark.parametrize("prediction", KNOWN)
def test_a_perfect_prediction_gives_the_clean_latent_and_the_noise(prediction: str) -> None:
    noisy = KEPT.sqrt() * CLEAN + (1 - KEPT).sqrt() * NOISE
    said = target(prediction, CLEAN, NOISE, KEPT)
    assert torch.allclose(clean_from(prediction, said, noisy, KEPT), CLEAN)
    assert torch.allclose(noise_from(prediction, said, noisy, KEPT), NOISE)


def test_the_other_forms_of_noising() -> None:
    sigma = torch.tensor(0.7).double()
    assert torch.allclose(clean_from_sigma(NOISE, CLEAN + sigma * NOISE, sigma), CLEAN)
    flowing = (1 - sigma) * CLEAN + sigma * NOISE
    assert torch.allclose(clean_from_flow(NOISE - CLEAN, flowing, sigma), CLEAN)


@pytest.mark.parametrize("prediction", KNOWN)
def test_the_library_agrees(prediction: str) -> None:
    from diffusers import DDIMScheduler

    scheduler = DDIMScheduler(prediction_type=prediction, clip_sample=False)
    scheduler.set_timesteps(10)
    step = int(scheduler.timesteps[4])
    kept = scheduler.alphas_cumprod[step].double()
    noisy = kept.sqrt() * CLEAN + (1 - kept).sqrt() * NOISE
    said = target(prediction, CLEAN, NOISE, kept)
    assert torch.allclose(scheduler.step(said, step, noisy).pred_original_sample, CLEAN, atol=1e-6)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(ConfigError, match="score"):
        target("score", CLEAN, NOISE, KEPT)
