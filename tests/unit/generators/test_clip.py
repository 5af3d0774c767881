from __future__ import annotations

import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.features.registry import SpaceBackboneConfig
from neuroattn.generators.backbone import SpaceBackbone, build
from neuroattn.generators.loading import load
from tests.unit.features.spoiled import without

WORDS = ["<|startoftext|>", "<|endoftext|>", "a</w>", "cat</w>", "c", "a", "t", "t</w>", "at</w>"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from transformers import CLIPConfig, CLIPModel, CLIPTokenizer

    place = tmp_path_factory.mktemp("clip")
    tower = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
             "num_attention_heads": 2}  # fmt: skip
    shape = CLIPConfig(
        text_config={**tower, "vocab_size": len(WORDS), "max_position_embeddings": 8,
                     "bos_token_id": 0, "eos_token_id": 1},
        vision_config={**tower, "image_size": 32, "patch_size": 16}, projection_dim=12,
    )  # fmt: skip
    torch.manual_seed(0)
    CLIPModel(shape).save_pretrained(place)
    (place / "vocab.json").write_text(json.dumps({word: n for n, word in enumerate(WORDS)}))
    (place / "merges.txt").write_text("#version: 0.2\na t</w>\nc at</w>\n")
    CLIPTokenizer.from_pretrained(place).save_pretrained(place)
    return place


def test_a_clip_from_a_folder_takes_the_space_s_place(folder) -> None:
    space = load(folder)
    pixels = torch.rand(2, 3, 40, 48, requires_grad=True)
    image, text = space.encode_image(pixels), space.encode_text(["a cat", "cat"])
    assert image.shape == text.shape == (2, space.dim) == (2, 12)
    assert torch.allclose(image.norm(dim=1), torch.ones(2), atol=1e-5)
    image.sum().backward()
    assert float(pixels.grad.abs().sum()) > 0


def test_it_gives_the_library_s_own_logits(folder) -> None:
    from transformers import CLIPModel

    space, model = load(folder), CLIPModel.from_pretrained(folder).eval()
    pixels = torch.rand(2, 3, 32, 32)
    tokens = space.tokeniser(["a cat", "cat"], padding=True, return_tensors="pt")
    with torch.no_grad():
        wanted = model(**tokens, pixel_values=space.normalise(pixels)).logits_per_image
        found = (
            space.logit_scale * space.encode_image(pixels) @ space.encode_text(["a cat", "cat"]).T
        )
    assert torch.allclose(found, wanted, atol=1e-4)


def test_its_own_lengths_are_stored_beside_what_encoders_read(folder) -> None:
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder).eval()
    config = SpaceBackboneConfig(model=str(folder), image_size=32)
    backbone, pixels = build(config, torch.device("cpu")), torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        seen = model.vision_model(pixel_values=backbone.space.normalise(pixels)).pooler_output
        wanted = model.visual_projection(seen)
        stored = backbone.tokens(pixels, backbone.stored)
        read = backbone.tokens(pixels)
    assert (backbone.stored, list(read)) == (("pooled", "raw"), ["pooled"])
    assert torch.allclose(stored["raw"][:, 0], wanted, atol=1e-5)
    assert (wanted.norm(dim=1) - 1).abs().min() > 0.05
    assert torch.equal(stored["pooled"], read["pooled"])
    assert torch.allclose(read["pooled"].norm(dim=2), torch.ones(3, 1), atol=1e-5)
    assert backbone.shape("raw") == backbone.shape("pooled")


def test_a_space_of_unit_length_alone_has_nothing_beside(folder) -> None:
    space = SimpleNamespace(dim=12, encode_image=lambda pixels: pixels.mean((2, 3)))
    backbone = SpaceBackbone(SpaceBackboneConfig(), space, torch.device("cpu"))
    assert backbone.stored == ("pooled",)
    with pytest.raises(ConfigError, match="no layer raw"):
        backbone.native("raw")


def test_a_clip_without_weights_is_refused(folder, tmp_path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(DataError, match="CLIPModel in this folder cannot be read"):
        load(tmp_path)


def test_a_clip_without_one_of_its_towers_is_refused(folder, tmp_path) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    without(tmp_path / "model.safetensors", "text_model.")
    with pytest.raises(DataError, match="not whole") as caught:
        load(tmp_path)
    assert "text_model" in str(caught.value)
    assert caught.value.file == str(tmp_path)


@pytest.mark.parametrize("spoil", ["torn", "wider"])
def test_a_clip_of_torn_or_other_weights_is_refused(folder, tmp_path, spoil: str) -> None:
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    if spoil == "torn":
        weights.write_bytes(weights.read_bytes()[:-100])
    else:
        stated, other = config.read_text(), '"projection_dim": 20'
        config.write_text(stated.replace('"projection_dim": 12', other))
        assert other in config.read_text()
    with pytest.raises(DataError, match="CLIPModel in this folder cannot be read"):
        load(tmp_path)
