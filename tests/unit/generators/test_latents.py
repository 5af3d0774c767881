from __future__ import annotations

import numpy as np
import pytest
import torch

from neuroattn.generators.embeddings import embeddings
from neuroattn.generators.latents import WithRows, scene_latents
from neuroattn.generators.loading import load
from neuroattn.generators.registry import ScenesConfig
from neuroattn.generators.scenes import SceneSet, SceneSource, Side, scene_set, to_unit


@pytest.fixture
def scenes(tmp_path) -> SceneSet:
    return scene_set(tmp_path, "small", Side.held, ScenesConfig(held=40), 0)


def test_kept_latents_are_in_the_generator_s_own_units(models, scenes: SceneSet) -> None:
    generator, vae = load(models / "generator"), load(models / "autoencoder")
    kept = scene_latents(scenes, vae, "one", chunk=16)  # chunks of 16, calls of 32: neither fits
    pixels = to_unit(scenes.pixels)
    with torch.no_grad():
        wanted = generator.encode(pixels)
        spread = vae.encode(2 * pixels - 1).latent_dist.std * vae.config.scaling_factor
    mean, sd = (torch.from_numpy(np.array(kept[name])).float() for name in ("mean", "sd"))
    assert mean.shape == (40, *generator.shape)
    assert torch.allclose(mean, wanted, atol=5e-3)
    assert torch.allclose(sd, spread, rtol=5e-3, atol=1e-4)
    with torch.no_grad():  # and the decoder makes pictures of them again
        there = generator.decode(mean[:4])
        straight = vae.decode(vae.encode(2 * pixels[:4] - 1).latent_dist.mode()).sample
    assert torch.allclose(there, ((straight + 1) / 2).clamp(0, 1), atol=5e-3)


def test_another_autoencoder_has_latents_of_its_own(models, scenes: SceneSet) -> None:
    vae = load(models / "autoencoder")
    first = np.array(scene_latents(scenes, vae, "one", chunk=16)["mean"])
    vae.register_to_config(scaling_factor=2 * vae.config.scaling_factor)
    assert np.array_equal(scene_latents(scenes, vae, "one", chunk=16)["mean"], first), "kept"
    assert np.allclose(scene_latents(scenes, vae, "two", chunk=16)["mean"], 2 * first, atol=0.01)


def test_kept_embeddings_are_those_of_the_space(models, scenes: SceneSet) -> None:
    space = load(models / "space")
    kept = embeddings(scenes, space, "one", chunk=16)
    with torch.no_grad():
        image = space.encode_image(to_unit(scenes.pixels))
        text = space.encode_text(scenes.captions[:, 3].tolist())
    assert np.allclose(kept["image"], image.numpy(), atol=2e-3)
    assert kept["text"].shape[:2] == (40, 5)
    assert np.allclose(kept["text"][:, 3], text.numpy(), atol=2e-3)


def test_rows_stay_with_their_scenes(scenes: SceneSet) -> None:
    number = np.arange(40, dtype=np.float16)[:, None]
    source = WithRows(SceneSource([scenes], 64), {"number": number})
    batch = source.batch(np.array([7, 0, 33]), np.random.default_rng(0))
    assert len(source) == 40
    assert batch["number"].tolist() == [[7.0], [0.0], [33.0]]
    assert torch.equal(batch["pixels"], to_unit(scenes.pixels[[7, 0, 33]]))
