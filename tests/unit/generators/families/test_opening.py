from __future__ import annotations

import json
import shutil
from pathlib import Path

import diffusers
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.generators.families.embedded import from_diffusion
from neuroattn.generators.families.opening import open_folder, open_generator
from neuroattn.generators.loading import load
from neuroattn.generators.places import leaves
from neuroattn.generators.registry import FolderGeneratorConfig, SD15Config
from neuroattn.training.registry import Precision
from tests.unit.features.spoiled import without
from tests.unit.generators.families.pipelines import SIDE, unet, vae


@pytest.fixture
def copied(folders, tmp_path) -> Path:
    return Path(shutil.copytree(folders["stable_diffusion"], tmp_path / "copy"))


def _index(folder: Path, **changes: object) -> None:
    file = folder / "model_index.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_the_null_prompt_outlives_the_text_encoder(copied) -> None:
    generator = open_folder(copied)
    known = generator.condition(1, text=["a cat"]).tensors["encoder_hidden_states"]
    shutil.rmtree(copied / "text_encoder")
    assert generator.condition(3).tensors["encoder_hidden_states"].shape == (3, 12, 16)
    again = generator.condition(1, text=["a cat"]).tensors["encoder_hidden_states"]
    assert torch.equal(again, known)
    with pytest.raises(MissingDataError, match="incomplete"):
        generator.condition(1, text=["a dog"])


@pytest.mark.parametrize("part", ["unet", "vae", "scheduler", "tokenizer", "text_encoder"])
def test_a_folder_without_a_part_is_refused(copied, part: str) -> None:
    shutil.rmtree(copied / part)
    with pytest.raises(MissingDataError, match="incomplete") as caught:
        open_folder(copied)
    assert part in str(caught.value)


def test_torn_weights_are_refused(copied) -> None:
    file = copied / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match="UNet2DConditionModel in this folder cannot be read"):
        open_folder(copied)


@pytest.mark.parametrize(
    ("part", "file", "start"),
    [
        ("text_encoder", "model.safetensors", "encoder.layers.0"),
        ("unet", "diffusion_pytorch_model.safetensors", "mid_block"),
        ("vae", "diffusion_pytorch_model.safetensors", "decoder"),
    ],
)
def test_weights_that_are_left_out_are_not_filled_by_chance(
    copied, part: str, file: str, start: str
) -> None:
    without(copied / part / file, start)
    with pytest.raises(DataError, match="not whole") as caught:
        open_folder(copied)
    assert caught.value.file == str(copied / part)


@pytest.mark.parametrize("file", ["model_index.json", "scheduler/scheduler_config.json"])
def test_torn_settings_are_refused(copied, file: str) -> None:
    (copied / file).write_text((copied / file).read_text()[:20])
    with pytest.raises(DataError, match=r"not valid JSON|cannot be read"):
        open_folder(copied)


def test_any_scheduler_gives_its_levels_to_a_sampler_that_is_named(copied) -> None:
    noising = diffusers.DDIMScheduler.from_pretrained(copied / "scheduler")
    other = diffusers.UniPCMultistepScheduler.from_config(noising.config)
    wanted = open_folder(copied).schedule(4, "dpm").levels
    other.save_pretrained(copied / "scheduler")
    _index(copied, scheduler=["diffusers", "UniPCMultistepScheduler"])
    generator = open_folder(copied)
    assert [one.noise for one in generator.schedule(4, "dpm").levels] == pytest.approx(
        [one.noise for one in wanted]
    )
    with pytest.raises(ConfigError, match="no schedule is known") as caught:
        generator.schedule(4)
    assert "guidance.sampler" in caught.value.fix


def test_a_scheduler_of_another_kind_of_model_is_refused(copied) -> None:
    diffusers.FlowMatchEulerDiscreteScheduler().save_pretrained(copied / "scheduler")
    _index(copied, scheduler=["diffusers", "FlowMatchEulerDiscreteScheduler"])
    with pytest.raises(ConfigError, match="prediction type"):
        open_folder(copied)


def test_parts_of_other_models_are_refused(copied) -> None:
    unet(24).save_pretrained(copied / "unet")
    with pytest.raises(DataError, match="another hidden size") as caught:
        open_folder(copied)
    assert "24" in str(caught.value)
    assert "16" in str(caught.value)
    unet(16).save_pretrained(copied / "unet")
    vae(8).save_pretrained(copied / "vae")
    with pytest.raises(DataError, match="number of channels"):
        open_folder(copied)


def test_what_nobody_knows_is_refused(copied) -> None:
    file = copied / "scheduler" / "scheduler_config.json"
    text = file.read_text()
    file.write_text(text.replace("epsilon", "score"))
    with pytest.raises(ConfigError, match="score"):
        open_folder(copied)
    file.write_text(text)
    _index(copied, unet=["my_code", "Network"])
    with pytest.raises(DataError, match=r"my_code\.Network"):
        open_folder(copied)
    _index(copied, _class_name="KandinskyPipeline")
    with pytest.raises(DataError, match="KandinskyPipeline"):
        open_folder(copied)
    (copied / "model_index.json").unlink()
    with pytest.raises(MissingDataError, match="no generator"):
        open_folder(copied)


def test_settings_are_refused_that_cannot_be(copied) -> None:
    with pytest.raises(ConfigError, match="needs a GPU"):
        open_generator(FolderGeneratorConfig(model=str(copied), precision=Precision.fp16))
    with pytest.raises(ConfigError, match="multiple of 2"):
        open_generator(FolderGeneratorConfig(model=str(copied), size=17))
    with pytest.raises(ConfigError, match="no generator is named"):
        open_generator(FolderGeneratorConfig())
    with pytest.raises(MissingDataError, match="not on this machine") as caught:
        open_generator(SD15Config(model="nobody/nothing", revision="abc"))
    assert "--revision abc" in str(caught.value)
    assert "generator.model" in str(caught.value)


def test_size_and_precision_are_taken(copied) -> None:
    config = FolderGeneratorConfig(
        model=str(copied), size=4 * SIDE, precision=Precision.bf16, checkpointing=True
    )
    generator = open_generator(config)
    assert generator.shape == (4, 2 * SIDE, 2 * SIDE)
    latents, level = generator.latents([0]), generator.schedule(2).levels[0]
    said = generator.predict(latents, level, generator.condition(1))
    assert said.dtype == latents.dtype == torch.float32
    assert generator.parts.network.dtype == torch.bfloat16
    assert generator.decode(latents).shape[-1] == 4 * SIDE


def test_a_tiny_decoder_of_another_folder_is_taken(folders) -> None:
    tiny = folders["embedded"] / "tiny"
    config = FolderGeneratorConfig(model=str(folders["stable_diffusion"]), tiny=str(tiny))
    assert open_generator(config).parts.tiny is not None
    assert any("tiny" in name for name in leaves(config))
    with pytest.raises(MissingDataError, match=r"generator\.tiny"):
        leaves(FolderGeneratorConfig(model=str(folders["stable_diffusion"]), tiny="no/where"))


def test_digests_are_those_of_the_files_that_are_read(copied) -> None:
    (copied / "safety_checker").mkdir()
    _index(copied, safety_checker=["stable_diffusion", "Checker"])
    (copied / "unet" / "diffusion_pytorch_model.fp16.safetensors").write_bytes(b"half")
    config = FolderGeneratorConfig(model=str(copied))
    found = leaves(config)
    assert "folder/unet/diffusion_pytorch_model.safetensors" in found
    assert not any("fp16" in name or "safety" in name for name in found)
    digests = open_generator(config).identity.digests
    assert digests == {name: file_digest(file) for name, file in found.items()}
    assert open_generator(config, digests={"a": "b"}).identity.digests == {"a": "b"}
    with pytest.raises(DataError, match="no safetensors"):
        leaves(FolderGeneratorConfig(model=str(copied), variant="fp16"))


def test_the_embedded_generator_is_one_of_them(models) -> None:
    ours = load(models / "generator")
    wanted = ours.sample(None, seeds=[1, 2], steps=3)
    for generator in (open_folder(models / "generator"), from_diffusion(ours)):
        schedule, told = generator.schedule(3, "dpm"), generator.condition(2)
        latents = schedule.start(generator.latents([1, 2]))
        for level in schedule.levels:
            with torch.no_grad():
                said = generator.predict(latents, level, told)
            latents = schedule.step(said, level, latents)
        assert torch.allclose(generator.decode(latents), wanted, atol=1e-4)


def test_texts_drive_the_embedded_generator_through_the_space_beside_it(models) -> None:
    generator, space = open_folder(models / "generator"), load(models / "space")
    text = ["A cat in a forest.", "Two buses."]
    told = generator.condition(2, text=text).tensors["encoder_hidden_states"]
    wanted = generator.condition(2, embeddings=space.encode_text(text))
    assert torch.allclose(told, wanted.tensors["encoder_hidden_states"])
