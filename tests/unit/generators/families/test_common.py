"""What every family has to fulfil; a further one takes its row in `pipelines.BUILDERS`."""

from __future__ import annotations

import copy
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.generators.contract import Attending, Generator, Level
from neuroattn.generators.families.common import Parts
from neuroattn.generators.families.opening import open_folder, open_generator
from neuroattn.generators.registry import SDTurboConfig
from tests.unit.generators.families.pipelines import BUILDERS, SIDE

every = pytest.mark.parametrize("name", list(BUILDERS))


def _sample(generator: Generator, seeds: list[int], steps: int = 3) -> torch.Tensor:
    schedule = generator.schedule(steps, seeds=seeds)
    latents, told = schedule.start(generator.latents(seeds)), generator.condition(len(seeds))
    for level in schedule.levels:
        with torch.no_grad():
            said = generator.predict(latents, level, told)
        latents = schedule.step(said, level, latents)
    return latents


@every
def test_it_answers_the_contract_frozen_and_recorded(generators, name: str) -> None:
    generator = generators[name]
    assert isinstance(generator, Generator)
    parts = generator.parts
    for network in (parts.network, parts.vae):
        assert not network.training
        assert not any(one.requires_grad for one in network.parameters())
    record = generator.identity.record()
    assert record["true_null"] == (name != "lcm")
    assert len(record["digests"]) >= 5
    assert all(len(digest) == 64 for digest in record["digests"].values())
    assert generator.identity.few_steps == (name == "lcm")


@every
def test_it_samples_the_same_bits_for_the_same_seeds(generators, name: str) -> None:
    generator = generators[name]
    first = _sample(generator, [3, 4])
    torch.manual_seed(1)  # nothing is drawn from the global stream
    assert torch.equal(first, _sample(generator, [3, 4]))
    assert not torch.allclose(first, _sample(generator, [4, 3]), atol=1e-2)
    pixels = generator.decode(first)
    assert pixels.shape == (2, 3, 2 * SIDE, 2 * SIDE)
    assert 0 <= float(pixels.min()) < float(pixels.max()) <= 1


@pytest.mark.parametrize("name", ["sd3", "sdxl", "lcm"])
def test_in_double_precision_a_picture_does_not_depend_on_its_batch(generators, name: str) -> None:
    single = generators[name]
    parts = replace(single.parts, network=_doubled(single.parts.network))
    double = _remade(single, parts)
    batch = _sample(double, [7, 8, 9])
    assert batch.dtype == torch.float64
    assert torch.allclose(batch[1:2], _sample(double, [8]), atol=1e-11)


@every
def test_clean_latent_and_noise_make_up_the_noisy_one(generators, name: str) -> None:
    generator = generators[name]
    noisy, said = torch.randn(2, 2, *generator.shape, generator=torch.Generator().manual_seed(0))
    for level in generator.schedule(4, seeds=[0, 1]).levels:
        clean = generator.x0(noisy, said, level)
        epsilon = generator.epsilon(noisy, said, level)
        again = generator.noised(clean, epsilon, level)
        assert torch.allclose(again, noisy, atol=1e-3 * max(1.0, float(clean.abs().max())))


@every
def test_a_gradient_is_added_to_the_score(generators, name: str) -> None:
    generator = generators[name]
    stream = torch.Generator().manual_seed(0)
    noisy, said, gradient = torch.randn(3, 2, *generator.shape, generator=stream)
    for level in list(generator.schedule(4, seeds=[0, 1]).levels)[1:]:
        steered = generator.steered(said, gradient, level)
        change = generator.epsilon(noisy, steered, level) - generator.epsilon(noisy, said, level)
        assert torch.allclose(change, -level.noise * gradient, atol=2e-4 * (1 + level.noise))


@every
@pytest.mark.parametrize("path", [True, False])
def test_the_reward_has_a_gradient_by_the_noisy_latent(generators, name: str, path: bool) -> None:
    generator = generators[name]
    level = generator.schedule(3, seeds=[0]).levels[1]
    noisy = generator.latents([0]).requires_grad_()
    said = generator.predict(noisy, level, generator.condition(1))
    pixels = generator.decode(generator.x0(noisy, said, level), guidance_path=path)
    (gradient,) = torch.autograd.grad(pixels.sum(), noisy)
    assert torch.isfinite(gradient).all()
    assert float(gradient.abs().sum()) > 0


@every
def test_latents_are_scaled_and_shifted(generators, name: str) -> None:
    generator = generators[name]
    vae, pixels = generator.parts.vae, torch.rand(1, 3, 2 * SIDE, 2 * SIDE)
    mean = vae.encode(2 * pixels - 1).latent_dist.mode()
    scale, shift = vae.config.scaling_factor, vae.config.shift_factor or 0.0
    assert (shift > 0) == (name == "sd3")
    latents = generator.encode(pixels)
    assert torch.allclose(latents, (mean - shift) * scale, atol=1e-6)
    wanted = (vae.decode(latents / scale + shift).sample / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(generator.decode(latents), wanted, atol=1e-6)


def test_the_guidance_path_takes_the_tiny_decoder_where_there_is_one(generators) -> None:
    generator = generators["embedded"]
    latents = torch.randn(1, *generator.shape)
    wanted = (generator.parts.tiny.decode(latents).sample / 2 + 0.5).clamp(0, 1)
    assert torch.allclose(generator.decode(latents, guidance_path=True), wanted)
    assert not torch.allclose(generator.decode(latents), wanted, atol=1e-3)


@pytest.mark.parametrize("name", ["embedded", "image_variation"])
def test_embeddings_drive_it_and_zeros_say_nothing(generators, name: str) -> None:
    generator = generators[name]
    given = torch.randn(2, generator.dim, generator=torch.Generator().manual_seed(0))
    level = generator.schedule(2).levels[0]
    noisy = generator.latents([0, 1])
    none = generator.predict(noisy, level, generator.condition(2))
    told = generator.condition(2, embeddings=given)
    plain = generator.predict(noisy, level, told)
    assert not torch.allclose(plain, none, atol=1e-4)
    zeros = generator.condition(2, embeddings=torch.zeros_like(given))
    assert torch.allclose(generator.predict(noisy, level, zeros), none, atol=1e-6)
    twice = generator.predict(noisy, level, told, guidance=2.0)
    assert torch.allclose(twice, 2 * plain - none, atol=1e-5)
    with pytest.raises(ConfigError, match="embeddings do not fit"):
        generator.condition(2, embeddings=given[:, 1:])


@pytest.mark.parametrize("name", ["stable_diffusion", "lcm", "sdxl", "sd3"])
def test_text_drives_it(generators, name: str) -> None:
    generator = generators[name]
    level = generator.schedule(2, seeds=[0, 1]).levels[0]
    noisy = generator.latents([0, 0])
    told = generator.condition(2, text=["a cat", "a dog"])
    said = generator.predict(noisy, level, told)
    assert not torch.allclose(said[0], said[1], atol=1e-6)
    one = generator.predict(noisy[:1], level, generator.condition(1, text=["a cat"]))
    assert torch.allclose(said[:1], one, atol=1e-5)
    assert torch.equal(told.rows(1, 2).tensors["encoder_hidden_states"],
                       told.tensors["encoder_hidden_states"][1:])  # fmt: skip
    for refused, match in ((["a", "b", "c"], "texts do not fit"), ("cat", "texts do not fit")):
        with pytest.raises(ConfigError, match=match):
            generator.condition(2, text=refused)
    with pytest.raises(ConfigError, match="takes no embeddings"):
        generator.condition(1, embeddings=torch.zeros(1, 16))


def test_few_step_models_are_asked_once_whatever_the_guidance(folders, generators) -> None:
    turbo = open_generator(SDTurboConfig(model=str(folders["turbo"])))
    for generator in (turbo, generators["lcm"]):
        told = generator.condition(2, text=["a cat", "a dog"])
        assert told.null is None
        assert told.passes(4.0) == 1
        level, noisy = generator.schedule(2, seeds=[0, 1]).levels[0], generator.latents([0, 1])
        plain = generator.predict(noisy, level, told)
        assert torch.equal(generator.predict(noisy, level, told, guidance=4.0), plain)
    other = generators["turbo"].condition(1, text=["a cat"])  # the folder alone does not say it
    assert other.passes(4.0) == 2


@pytest.mark.parametrize("stated", [True, None, False])
def test_an_empty_text_is_zeros_for_sdxl_unless_its_folder_says_no(
    folders, tmp_path, stated: bool | None
) -> None:
    folder = Path(shutil.copytree(folders["sdxl"], tmp_path / "copy"))
    index = json.loads((folder / "model_index.json").read_text())
    index.pop("force_zeros_for_empty_prompt")
    more = {} if stated is None else {"force_zeros_for_empty_prompt": stated}
    (folder / "model_index.json").write_text(json.dumps(index | more))
    told = open_folder(folder).condition(1).tensors
    for name in ("encoder_hidden_states", "text_embeds"):
        assert bool((told[name] == 0).all()) == (stated is not False), name


def test_attention_of_the_middle_block_is_read_and_left_as_it_is(generators) -> None:
    generator = generators["stable_diffusion"]
    assert isinstance(generator, Attending)
    assert not isinstance(generators["sd3"], Attending)
    level = generator.schedule(2).levels[0]
    noisy, told = generator.latents([0, 1]), generator.condition(2)
    said, weights = generator.predict_attended(noisy, level, told)
    assert torch.equal(said, generator.predict(noisy, level, told))
    assert weights.shape == (2, SIDE // 2, SIDE // 2)
    assert torch.allclose(weights.mean(dim=(1, 2)), torch.ones(2), atol=1e-5)


def test_checkpointing_changes_no_gradient(generators) -> None:
    plain = generators["stable_diffusion"]
    latents = torch.randn(1, *plain.shape, requires_grad=True)
    (wanted,) = torch.autograd.grad(plain.decode(latents).sum(), latents)
    plain.parts.vae.enable_gradient_checkpointing()
    try:
        (found,) = torch.autograd.grad(plain.decode(latents).sum(), latents)
    finally:
        plain.parts.vae.disable_gradient_checkpointing()
    assert torch.equal(found, wanted)


def test_steering_pure_noise_is_refused(generators) -> None:
    said = torch.zeros(1, *generators["sd3"].shape)
    level = Level(0, torch.tensor(1000.0), 0.0, 1.0)
    with pytest.raises(ConfigError, match="only noise"):
        generators["sd3"].steered(said, said, level)
    assert math.isclose(generators["sd3"].schedule(3).levels[0].signal, 0.0)


def test_text_and_embeddings_at_once_are_refused(generators) -> None:
    with pytest.raises(ConfigError, match="one condition"):
        generators["embedded"].condition(1, text=["a"], embeddings=torch.zeros(1, 16))


def _doubled(network: torch.nn.Module) -> torch.nn.Module:
    return copy.deepcopy(network).double()


def _remade(single, parts: Parts):
    """The same adapter over other parts, with the prompts that it knows."""
    made = object.__new__(type(single))
    made.__dict__.update(single.__dict__)
    made.parts = parts
    made._told = {text: {n: v.double() for n, v in told.items()}
                  for text, told in single._told.items()}  # fmt: skip
    return made
