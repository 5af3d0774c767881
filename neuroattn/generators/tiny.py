"""A tiny autoencoder over the same latents: the cheap way from a latent to pixels in guidance.

Its encoder gives the autoencoder's latents in the generator's units, its decoder reads them
(the arrangement of TAESD): ``scaling_factor`` is 1, and nothing is shifted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.features.pretrained import read_network
from neuroattn.generators.autoencoder import drawn_scenes, edge_error, evaluated, psnr
from neuroattn.generators.latents import WithRows, scene_latents
from neuroattn.generators.library import diffusers
from neuroattn.generators.making import Made, Maker, Workplace, seeded, trained
from neuroattn.generators.registry import TinyAutoencoderConfig
from neuroattn.generators.scenes import Side, in_words
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.selection import SelectionSet


class TinyNetwork(nn.Module):
    """Pixels in [-1, 1] and their latents, each to the other."""

    def __init__(self, tiny: Any) -> None:
        super().__init__()
        self.tiny = tiny

    def forward(self, pixels: Tensor, latents: Tensor) -> tuple[Tensor, Tensor]:
        """Latents of the pixels, and pixels of the latents."""
        return self.tiny.encode(pixels).latents, self.tiny.decode(latents).sample


def network(config: TinyAutoencoderConfig, channels: int) -> TinyNetwork:
    """An untrained one for latents with so many channels."""
    widths, blocks = (config.width,) * 4, (config.blocks,) * 4
    tiny = diffusers().AutoencoderTiny(
        encoder_block_out_channels=widths, decoder_block_out_channels=widths,
        num_encoder_blocks=blocks, num_decoder_blocks=blocks, latent_channels=channels,
    )  # fmt: skip
    return TinyNetwork(tiny)


@dataclass(frozen=True)
class TinyTask:
    """Absolute error of pixels and edges, squared error of the autoencoder's latents."""

    config: TinyAutoencoderConfig

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch of pixels in [0, 1]."""
        return self._parts(model, batch)[0]

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """Loss, peak signal-to-noise ratio of the decoder in dB, squared error of the encoder."""
        sums, rows = torch.zeros(3, dtype=torch.float64), 0
        for batch in loader:
            parts = [float(part) for part in self._parts(model, batch)]
            sums += torch.tensor(parts, dtype=torch.float64) * len(batch["pixels"])
            rows += len(batch["pixels"])
        loss, squared, latent = (sums / rows).tolist()
        return {"loss": loss, "psnr": psnr(squared), "latent_error": latent}

    def _parts(self, model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        pixels, wanted = 2 * batch["pixels"] - 1, batch["latents"]
        latents, out = model(pixels, wanted)
        latent = functional.mse_loss(latents, wanted)
        wrong = functional.l1_loss(out, pixels) + self.config.edge_weight * edge_error(out, pixels)
        squared = ((out - pixels) / 2).square().mean()
        return wrong + self.config.latent_weight * latent, squared, latent


def train(config: TinyAutoencoderConfig, place: Workplace) -> Made:
    """Train it, or resume; it needs the autoencoder."""
    vae = place.needed("autoencoder")
    plain, scenes = drawn_scenes(config, place)
    name, chunk = place.identity_of("autoencoder"), config.scenes.chunk
    sources = {
        side: WithRows(one, {"latents": scene_latents(one.sets[0], vae, name, chunk)["mean"]})
        for side, one in scenes.items()
    }
    held = SelectionSet("held", scenes[Side.held].ids, sources[Side.held])
    data = replace(plain, train=sources[Side.train], selection=held)
    model = seeded(config, lambda: network(config, vae.config.latent_channels))
    task = TinyTask(config)
    outcome = trained(model, task, data, config, place)
    scores = evaluated(task, model, sources, config, place)

    def save(folder: Path) -> None:
        tiny: Any = model.tiny
        tiny.half().save_pretrained(folder)

    return Made(save, scores, outcome.steps)


def read(folder: Path, device: torch.device) -> Any:
    """The tiny autoencoder in a folder, frozen, in single precision."""
    tiny: Any = read_network(diffusers().AutoencoderTiny, folder, torch_dtype=torch.float32)
    return tiny.to(device).eval().requires_grad_(False)


MAKER = Maker(
    about="AutoencoderTiny over the autoencoder's latents, for gradients through the decoder.",
    limits="Softer than the autoencoder; for guidance, not for the last picture.",
    data=lambda config: f"{in_words(config.scenes, drawn=True)}; and their latents",
    train=train,
    read=read,
)
