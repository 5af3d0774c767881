from __future__ import annotations

import json

import pytest
import torch

from neuroattn.core.errors import DataError
from neuroattn.generators.loading import load

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


def test_a_clip_without_weights_is_refused(folder, tmp_path) -> None:
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(DataError, match="no whole CLIP"):
        load(tmp_path)
