"""A generator whose answers are known: a Gaussian prior, with the network in closed form.

For x = a clean + b epsilon and clean ~ N(mean, cov), the best prediction of the noise is
b (a^2 cov + b^2)^-1 (x - a mean). A linear reward of weight g tilts the prior to
N(mean + g cov w, cov): what guidance has to add to every sample is known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from neuroattn.generators.contract import Condition, Identity, Level, Schedule
from neuroattn.generators.library import diffusers
from neuroattn.generators.parameters import clean_of, epsilon_of, steered
from neuroattn.generators.solvers import own_sampler, schedule, seeded_noise

DIM, LARGE = 48, 12


class Gaussian:
    """Latents (images, 3, 4, 4); 12 directions of variance 1 and 36 of variance 0.076.

    Parameters
    ----------
    prediction : epsilon, v_prediction, sample or flow.
    """

    def __init__(self, prediction: str = "epsilon", *, sigmas: bool = False) -> None:
        self.identity, self.prediction = Identity("gaussian", "test", "memory"), prediction
        stream = torch.Generator().manual_seed(0)
        made = torch.randn(DIM, DIM, generator=stream, dtype=torch.float64)
        self.basis = torch.linalg.qr(made).Q
        self.spread = torch.cat([torch.ones(LARGE), torch.full((DIM - LARGE,), 0.076)]).double()
        self.mean = torch.randn(DIM, generator=stream, dtype=torch.float64)
        self.weight = torch.randn(DIM, generator=stream, dtype=torch.float64) * DIM**-0.5
        self.scheduler = _noising(prediction, sigmas=sigmas)

    shape, device, dim = (3, 4, 4), torch.device("cpu"), None

    def latents(self, seeds: Sequence[int]) -> Tensor:
        return torch.stack([seeded_noise(seed, self.shape) for seed in seeds]).double()

    def schedule(
        self, steps: int, sampler: str | None = None, *, seeds: Sequence[int] | None = None
    ) -> Schedule:
        sampler = sampler or own_sampler(self.scheduler)
        return schedule(
            self.scheduler, self.prediction, sampler, steps, self.shape, device=self.device,
            seeds=seeds,
        )  # fmt: skip

    def condition(self, count: int, *, text: Any = None, embeddings: Any = None) -> Condition:
        assert text is None
        assert embeddings is None
        return Condition(count, {})

    def predict(
        self, latents: Tensor, level: Level, condition: Condition, guidance: float = 1.0
    ) -> Tensor:
        flat = latents.flatten(1)
        centred = (flat - level.signal * self.mean) @ self.basis
        shrunk = level.noise / (level.signal**2 * self.spread + level.noise**2)
        noise = ((centred * shrunk) @ self.basis.T).reshape(latents.shape)
        if self.prediction == "epsilon":
            return noise
        if level.signal == 0:  # flow at pure noise: the prior's mean is the best guess
            return latents - self.mean.reshape(self.shape)
        clean = (latents - level.noise * noise) / level.signal
        if self.prediction == "sample":
            return clean
        if self.prediction == "flow":
            return noise - clean
        size = (level.signal**2 + level.noise**2) ** 0.5
        return (level.signal * noise - level.noise * clean) / size

    def x0(self, latents: Tensor, prediction: Tensor, level: Level) -> Tensor:
        return clean_of(self.prediction, prediction, latents, level)

    def epsilon(self, latents: Tensor, prediction: Tensor, level: Level) -> Tensor:
        return epsilon_of(self.prediction, prediction, latents, level)

    def steered(self, prediction: Tensor, gradient: Tensor, level: Level) -> Tensor:
        return steered(self.prediction, prediction, gradient, level)

    def noised(self, clean: Tensor, epsilon: Tensor, level: Level) -> Tensor:
        return level.signal * clean + level.noise * epsilon

    def decode(self, latents: Tensor, *, guidance_path: bool = False) -> Tensor:
        return latents

    def encode(self, pixels: Tensor) -> Tensor:
        return pixels

    # What guidance has to do.

    def reward(self, pixels: Tensor) -> Tensor:
        """The linear reward of each picture."""
        return pixels.flatten(1) @ self.weight

    def shift(self, first: Level) -> Tensor:
        """What guidance of weight 1 adds to every sample (48,) that begins at this level.

        The covariance times the reward, less what is missing because the start noise is not
        tilted: the flow takes a shift of the latent along a direction of variance v to the shift
        of the sample times sqrt(v / (a^2 v + b^2)).
        """
        moved = (self.spread / (first.signal**2 * self.spread + first.noise**2)).sqrt()
        along = self.weight @ self.basis * self.spread * (1 - first.signal * moved)
        return along @ self.basis.T

    def off_manifold(self, change: Tensor) -> Tensor:
        """Share of the squared change (…, 48) along directions of small variance."""
        along = (change @ self.basis) ** 2
        return along[..., LARGE:].sum(-1) / along.sum(-1)


def _noising(prediction: str, *, sigmas: bool) -> Any:
    library = diffusers()
    if prediction == "flow":
        return library.FlowMatchEulerDiscreteScheduler()
    kind = library.EulerDiscreteScheduler if sigmas else library.DDIMScheduler
    more = {} if sigmas else {"clip_sample": False, "set_alpha_to_one": False}
    return kind(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear",
        timestep_spacing="trailing", prediction_type=prediction, **more,
    )  # fmt: skip
