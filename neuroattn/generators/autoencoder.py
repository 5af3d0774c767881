"""The autoencoder: pictures of 64 pixels to latents of 8 x 8 and back, as ``AutoencoderKL``.

Pixels enter and leave in [-1, 1], as everywhere in diffusers. A latent of the generator is
``(mean - shift_factor) * scaling_factor``; both are measured on training scenes and written
into the model's own configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.features.backbones import Backbone
from neuroattn.features.pretrained import read_network
from neuroattn.generators.library import diffusers
from neuroattn.generators.making import Made, Maker, Workplace, image_network, seeded, trained
from neuroattn.generators.perceptual import perceptual_distance
from neuroattn.generators.registry import AutoencoderConfig, ModelConfig
from neuroattn.generators.scenes import SceneSource, Side, drawn_sets, in_words
from neuroattn.training.batches import Batch, BatchSource, EvaluationLoader
from neuroattn.training.selection import SelectionSet, TrainingData

SIDE = 64
_MEASURED = 2000  # training scenes on which the scale of latents is measured


class AutoencoderNetwork(nn.Module):
    """Pixels to their reconstruction, and the divergence of the latents."""

    def __init__(self, vae: Any) -> None:
        super().__init__()
        self.vae = vae

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction of pixels in [-1, 1], and the divergence summed over each latent."""
        posterior = self.vae.encode(pixels).latent_dist
        latents = posterior.sample() if self.training else posterior.mode()
        out: Tensor = self.vae.decode(latents).sample
        return out, posterior.kl()


def network(config: AutoencoderConfig) -> AutoencoderNetwork:
    """An untrained autoencoder."""
    stages = len(config.widths)
    vae = diffusers().AutoencoderKL(
        in_channels=3, out_channels=3, sample_size=SIDE,
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        block_out_channels=tuple(config.widths), layers_per_block=1,
        latent_channels=config.latent_channels, norm_num_groups=config.norm_groups,
        scaling_factor=1.0, shift_factor=0.0,
    )  # fmt: skip
    return AutoencoderNetwork(vae)


@dataclass(frozen=True)
class AutoencoderTask:
    """Absolute error of pixels and edges, what an image network sees, and a little divergence.

    Parameters
    ----------
    eyes : the frozen image network; None where ``perceptual_weight`` is 0.
    """

    config: AutoencoderConfig
    eyes: Backbone | None

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch of pixels in [0, 1]."""
        pixels = 2 * batch["pixels"] - 1
        out, divergence = model(pixels)
        per_value = divergence.mean() / pixels[0].numel()
        wrong = functional.l1_loss(out, pixels) + self.config.edge_weight * edge_error(out, pixels)
        total: Tensor = wrong + self.config.kl_weight * per_value
        if self.eyes is not None:
            seen = perceptual_distance(self.eyes, (out + 1) / 2, batch["pixels"])
            total = total + self.config.perceptual_weight * seen
        return total

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """Loss, and the peak signal-to-noise ratio in dB."""
        total, squared, rows = 0.0, 0.0, 0
        for batch in loader:
            count = len(batch["pixels"])
            out, _ = model(2 * batch["pixels"] - 1)
            error = ((out.clamp(-1, 1) + 1) / 2 - batch["pixels"]).square().mean()
            total += float(self.loss(model, batch)) * count
            squared, rows = squared + float(error) * count, rows + count
        return {"loss": total / rows, "psnr": psnr(squared / rows)}


def eyes(config: AutoencoderConfig, device: torch.device) -> Backbone | None:
    """The image network of the perceptual loss, if it has a weight."""
    if config.perceptual_weight == 0:
        return None
    return image_network(config.backbone, SIDE, device)


def edge_error(out: Tensor, pixels: Tensor) -> Tensor:
    """Mean absolute error of differences between neighbours, over both directions."""
    wrong = out - pixels
    return (wrong.diff(dim=-1).abs().mean() + wrong.diff(dim=-2).abs().mean()) / 2


def psnr(mean_square: float) -> float:
    """Peak signal-to-noise ratio in dB of a mean squared error of pixels in [0, 1]."""
    return float(-10 * np.log10(max(mean_square, 1e-12)))


def drawn_scenes(
    config: ModelConfig, place: Workplace
) -> tuple[TrainingData, dict[Side, SceneSource]]:
    """Scenes as a generator draws them by side, and what the training loop reads of them."""
    sets = drawn_sets(place.cache, config.scenes, config.seed)
    sources = {side: SceneSource([one], SIDE) for side, one in sets.items()}
    data = TrainingData(
        train=sources[Side.train],
        train_images=sets[Side.train].ids,
        selection=SelectionSet("held", sets[Side.held].ids, sources[Side.held]),
        test_images=sets[Side.unseen].ids,
    )
    return data, sources


def evaluated(
    task: Any, model: nn.Module, sources: Mapping[Side, BatchSource], config: ModelConfig,
    place: Workplace,
) -> dict[str, float]:  # fmt: skip
    """What the task says of held-out scenes, by seen and unseen sources."""
    found: dict[str, float] = {}
    for side in (Side.held, Side.unseen):
        loader = EvaluationLoader(sources[side], config.training.batch_size, place.device)
        with torch.no_grad():
            got = task.evaluate(model.eval(), loader)
        found |= {f"{side.value}.{name}": value for name, value in got.items()}
    return found


def train(config: AutoencoderConfig, place: Workplace) -> Made:
    """Train the autoencoder, or resume."""
    data, sources = drawn_scenes(config, place)
    model = seeded(config, lambda: network(config))
    task = AutoencoderTask(config, eyes(config, place.device))
    outcome = trained(model, task, data, config, place)
    scores = evaluated(task, model, sources, config, place)
    vae: Any = model.vae
    shift, scale = measured(vae, sources[Side.train], place.device)
    vae.register_to_config(scaling_factor=scale, shift_factor=shift)

    def save(folder: Path) -> None:
        vae.half().save_pretrained(folder)

    return Made(save, scores | {"latent.sd": 1 / scale}, outcome.steps)


def measured(vae: Any, source: SceneSource, device: torch.device) -> tuple[float, float]:
    """Mean of the latents of training scenes, and one over their deviation."""
    parts = []
    rng = np.random.default_rng(0)  # the source draws nothing
    rows = np.arange(min(_MEASURED, len(source)))
    for start in range(0, len(rows), 64):
        pixels = source.batch(rows[start : start + 64], rng)["pixels"].to(device)
        with torch.no_grad():
            parts.append(vae.encode(2 * pixels - 1).latent_dist.mode().cpu().double())
    latents = torch.cat(parts)
    return float(latents.mean()), float(1 / latents.std())


def read(folder: Path, device: torch.device) -> Any:
    """The autoencoder in a folder, frozen, in single precision."""
    vae: Any = read_network(diffusers().AutoencoderKL, folder, torch_dtype=torch.float32)
    return vae.to(device).eval().requires_grad_(False)


@torch.no_grad()
def remade(vae: Any, pixels: Float[Tensor, "images 3 side side"]) -> Tensor:
    """Pictures in [0, 1] as the autoencoder gives them back, on its device."""
    latents = vae.encode(2 * pixels.to(vae.device) - 1).latent_dist.mode()
    out: Tensor = vae.decode(latents).sample
    return ((out + 1) / 2).clamp(0, 1)


def to_latents(vae: Any, mean: Float[Tensor, "images channels rows columns"]) -> Tensor:
    """The encoder's mean, in the generator's units."""
    latents: Tensor = (mean - (vae.config.shift_factor or 0.0)) * vae.config.scaling_factor
    return latents


def from_latents(vae: Any, latents: Float[Tensor, "images channels rows columns"]) -> Tensor:
    """Latents in the generator's units, in those of the decoder."""
    given: Tensor = latents / vae.config.scaling_factor + (vae.config.shift_factor or 0.0)
    return given


MAKER = Maker(
    about="Autoencoder of simulated scenes of 64 pixels: AutoencoderKL, latents of 8 x 8.",
    limits="Scenes of 64 pixels alone; fine print and faces come out soft.",
    data=lambda config: in_words(config.scenes, drawn=True),
    train=train,
    read=read,
)
