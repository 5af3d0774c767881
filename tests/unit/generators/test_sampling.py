from __future__ import annotations

import copy
import shutil

import pytest
import torch
from torch.nn import functional

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.generators.loading import load
from neuroattn.generators.sampling import LatentDiffusion
from tests.unit.generators.families.pipelines import three


@pytest.fixture(scope="module")
def generator(models) -> LatentDiffusion:
    return load(models / "generator")


@pytest.fixture(scope="module")
def doubled(generator: LatentDiffusion) -> LatentDiffusion:
    """The same in float64, where batches differ by rounding alone."""
    parts = [copy.deepcopy(part).double() for part in (generator.unet, generator.vae)]
    return LatentDiffusion(*parts, generator.scheduler)


def _given(count: int, dim: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(5)
    return functional.normalize(torch.randn(count, dim, generator=stream), dim=1)


@pytest.mark.parametrize("sampler", ["ddim", "dpm"])
def test_a_picture_depends_on_its_seed_and_not_on_its_batch(doubled, sampler: str) -> None:
    given = _given(3, doubled.dim).double()
    batch = doubled.sample_latents(given, seeds=[7, 8, 9], steps=3, sampler=sampler)
    alone = doubled.sample_latents(given[1:2], seeds=[8], steps=3, sampler=sampler)
    assert torch.allclose(batch[1:2], alone, atol=1e-10)
    other = doubled.sample_latents(given[1:2], seeds=[9], steps=3, sampler=sampler)
    assert not torch.allclose(alone, other, atol=1e-2)


def test_the_same_call_gives_the_same_bits(generator) -> None:
    given = _given(2, generator.dim)
    first = generator.sample(given, seeds=[1, 2], steps=2)
    torch.manual_seed(99)  # nothing is drawn from the global stream
    assert torch.equal(first, generator.sample(given, seeds=[1, 2], steps=2))
    assert first.shape == (2, 3, 64, 64)
    assert 0 <= float(first.min()) <= float(first.max()) <= 1


def test_guidance_goes_from_the_unconditional_through_the_conditional(doubled) -> None:
    latents, given = doubled.noise([1, 2]), _given(2, doubled.dim).double()[:, None]
    step = torch.tensor(500)
    none = doubled.predict(latents, step, None, 1.0)
    plain = doubled.predict(latents, step, given, 1.0)
    assert torch.allclose(doubled.predict(latents, step, given, 0.0), none)
    twice = doubled.predict(latents, step, given, 2.0)
    assert torch.allclose(twice, 2 * plain - none)


def test_zeros_are_no_condition(generator) -> None:
    zeros = torch.zeros(1, generator.dim)
    without = generator.sample_latents(None, seeds=[3], steps=2)
    assert torch.allclose(generator.sample_latents(zeros, seeds=[3], steps=2), without, atol=1e-5)


def test_gradients_reach_a_latent_through_either_decoder(generator) -> None:
    latents = torch.randn(1, *generator.shape, requires_grad=True)
    for decode in (generator.decode, generator.decode_cheaply):
        (gradient,) = torch.autograd.grad(decode(latents).sum(), latents)
        assert float(gradient.abs().sum()) > 0


def test_encoding_is_the_units_of_the_generator(generator) -> None:
    pixels = torch.rand(2, 3, 64, 64)
    mean = generator.vae.encode(2 * pixels - 1).latent_dist.mode()
    config = generator.vae.config
    wanted = (mean - config.shift_factor) * config.scaling_factor
    assert torch.allclose(generator.encode(pixels), wanted)


def test_what_does_not_fit_is_refused(generator) -> None:
    with pytest.raises(ConfigError, match="embeddings do not fit"):
        generator.sample(torch.zeros(1, generator.dim + 1), seeds=[0])
    with pytest.raises(ConfigError, match="embeddings do not fit"):
        generator.sample(torch.zeros(2, generator.dim), seeds=[0])
    with pytest.raises(ConfigError, match="no sampler"):
        generator.sample(None, seeds=[0], sampler="euler")


def test_an_incomplete_or_foreign_folder_is_refused(models, tmp_path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(models / "generator", folder)
    (folder / "card.json").unlink()  # now a folder of diffusers, and no longer one of ours
    file = folder / "scheduler" / "scheduler_config.json"
    text = file.read_text()
    file.write_text(text.replace("v_prediction", "score"))
    with pytest.raises(ConfigError, match="score"):
        load(folder)
    file.unlink()
    with pytest.raises(MissingDataError, match="incomplete"):
        load(folder)
    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(DataError, match="UNet2DConditionModel in this folder cannot be read"):
        load(folder)


def test_a_generator_that_no_embedding_drives_is_refused(tmp_path) -> None:
    with pytest.raises((DataError, MissingDataError)) as caught:
        load(three(tmp_path / "sd3"))
    assert "unet" in str(caught.value)


def test_every_part_loads_with_the_library_itself(models, generator) -> None:
    import diffusers

    folder = models / "generator"
    unet = diffusers.UNet2DConditionModel.from_pretrained(folder, subfolder="unet")
    assert unet.config.cross_attention_dim == generator.dim
    vae = diffusers.AutoencoderKL.from_pretrained(folder, subfolder="vae")
    tiny = diffusers.AutoencoderTiny.from_pretrained(folder, subfolder="tiny")
    assert vae.config.latent_channels == tiny.config.latent_channels == unet.config.in_channels
    scheduler = diffusers.DPMSolverMultistepScheduler.from_pretrained(folder, subfolder="scheduler")
    assert scheduler.config.prediction_type == "v_prediction"
