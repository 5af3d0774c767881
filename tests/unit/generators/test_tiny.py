from __future__ import annotations

import torch

from neuroattn.generators.loading import load
from neuroattn.generators.registry import TinyAutoencoderConfig
from neuroattn.generators.tiny import TinyTask, network

CONFIG = TinyAutoencoderConfig(width=8)


def test_learning_lowers_the_loss() -> None:
    torch.manual_seed(0)
    model, task = network(CONFIG, 4), TinyTask(CONFIG)
    batch = {"pixels": torch.full((2, 3, 64, 64), 0.3), "latents": torch.ones(2, 4, 8, 8)}
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_it_speaks_the_autoencoder_s_latents(models) -> None:
    tiny, vae = load(models / "tiny_autoencoder"), load(models / "autoencoder")
    pixels = torch.rand(2, 3, 64, 64)
    assert tiny.config.latent_channels == vae.config.latent_channels
    assert tiny.encode(2 * pixels - 1).latents.shape == (2, 4, 8, 8)
    assert tiny.config.scaling_factor == 1
