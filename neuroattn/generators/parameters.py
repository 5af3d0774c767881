"""What a prediction implies at a noise level, one formula for every parameterisation.

A noisy latent is ``signal * clean + noise * epsilon``. With ``size = hypot(signal, noise)``
(1 for diffusion, sqrt(1 + sigma^2) in the k-diffusion form), v is that of the latent divided by
``size``: v = (signal * epsilon - noise * clean) / size (Salimans and Ho 2022, section 4).
The flow is epsilon - clean, with signal = 1 - noise.
"""

from __future__ import annotations

from math import hypot
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.generators.contract import Level

KNOWN: Final = ("epsilon", "v_prediction", "sample", "flow")


def target(
    prediction: str, clean: Tensor, epsilon: Tensor, signal: Tensor, noise: Tensor
) -> Tensor:
    """What the network has to say of ``signal * clean + noise * epsilon``.

    Raises
    ------
    ConfigError : an unknown prediction type.
    """
    check(prediction)
    if prediction == "epsilon":
        return epsilon
    if prediction == "sample":
        return clean
    if prediction == "flow":
        return epsilon - clean
    return (signal * epsilon - noise * clean) / torch.hypot(signal, noise)


def clean_of(prediction: str, said: Tensor, noisy: Tensor, level: Level) -> Tensor:
    """The clean latent that a prediction implies.

    Raises
    ------
    ConfigError : an unknown prediction type.
    """
    check(prediction)
    size = hypot(level.signal, level.noise)
    if prediction == "epsilon":
        return (noisy - level.noise * said) / level.signal
    if prediction == "sample":
        return said
    if prediction == "flow":
        return noisy - level.noise * said
    return (level.signal / size * noisy - level.noise * said) / size


def min_snr(
    prediction: str, signal: Tensor, noise: Tensor, cap: float | None
) -> Float[Tensor, "*samples"]:
    """Weights of squared errors of predictions: of the clean latent's, min(SNR, cap).

    Hang et al. 2023, section 3.4: steps that are easy, or hopeless, take less of the training.

    Parameters
    ----------
    signal, noise : shares of the clean latent and of the noise, of one shape.
    cap : gamma of the paper (5); None leaves the plain squared error, weights of 1.

    Raises
    ------
    ConfigError : an unknown prediction type.
    """
    check(prediction)
    if cap is None:
        return torch.ones_like(signal)
    ratio, size = (signal / noise).square(), signal.square() + noise.square()
    to_clean = {  # square of what an error of the prediction does to the clean latent
        "epsilon": 1 / ratio,
        "sample": torch.ones_like(ratio),
        "flow": noise.square(),
        "v_prediction": noise.square() / size,
    }[prediction]
    return ratio.clamp(max=cap) * to_clean


def epsilon_of(prediction: str, said: Tensor, noisy: Tensor, level: Level) -> Tensor:
    """The noise that a prediction implies; with ``sample`` some noise must be left.

    Raises
    ------
    ConfigError : an unknown prediction type.
    """
    check(prediction)
    size = hypot(level.signal, level.noise)
    if prediction == "epsilon":
        return said
    if prediction == "sample":
        return (noisy - level.signal * said) / level.noise
    if prediction == "flow":
        return noisy + level.signal * said
    return (level.signal * said + level.noise / size * noisy) / size


def steered(prediction: str, said: Tensor, gradient: Tensor, level: Level) -> Tensor:
    """The prediction after ``gradient`` is added to the score at the latent itself.

    The score is ``-epsilon / noise``; the other forms follow from epsilon at a fixed latent.

    Raises
    ------
    ConfigError : an unknown prediction type, or no signal to steer at this level.
    """
    check(prediction)
    change = -level.noise * gradient
    if prediction == "epsilon":
        return said + change
    if level.signal <= 0:
        raise ConfigError(
            f"a score cannot steer a prediction of {prediction} where there is only noise",
            expected="a level with some signal",
            found=f"level {level.index} with signal {level.signal}",
            fix="begin guidance at a later step (the first step of flow matching has no signal)",
        )
    if prediction == "sample":
        return said - level.noise / level.signal * change
    if prediction == "flow":
        return said + change / level.signal
    return said + hypot(level.signal, level.noise) / level.signal * change


def check(prediction: str) -> None:
    """Refuse a prediction type that is not known."""
    if prediction not in KNOWN:
        raise ConfigError(
            f"no adapter knows the prediction type {prediction!r}",
            expected=" | ".join(KNOWN),
            found=prediction,
            fix="load a model whose scheduler has one of these prediction types",
        )


def of_scheduler(noising: Any) -> str:
    """What a model of diffusers predicts, as its scheduler says.

    Raises
    ------
    ConfigError : an unknown prediction type, or none.
    """
    kind = str(noising.config.get("prediction_type", "none"))
    check(kind)
    return kind
