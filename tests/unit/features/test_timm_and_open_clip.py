"""The adapters of timm and open_clip against the libraries themselves.

Both need torchvision, which the pinned torch without a GPU does not have, so these tests skip
where the libraries cannot be imported; what is said then is tested everywhere.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.features import open_clip_models, timm_models
from neuroattn.features.hub_files import leaves, open_clip_leaves, weights_file
from neuroattn.features.registry import BACKBONES, OpenClipConfig, TimmConfig

CPU = torch.device("cpu")
SIDE, PATCH = 32, 8  # 4 x 4 patches; the models are made for 5 x 5
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def library(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return import_module(name)
        except (ImportError, RuntimeError) as error:
            pytest.skip(f"{name} cannot be imported: {error}")


@pytest.fixture(scope="module")
def timm() -> Any:
    return library("timm")


@pytest.fixture(scope="module")
def open_clip() -> Any:
    return library("open_clip")


def saved_timm(timm: Any, folder: Path, name: str, **arguments: Any) -> Any:
    """A random model in timm's own form for the hub."""
    torch.manual_seed(1)
    model = timm.create_model(name, num_classes=7, **arguments).eval()
    model.pretrained_cfg["mean"] = (0.1, 0.2, 0.3)
    timm.models.save_for_hf(model, folder, model_args=arguments, safe_serialization=True)
    return model


VIT = {
    "img_size": 40, "patch_size": PATCH, "embed_dim": 16, "depth": 3, "num_heads": 2,
    "reg_tokens": 3,
}  # fmt: skip


@pytest.fixture(scope="module")
def vit(timm: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("vit")
    saved_timm(timm, folder, "vit_tiny_patch16_224", **VIT)
    # The library's own way to read its folder, at the size that is asked for.
    peer = timm.create_model(f"local-dir:{folder}", pretrained=True, dynamic_img_size=True).eval()
    return folder, peer


def timm_backbone(folder: Path, *layers: str, **keys: Any) -> timm_models.TimmBackbone:
    config = TimmConfig(model=str(folder), layers=list(layers), image_size=SIDE, **keys)
    return timm_models.build(config, CPU)


def normalised(pixels: torch.Tensor, backbone: Any) -> torch.Tensor:
    mean = torch.tensor([0.1, 0.2, 0.3]).reshape(1, 3, 1, 1)
    return (pixels - mean) / backbone._normalise.deviation


def test_timm_blocks_are_the_librarys_own_maps(timm: Any, vit: tuple[Path, Any]) -> None:
    folder, peer = vit
    mine = timm_backbone(folder, "blocks.0", "blocks.2")
    stated = timm.data.resolve_model_data_config(peer)
    assert mine._normalise.mean.flatten().tolist() == pytest.approx(list(stated["mean"]))
    assert mine._normalise.deviation.flatten().tolist() == pytest.approx(list(stated["std"]))
    pixels = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        expected = peer.forward_intermediates(
            normalised(pixels, mine), [0, 2], intermediates_only=True
        )
    for layer, theirs in zip(mine.layers, expected, strict=True):
        assert theirs.shape[2:] == (4, 4)
        torch.testing.assert_close(mine.maps(pixels, (layer,))[layer], theirs, **CLOSE)
        assert mine.shape(layer).grid == (4, 4)


def test_timm_patches_before_the_first_block_keep_their_places(vit: tuple[Path, Any]) -> None:
    folder, peer = vit
    mine = timm_backbone(folder, "patch_embed", "patch_embed.proj")
    pixels = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        expected = peer.patch_embed.proj(normalised(pixels, mine))
    for found in mine.maps(pixels, mine.layers).values():
        torch.testing.assert_close(found, expected, **CLOSE)


def test_timm_projections_are_thirds_of_what_enters_the_attention(vit: tuple[Path, Any]) -> None:
    folder, peer = vit
    mine = timm_backbone(folder, "blocks.1.query", "blocks.1.value")
    pixels = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        _, (before,) = peer.forward_intermediates(
            normalised(pixels, mine), [0], output_fmt="NLC", return_prefix_tokens=False
        )
        attention = peer.blocks[1].attn
        joined = attention.qkv(peer.blocks[1].norm1(before))
    tokens = mine.tokens(pixels)
    torch.testing.assert_close(tokens["blocks.1.query"], joined[..., :16], **CLOSE)
    torch.testing.assert_close(tokens["blocks.1.value"], joined[..., 32:], **CLOSE)


def test_timm_pooled_gradient_and_untrained(vit: tuple[Path, Any]) -> None:
    folder, peer = vit
    mine = timm_backbone(folder, "blocks.0")
    pixels = torch.rand(2, 3, SIDE, SIDE, requires_grad=True)
    pooled = mine.pooled(pixels)
    with torch.no_grad():
        features = peer.forward_features(normalised(pixels, mine))
        expected = peer.forward_head(features, pre_logits=True)
    torch.testing.assert_close(pooled, expected, **CLOSE)
    pooled.square().sum().backward()
    assert pixels.grad is not None
    assert bool((pixels.grad != 0).any(dim=1).all())
    first, second = (
        timm_backbone(folder, "blocks.0", untrained=True).tokens(pixels.detach())["blocks.0"]
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.allclose(first, mine.tokens(pixels.detach())["blocks.0"])


@pytest.mark.parametrize(
    ("name", "layer", "arguments"),
    [
        ("convnext_atto", "stages.1", {"depths": (1, 1, 1, 1), "dims": (8, 12, 8, 8)}),
        ("resnet18", "layer2", {"layers": (1, 1, 1, 1), "channels": (8, 12, 8, 8)}),
        (
            "swin_tiny_patch4_window7_224", "layers.1",
            {"img_size": SIDE, "depths": (1, 1), "num_heads": (2, 2), "embed_dim": 8,
             "window_size": 2},
        ),
    ],
)  # fmt: skip
def test_timm_convolutional_and_hierarchical_networks_give_maps(
    timm: Any, tmp_path: Path, name: str, layer: str, arguments: dict[str, Any]
) -> None:
    saved_timm(timm, tmp_path, name, **arguments)
    peer = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    mine = timm_backbone(tmp_path, layer)
    pixels = torch.rand(2, 3, SIDE, SIDE)
    index = 2 if name == "resnet18" else 1
    with torch.no_grad():
        (expected,) = peer.forward_intermediates(
            normalised(pixels, mine), [index], intermediates_only=True
        )
    torch.testing.assert_close(mine.maps(pixels, (layer,))[layer], expected, **CLOSE)


def test_timm_says_what_cannot_be(timm: Any, vit: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = vit
    with pytest.raises(ConfigError, match=r"no layer blocks\.7"):
        timm_backbone(folder, "blocks.7")
    with pytest.raises(ConfigError, match="patches"):
        timm_models.build(TimmConfig(model=str(folder), image_size=36), CPU)
    with pytest.raises(ConfigError, match="does not call"):
        timm_backbone(folder, "fc_norm")
    other = saved_timm(timm, tmp_path, "vit_tiny_patch16_224", **{**VIT, "embed_dim": 32})
    assert other is not None
    (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(DataError, match="no weights of this network"):
        timm_backbone(tmp_path, "blocks.0")


MODEL = {
    "embed_dim": 12,
    "vision_cfg": {
        "image_size": 40, "patch_size": PATCH, "width": 16, "layers": 3, "head_width": 8,
    },
    "text_cfg": {"context_length": 8, "vocab_size": 30, "width": 8, "heads": 1, "layers": 1},
}  # fmt: skip


def saved_open_clip(open_clip: Any, folder: Path, vision: dict[str, Any] | None = None) -> None:
    described = MODEL | ({"vision_cfg": vision} if vision else {})
    torch.manual_seed(2)
    kind = open_clip.CLIP
    model = kind(**json.loads(json.dumps(described)))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    save_file(dict(model.state_dict()), folder / "open_clip_model.safetensors")
    stated = {"model_cfg": described, "preprocess_cfg": {"mean": [0.1, 0.2, 0.3]}}
    (folder / "open_clip_config.json").write_text(json.dumps(stated))


@pytest.fixture(scope="module")
def clip(open_clip: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("clip")
    saved_open_clip(open_clip, folder)
    # The library's own way to read its folder.
    model = open_clip.create_model(f"local-dir:{folder}", force_image_size=SIDE)
    return folder, model.eval().visual


def clip_backbone(folder: Path, *layers: str, **keys: Any) -> Any:
    config = OpenClipConfig(model=str(folder), layers=list(layers), image_size=SIDE, **keys)
    return open_clip_models.build(config, CPU)


def test_open_clip_blocks_are_the_librarys_own_maps(clip: tuple[Path, Any]) -> None:
    folder, peer = clip
    mine = clip_backbone(folder, "blocks.0", "blocks.2", "blocks.1.query", "blocks.1.value")
    pixels = torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad():
        out = peer.forward_intermediates(normalised(pixels, mine), indices=[0, 2])
        sequence = peer.forward_intermediates(
            normalised(pixels, mine), indices=[0], output_fmt="NLC"
        )
        block = peer.transformer.resblocks[1]
        entered = block.ln_1(sequence["image_intermediates"][0])
        weight, bias = block.attn.in_proj_weight, block.attn.in_proj_bias
    maps = mine.maps(pixels, ("blocks.0", "blocks.2"))
    for layer, theirs in zip(maps, out["image_intermediates"], strict=True):
        assert theirs.shape == (2, 16, 4, 4)
        torch.testing.assert_close(maps[layer], theirs, **CLOSE)
    tokens = mine.tokens(pixels)
    for start, part in ((0, "query"), (32, "value")):
        rows = slice(start, start + 16)
        expected = entered @ weight[rows].T + bias[rows]
        torch.testing.assert_close(tokens[f"blocks.1.{part}"], expected.detach(), **CLOSE)
    torch.testing.assert_close(mine.pooled(pixels), out["image_features"], **CLOSE)
    assert mine._normalise.deviation.flatten().tolist() == pytest.approx(
        [0.26862954, 0.26130258, 0.27577711]
    )


def test_open_clip_gradient_untrained_and_errors(clip: tuple[Path, Any]) -> None:
    folder, _ = clip
    mine = clip_backbone(folder, "blocks.1")
    pixels = torch.rand(2, 3, SIDE, SIDE, requires_grad=True)
    mine.tokens(pixels)["blocks.1"].square().sum().backward()
    assert pixels.grad is not None
    assert bool((pixels.grad != 0).any(dim=1).all())
    fixed = pixels.detach()
    first, second = (
        clip_backbone(folder, "blocks.1", untrained=True).tokens(fixed)["blocks.1"]
        for _ in range(2)
    )
    assert torch.equal(first, second)
    assert not torch.allclose(first, mine.tokens(fixed)["blocks.1"])
    with pytest.raises(ConfigError, match=r"no layer blocks\.7"):
        clip_backbone(folder, "blocks.7")
    with pytest.raises(ConfigError, match="patches"):
        open_clip_models.build(OpenClipConfig(model=str(folder), image_size=36), CPU)


def test_open_clip_with_a_trunk_of_timm_has_timms_layers(open_clip: Any, tmp_path: Path) -> None:
    vision = {
        "image_size": 224, "timm_model_name": "vit_tiny_patch16_224", "timm_pool": "avg",
        "timm_proj": "linear",
    }  # fmt: skip
    saved_open_clip(open_clip, tmp_path, vision)
    config = OpenClipConfig(model=str(tmp_path), layers=["blocks.1"])
    mine = open_clip_models.build(config, CPU)
    peer = open_clip.create_model(f"local-dir:{tmp_path}").eval().visual.trunk
    pixels = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        (expected,) = peer.forward_intermediates(
            normalised(pixels, mine), [1], intermediates_only=True
        )
    torch.testing.assert_close(mine.maps(pixels, ("blocks.1",))["blocks.1"], expected, **CLOSE)


@pytest.mark.parametrize(("name", "schema"), [("timm", TimmConfig), ("open_clip", OpenClipConfig)])
def test_a_library_that_is_not_there_is_named_with_its_extra(
    name: str, schema: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match=rf"library {name}") as caught:
        BACKBONES.load(name)(schema(), CPU)
    assert f"pip install 'neuroattn[{name}]'" in str(caught.value)


def test_the_files_of_a_folder_enter_the_fingerprint(tmp_path: Path) -> None:
    for file in ("config.json", "model.safetensors", "open_clip_config.json"):
        (tmp_path / file).write_text("{}")
    assert set(leaves(TimmConfig(model=str(tmp_path)))) == {
        "timm/config.json", "timm/model.safetensors",
    }  # fmt: skip
    config = OpenClipConfig(model=str(tmp_path))
    assert open_clip_leaves(config)["open_clip/model.safetensors"].parent == tmp_path
    (tmp_path / "open_clip_model.safetensors").write_text("")
    assert set(open_clip_leaves(config)) == {
        "open_clip/open_clip_config.json", "open_clip/open_clip_model.safetensors",
    }  # fmt: skip
    (tmp_path / "other.safetensors").write_text("")
    with pytest.raises(DataError, match="not clear"):
        weights_file(tmp_path, "third.safetensors")
    (tmp_path / "open_clip_config.json").unlink()
    with pytest.raises(MissingDataError, match="no pretrained model"):
        open_clip_leaves(config)
