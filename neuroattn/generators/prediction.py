"""What a diffusion network predicts, and how one quantity follows from another.

``kept`` is the share of signal power left, alpha-bar: x = sqrt(kept) clean + sqrt(1 - kept)
noise. The k-diffusion form has x = clean + sigma noise; flow matching has
x = (1 - sigma) clean + sigma noise and predicts noise - clean.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor

from neuroattn.core.errors import ConfigError

KNOWN: Final = ("epsilon", "v_prediction", "sample")


def target(prediction: str, clean: Tensor, noise: Tensor, kept: Tensor) -> Tensor:
    """What the network has to say (v: Salimans and Ho 2022, section 4).

    Raises
    ------
    ConfigError : an unknown prediction type.
    """
    check(prediction)
    if prediction == "epsilon":
        return noise
    if prediction == "sample":
        return clean
    return kept.sqrt() * noise - (1 - kept).sqrt() * clean


def clean_from(prediction: str, said: Tensor, noisy: Tensor, kept: Tensor) -> Tensor:
    """The clean latent that a prediction implies.

    Raises
    ------
    ConfigError : an unknown prediction type.
    """
    check(prediction)
    if prediction == "epsilon":
        return (noisy - (1 - kept).sqrt() * said) / kept.sqrt()
    if prediction == "sample":
        return said
    return kept.sqrt() * noisy - (1 - kept).sqrt() * said


def noise_from(prediction: str, said: Tensor, noisy: Tensor, kept: Tensor) -> Tensor:
    """The noise that a prediction implies; with ``sample``, ``kept`` must be below 1.

    Raises
    ------
    ConfigError : an unknown prediction type.
    """
    check(prediction)
    if prediction == "epsilon":
        return said
    if prediction == "v_prediction":
        return kept.sqrt() * said + (1 - kept).sqrt() * noisy
    return (noisy - kept.sqrt() * said) / (1 - kept).sqrt()


def clean_from_sigma(said: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
    """The clean latent of a predicted noise in the k-diffusion form."""
    return noisy - sigma * said


def clean_from_flow(velocity: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
    """The clean latent of a predicted velocity of flow matching."""
    return noisy - sigma * velocity


def check(prediction: str) -> None:
    """Refuse a prediction type that is not known."""
    if prediction not in KNOWN:
        raise ConfigError(
            f"no adapter knows the prediction type {prediction!r}",
            expected=" | ".join(KNOWN),
            found=prediction,
            fix="load a model whose scheduler has one of these prediction types",
        )
