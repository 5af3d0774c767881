"""Adapters against the library itself, on small random models with unusual counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.features import hub
from neuroattn.features.hub_files import leaves
from neuroattn.features.registry import (
    ClipLargeConfig,
    ConvNextTinyConfig,
    Dinov2BaseConfig,
    Dinov2RegistersBaseConfig,
    HubConfig,
    ResNet50Config,
    Siglip2BaseConfig,
)
from neuroattn.features.stage import unit_pixels
from tests.unit.features.spoiled import without

CPU = torch.device("cpu")
VIT = {
    "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "patch_size": 8,
    "image_size": 40,
}  # fmt: skip
SIDE = 32  # another grid than the models were made for


def saved(kind: str, folder: Path) -> tuple[type[HubConfig], Any]:
    """A small random model in a folder, as ``save_pretrained`` writes it."""
    import transformers as t

    torch.manual_seed(1)
    wide = {**VIT, "intermediate_size": 24}
    made: dict[str, Any] = {
        "dinov2": lambda: (Dinov2BaseConfig, t.Dinov2Model(t.Dinov2Config(**VIT))),
        "registers": lambda: (
            Dinov2RegistersBaseConfig,
            t.Dinov2WithRegistersModel(t.Dinov2WithRegistersConfig(**VIT, num_register_tokens=3)),
        ),
        "clip": lambda: (ClipLargeConfig, t.CLIPVisionModel(t.CLIPVisionConfig(**wide))),
        "siglip": lambda: (Siglip2BaseConfig, t.SiglipVisionModel(t.SiglipVisionConfig(**wide))),
        "resnet": lambda: (
            ResNet50Config,
            t.ResNetModel(t.ResNetConfig(embedding_size=8, hidden_sizes=[8, 12], depths=[1, 1])),
        ),
        "convnext": lambda: (
            ConvNextTinyConfig,
            t.ConvNextModel(t.ConvNextConfig(hidden_sizes=[8, 12], depths=[1, 1], num_stages=2)),
        ),
    }
    config, model = made[kind]()
    model.eval().save_pretrained(folder)
    return config, model


def backbone(config: type[HubConfig], folder: Path, **keys: Any) -> hub.HubBackbone:
    return hub.build(config(model=str(folder), **{"image_size": SIDE, "pool": None, **keys}), CPU)


def reference(model: Any, pixels: torch.Tensor, **keys: Any) -> Any:
    with torch.no_grad():
        return model(pixel_values=pixels, output_hidden_states=True, **keys)


def normalised(pixels: torch.Tensor, kind: str) -> torch.Tensor:
    family = hub.FAMILIES[{"registers": "dinov2"}.get(kind, kind)]
    mean, deviation = (torch.tensor(part).reshape(1, 3, 1, 1) for part in family.pixels)
    return (pixels - mean) / deviation


TRANSFORMERS = {"dinov2": 1, "registers": 4, "clip": 1, "siglip": 0}


@pytest.mark.parametrize(("kind", "prefix"), TRANSFORMERS.items())
def test_blocks_and_projections_are_those_of_the_library(
    kind: str, prefix: int, tmp_path: Path
) -> None:
    config, model = saved(kind, tmp_path)
    layers = ["blocks.0", "blocks.2", "blocks.1.query", "blocks.1.value"]
    mine = backbone(config, tmp_path, layers=layers)
    pixels = torch.rand(2, 3, SIDE, SIDE)
    tokens = mine.tokens(pixels)
    keys = {"interpolate_pos_encoding": True} if kind in ("clip", "siglip") else {}
    states = reference(model, normalised(pixels, kind), **keys).hidden_states
    patches = (SIDE // 8) ** 2
    for index in (0, 2):
        expected = states[index + 1][:, prefix:]
        assert expected.shape[1] == patches
        torch.testing.assert_close(tokens[f"blocks.{index}"], expected, rtol=1e-4, atol=1e-5)
    block = model.encoder.layer[1] if hasattr(model.encoder, "layer") else model.encoder.layers[1]
    norm = block.norm1 if hasattr(block, "norm1") else block.layer_norm1
    attention = block.attention if hasattr(block, "attention") else block.self_attn
    with torch.no_grad():
        for part, projection in (("query", attention.q_proj), ("value", attention.v_proj)):
            expected = projection(norm(states[1 + 0]))[:, prefix:]
            torch.testing.assert_close(tokens[f"blocks.1.{part}"], expected, rtol=1e-4, atol=1e-5)
    assert mine.shape("blocks.0").grid == (SIDE // 8, SIDE // 8)


@pytest.mark.parametrize("kind", TRANSFORMERS)
def test_every_projection_of_every_block_is_the_librarys(kind: str, tmp_path: Path) -> None:
    config, model = saved(kind, tmp_path)
    parts = {"query": "q_proj", "key": "k_proj", "value": "v_proj"}
    layers = [f"blocks.{index}.{part}" for index in range(3) for part in parts]
    mine = backbone(config, tmp_path, layers=layers)
    pixels = torch.rand(2, 3, SIDE, SIDE)
    tokens = mine.tokens(pixels)
    keys = {"interpolate_pos_encoding": True} if kind in ("clip", "siglip") else {}
    states = reference(model, normalised(pixels, kind), **keys).hidden_states
    blocks = model.encoder.layer if hasattr(model.encoder, "layer") else model.encoder.layers
    for index, block in enumerate(blocks):
        norm = block.norm1 if hasattr(block, "norm1") else block.layer_norm1
        attention = block.attention if hasattr(block, "attention") else block.self_attn
        for part, name in parts.items():
            with torch.no_grad():
                expected = getattr(attention, name)(norm(states[index]))[:, TRANSFORMERS[kind] :]
            found = tokens[f"blocks.{index}.{part}"]
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


PROCESSORS = {
    "dinov2": ("BitImageProcessorPil", "IMAGENET_DEFAULT"),
    "registers": ("BitImageProcessorPil", "IMAGENET_DEFAULT"),
    "clip": ("CLIPImageProcessorPil", "OPENAI_CLIP"),
    "siglip": ("SiglipImageProcessorPil", "IMAGENET_STANDARD"),
    "resnet": ("ConvNextImageProcessorPil", "IMAGENET_DEFAULT"),
    "convnext": ("ConvNextImageProcessorPil", "IMAGENET_DEFAULT"),
}


@pytest.mark.parametrize("kind", PROCESSORS)
@pytest.mark.parametrize("with_file", [True, False])
def test_pixels_are_prepared_as_by_the_librarys_own_processor(
    kind: str, with_file: bool, tmp_path: Path
) -> None:
    """Each family's published mean and deviation; of the file beside the model where it is."""
    import transformers as t
    from transformers import image_utils

    config, _ = saved(kind, tmp_path)
    name, constants = PROCESSORS[kind]
    mean, deviation = (getattr(image_utils, f"{constants}_{part}") for part in ("MEAN", "STD"))
    if with_file:
        mean, deviation = [0.3, 0.4, 0.5], [0.2, 0.3, 0.1]
    processor = getattr(t, name)(
        do_resize=False, do_center_crop=False, image_mean=mean, image_std=deviation
    )
    if with_file:
        processor.save_pretrained(tmp_path)
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    expected = processor(picture, return_tensors="pt")["pixel_values"]
    layer = "blocks.0" if kind in TRANSFORMERS else "stages.0"
    mine = backbone(config, tmp_path, layers=[layer])
    entered: list[torch.Tensor] = []
    mine.network.register_forward_pre_hook(
        lambda _module, _args, keys: entered.append(keys["pixel_values"]), with_kwargs=True
    )
    mine.tokens(unit_pixels(picture[None], CPU))
    torch.testing.assert_close(entered[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["dinov2", "registers", "siglip"])
def test_the_last_norm_is_the_librarys_last_state(kind: str, tmp_path: Path) -> None:
    config, model = saved(kind, tmp_path)
    mine = backbone(config, tmp_path, layers=["norm"])
    pixels = torch.rand(2, 3, SIDE, SIDE)
    keys = {"interpolate_pos_encoding": True} if kind == "siglip" else {}
    last = reference(model, normalised(pixels, kind), **keys).last_hidden_state
    torch.testing.assert_close(
        mine.tokens(pixels)["norm"], last[:, TRANSFORMERS[kind] :], rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("kind", ["resnet", "convnext"])
def test_stages_are_maps_in_picture_order(kind: str, tmp_path: Path) -> None:
    config, model = saved(kind, tmp_path)
    mine = backbone(config, tmp_path, layers=["stages.0", "stages.1"], image_size=64)
    pixels = torch.rand(2, 3, 64, 64)
    out = reference(model, normalised(pixels, kind))
    found = mine.maps(pixels, ("stages.1",))["stages.1"]
    torch.testing.assert_close(found, out.last_hidden_state, rtol=1e-4, atol=1e-5)
    first = mine.maps(pixels, ("stages.0",))["stages.0"]
    torch.testing.assert_close(first, out.hidden_states[1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mine.pooled(pixels), out.pooler_output.flatten(1))
    tokens = mine.tokens(pixels)["stages.1"]
    torch.testing.assert_close(tokens[:, 1], found[:, :, 0, 1])


def test_a_bright_corner_is_the_first_token(tmp_path: Path) -> None:
    config, _ = saved("registers", tmp_path)
    mine = backbone(config, tmp_path, layers=["blocks.0"])
    dark = torch.zeros(1, 3, SIDE, SIDE)
    bright = dark.clone()
    bright[..., :8, SIDE - 8 :] = 1
    change = (mine.tokens(bright)["blocks.0"] - mine.tokens(dark)["blocks.0"]).norm(dim=2)[0]
    assert int(change.argmax()) == SIDE // 8 - 1, "top right: last token of the first row"


def test_pixels_of_the_models_own_file_are_taken(tmp_path: Path) -> None:
    config, _ = saved("dinov2", tmp_path)
    stated = {"image_mean": [0.1, 0.2, 0.3], "image_std": [1, 2, 3]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(stated))
    mine = backbone(config, tmp_path, layers=["blocks.0"])
    assert mine._normalise.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert mine._normalise.deviation.flatten().tolist() == [1, 2, 3]
    assert set(leaves(mine.config)) == {
        f"dinov2_base/{name}"
        for name in ("config.json", "model.safetensors", "preprocessor_config.json")
    }


def test_the_gradient_reaches_the_pixels_and_pooled_is_the_librarys(tmp_path: Path) -> None:
    config, model = saved("clip", tmp_path)
    mine = backbone(config, tmp_path, layers=["blocks.1"])
    pixels = torch.rand(2, 3, SIDE, SIDE, requires_grad=True)
    mine.tokens(pixels)["blocks.1"].square().sum().backward()
    assert pixels.grad is not None
    assert bool((pixels.grad != 0).any(dim=1).all())
    expected = reference(
        model, normalised(pixels.detach(), "clip"), interpolate_pos_encoding=True
    ).pooler_output
    torch.testing.assert_close(mine.pooled(pixels.detach()), expected, rtol=1e-4, atol=1e-5)


def test_untrained_weights_are_others_and_always_the_same(tmp_path: Path) -> None:
    config, _ = saved("dinov2", tmp_path)
    pixels = torch.rand(1, 3, SIDE, SIDE)
    trained, first, second = (
        backbone(config, tmp_path, layers=["blocks.0"], untrained=untrained)
        .tokens(pixels)["blocks.0"]
        .numpy()
        for untrained in (False, True, True)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.allclose(first, trained)


def test_what_cannot_be_is_explained(tmp_path: Path) -> None:
    config, _ = saved("dinov2", tmp_path / "model")
    with pytest.raises(ConfigError, match=r"no layer blocks\.7"):
        backbone(config, tmp_path / "model", layers=["blocks.7"])
    with pytest.raises(ConfigError, match="patches") as caught:
        backbone(config, tmp_path / "model", image_size=36)
    assert "image_size=32" in str(caught.value)
    with pytest.raises(MissingDataError, match="not on this machine") as absent:
        backbone(config, Path("nobody/nothing"))
    assert "hf download nobody/nothing" in str(absent.value)
    for folder in ("./my_dino", "/nonexist", "~/x", "~nobody/x", "a/b/c"):
        with pytest.raises(MissingDataError, match="not on this machine") as absent:
            hub.build(config(model=folder), CPU)
        assert absent.value.fix == "correct backbone.model=FOLDER"
    (tmp_path / "model" / "model.safetensors").rename(tmp_path / "model" / "pytorch_model.bin")
    with pytest.raises(DataError, match="no safetensors"):
        backbone(config, tmp_path / "model")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingDataError, match="no pretrained model"):
        backbone(config, tmp_path / "empty")


def test_weights_that_are_left_out_are_not_filled_by_chance(
    tmp_path: Path,
) -> None:
    config, _ = saved("dinov2", tmp_path)
    file = tmp_path / "model.safetensors"
    without(file, "embeddings.mask_token")  # for pretraining alone
    backbone(config, tmp_path, layers=["norm"])
    without(file, "encoder.layer.0.attention")
    with pytest.raises(DataError, match="not whole") as caught:
        backbone(config, tmp_path)
    assert "encoder.layer.0.attention" in str(caught.value)
    assert "copy the whole model" in caught.value.fix
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(DataError, match="not valid JSON"):
        backbone(config, tmp_path)


def test_an_unknown_architecture_lists_those_that_are_known(tmp_path: Path) -> None:
    config, _ = saved("dinov2", tmp_path)
    stated = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**stated, "model_type": "bert"}))
    with pytest.raises(DataError, match="no adapter") as caught:
        backbone(config, tmp_path)
    assert "siglip" in str(caught.value)
