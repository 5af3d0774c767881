from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from neuroattn.core.errors import ConfigError
from neuroattn.features.backbones import choose_device, fit_pixels, map_tokens, pooled_grid
from neuroattn.features.efficientnet_lite import EfficientNetLiteBackbone
from neuroattn.features.images import fit_picture
from neuroattn.features.registry import Interpolation, Resize
from neuroattn.features.stage import unit_pixels

CPU = torch.device("cpu")
Lite = Callable[..., EfficientNetLiteBackbone]


def test_tokens_go_row_by_row() -> None:
    maps = torch.arange(2 * 3 * 2 * 4).reshape(2, 3, 2, 4).float()
    tokens = map_tokens(maps)
    assert tokens.shape == (2, 8, 3)
    for row in range(2):
        for column in range(4):
            assert torch.equal(tokens[:, row * 4 + column], maps[:, :, row, column])


def test_pooling_averages_cells_and_keeps_their_order() -> None:
    maps = torch.randn(2, 3, 8, 4)
    tokens = map_tokens(maps, pool=4)
    assert tokens.shape == (2, 16, 3)
    assert torch.allclose(tokens[:, 1 * 4 + 2], maps[:, :, 2:4, 2].mean(2))


def test_a_grid_is_never_made_finer() -> None:
    assert pooled_grid((7, 7), 14) == (7, 7)
    assert pooled_grid((28, 14), 7) == (7, 7)
    assert pooled_grid((9, 9), None) == (9, 9)
    assert map_tokens(torch.ones(1, 5, 1, 1), pool=7).shape == (1, 1, 5)


@pytest.mark.parametrize("corner", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("pool", [None, 4])
def test_a_dot_in_a_corner_moves_the_token_of_that_corner(
    lite: Lite, corner: tuple[int, int], pool: int | None
) -> None:
    backbone = lite("blocks.2", side=64, pool=pool)
    rows, columns = backbone.shape("blocks.2").grid
    grey = torch.full((1, 3, 64, 64), 0.5)
    dotted = grey.clone()
    places = [slice(2, 6), slice(58, 62)]
    dotted[:, :, places[corner[0]], places[corner[1]]] = 1.0
    change = (backbone.tokens(dotted)["blocks.2"] - backbone.tokens(grey)["blocks.2"]).norm(dim=2)
    row, column = divmod(int(change.argmax()), columns)
    nearest = round(row / (rows - 1)), round(column / (columns - 1))
    assert nearest == corner  # a transposed order would swap two of the corners


@pytest.mark.parametrize("resize", Resize)
@pytest.mark.parametrize("interpolation", Interpolation)
@pytest.mark.parametrize("size", [(90, 131), (20, 33)])
def test_pixels_and_pictures_are_resized_alike(
    resize: Resize, interpolation: Interpolation, size: tuple[int, int]
) -> None:
    # Moderate contrast: Pillow clips bicubic overshoot after each of its two passes.
    noise = np.random.default_rng(0).integers(80, 176, (*size, 3), dtype=np.uint8)
    picture = fit_picture(noise, 48, resize, interpolation)
    pixels = fit_pixels(unit_pixels(noise[None], CPU), 48, resize, interpolation)
    ours = pixels[0].permute(1, 2, 0).numpy() * 255
    assert np.abs(ours - picture).max() < 1.6  # and rounds as often


def test_pixels_that_fit_are_left_as_they_are() -> None:
    pixels = torch.rand(1, 3, 48, 48)
    assert torch.equal(fit_pixels(pixels, 48, Resize.crop, Interpolation.bicubic), pixels)
    assert torch.equal(fit_pixels(pixels, 48, Resize.crop, Interpolation.bicubic, 0.5), pixels)


def test_the_pooled_layers_are_means_of_the_native_ones(lite: Lite) -> None:
    pixels = torch.rand(2, 3, 64, 64)
    native = lite("blocks.1", side=64).maps(pixels, ("blocks.1",))["blocks.1"]
    pooled = lite("blocks.1", side=64, pool=4).tokens(pixels)["blocks.1"]
    expected = functional.avg_pool2d(native, 4).flatten(2).transpose(1, 2)
    assert torch.allclose(pooled, expected, atol=1e-5)


def test_the_device_is_the_one_asked_for() -> None:
    assert choose_device("cpu") == CPU
    assert choose_device("auto").type in ("cpu", "cuda", "mps", "xpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"runtime\.device=auto"):
        choose_device("cuda")
