from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from neuroattn.generators.autoencoder import (
    AutoencoderTask,
    edge_error,
    eyes,
    from_latents,
    measured,
    network,
    psnr,
    to_latents,
)
from neuroattn.generators.loading import load
from neuroattn.generators.perceptual import perceptual_distance
from neuroattn.generators.registry import AutoencoderConfig, ScenesConfig
from neuroattn.generators.scenes import SceneSource, Side, scene_set, to_unit

CONFIG = AutoencoderConfig(widths=[8, 8, 8, 8], latent_channels=4, norm_groups=4)


def test_learning_lowers_the_loss_and_latents_are_8_x_8() -> None:
    torch.manual_seed(0)
    model, task = network(CONFIG), AutoencoderTask(CONFIG, None)
    batch = {"pixels": torch.rand(2, 3, 1, 1).expand(2, 3, 64, 64).contiguous()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(10):
        optimiser.zero_grad()
        loss = task.loss(model, batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])
    assert model.vae.encode(batch["pixels"]).latent_dist.mode().shape == (2, 4, 8, 8)


def test_the_image_network_has_its_share_of_the_loss_and_of_the_gradient() -> None:
    torch.manual_seed(0)
    model = network(CONFIG).eval()
    batch = {"pixels": torch.rand(2, 3, 64, 64)}
    seen = eyes(replace(CONFIG, perceptual_weight=0.5), torch.device("cpu"))
    assert eyes(replace(CONFIG, perceptual_weight=0.0), torch.device("cpu")) is None
    plain = AutoencoderTask(CONFIG, None).loss(model, batch)
    both = AutoencoderTask(replace(CONFIG, perceptual_weight=0.5), seen).loss(model, batch)
    out = (model(2 * batch["pixels"] - 1)[0] + 1) / 2
    distance = perceptual_distance(seen, out, batch["pixels"])
    assert (both - plain).item() == pytest.approx(0.5 * distance.item(), rel=1e-3)
    gradient = torch.autograd.grad(distance, model.vae.decoder.conv_out.weight)[0]
    assert float(gradient.abs().max()) > 0


def test_psnr_and_edges_are_known() -> None:
    assert psnr(0.01) == pytest.approx(20)
    flat = torch.zeros(1, 3, 4, 4)
    assert float(edge_error(flat + 0.5, flat)) == 0  # light alone is no edge
    striped = flat.clone()
    striped[..., ::2] = 1
    assert float(edge_error(striped, flat)) == pytest.approx(0.5)


def test_latents_come_back(models) -> None:
    vae = load(models / "autoencoder")
    assert vae.config.shift_factor != 0
    latents = torch.randn(2, 4, 8, 8)
    assert torch.allclose(from_latents(vae, to_latents(vae, latents)), latents, atol=1e-5)


def test_latents_of_training_scenes_have_mean_0_and_deviation_1(models) -> None:
    vae = load(models / "autoencoder")
    cache = models / "scenes"
    one = scene_set(cache, "small", Side.train, ScenesConfig(small=24, held=8), 0)
    pixels = to_unit(one.pixels)
    with torch.no_grad():
        latents = to_latents(vae, vae.encode(2 * pixels - 1).latent_dist.mode())
    assert float(latents.mean()) == pytest.approx(0, abs=0.01)  # weights are in fp16 by now
    assert float(latents.std()) == pytest.approx(1, rel=0.01)
    shift, scale = measured(vae, SceneSource([one], 64), torch.device("cpu"))
    assert vae.config.shift_factor == pytest.approx(shift, abs=2e-3)
    assert vae.config.scaling_factor == pytest.approx(scale, rel=1e-2)


@pytest.mark.parametrize("name", ["autoencoder", "tiny_autoencoder"])
def test_no_file_names_the_machine(models, name: str) -> None:
    for file in (models / name).glob("*.json"):
        assert str(models) not in file.read_text()
        assert not json.loads(file.read_text()).get("_name_or_path")
