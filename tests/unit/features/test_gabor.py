"""The Gabor pyramid: gratings peak in their own channel and cell, whatever their phase."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from neuroattn.core.errors import ConfigError
from neuroattn.features.gabor import GaborBackbone, build
from neuroattn.features.registry import GaborConfig

CPU = torch.device("cpu")
SIDE = 96


def pyramid(**keys: Any) -> GaborBackbone:
    usual = {"image_size": SIDE, "pool": None, "frequencies": [2.0, 4.0, 8.0, 16.0]}
    return build(GaborConfig(**{**usual, **keys}), CPU)


def grating(frequency: float, degrees: float, phase: float = 0.0, size: float = 0.2) -> Any:
    """Grey (1, 3, SIDE, SIDE) with stripes of an orientation, ``size`` of full contrast."""
    axis = (torch.arange(SIDE) + 0.5) / SIDE
    angle = math.radians(degrees)
    wave = math.cos(angle) * axis[:, None] + math.sin(angle) * axis[None, :]
    stripes = 0.5 + size * torch.cos(2 * math.pi * frequency * wave + phase)
    return stripes.expand(1, 3, SIDE, SIDE)


@pytest.mark.parametrize("frequency", [4.0, 8.0, 16.0])
@pytest.mark.parametrize("degrees", [0.0, 45.0, 112.5])
def test_a_grating_peaks_in_its_own_channel_with_its_amplitude(
    frequency: float, degrees: float
) -> None:
    backbone = pyramid()
    energy = backbone.maps(grating(frequency, degrees), ("pyramid",))["pyramid"][0]
    middle = energy[:, 8, 8]
    assert backbone.channels("pyramid")[int(middle.argmax())] == (frequency, "luminance", degrees)
    assert float(middle.max()) == pytest.approx(0.2, rel=0.01)


def test_stripes_that_rise_to_the_right_are_at_45_degrees() -> None:
    corners = torch.zeros(1, 3, SIDE, SIDE)
    for shift in range(-SIDE, 2 * SIDE, 12):  # x + y constant along a stripe
        for row in range(SIDE):
            corners[..., row, max(0, shift - row) : max(0, shift - row + 6)] = 1
    backbone = pyramid(frequencies=[11.0], orientations=4)
    energy = backbone.pooled(corners)[0]
    assert backbone.channels("pyramid")[int(energy.argmax())][2] == 45.0


def test_energy_does_not_depend_on_the_phase_and_its_parts_do() -> None:
    backbone = pyramid()
    found = torch.cat([
        backbone.maps(grating(8, 45, phase), ("scale.2",))["scale.2"][:, 2, 3:5, 3:5]
        for phase in (0.0, 0.7, 1.6, 3.0)
    ])  # fmt: skip
    assert float(found.std(0).max()) < 0.01 * float(found.mean())


def test_a_patch_peaks_in_its_own_cell_row_and_column() -> None:
    backbone = pyramid()
    patch = torch.full((1, 3, SIDE, SIDE), 0.5)
    patch[..., 12:24, 60:72] = grating(8, 90)[..., 12:24, 60:72]  # row 1 and column 5 of 8
    tokens = backbone.tokens(patch)
    channel = backbone.channels("scale.2").index((8.0, "luminance", 90.0))
    assert backbone.layers == ("pyramid",)
    energy = backbone.maps(patch, ("scale.2",))["scale.2"][0, channel]
    assert divmod(int(energy.argmax()), 8) == (1, 5)
    whole = tokens["pyramid"][0].reshape(16, 16, -1)
    place = divmod(int(whole[..., 2 * 8 + channel].argmax()), 16)
    assert place[0] in (2, 3)
    assert place[1] in (10, 11)


def test_it_equals_a_convolution_with_gabor_filters() -> None:
    """An independent sum over pixels, with filters written out in two dimensions."""
    torch.manual_seed(0)
    pixels = torch.rand(1, 3, SIDE, SIDE)
    backbone = pyramid(orientations=3, colour=True)
    found = backbone.maps(pixels, ("scale.1",))["scale.1"][0]
    red, green, _ = pixels[0].double()
    axis = (torch.arange(SIDE, dtype=torch.float64) + 0.5) / SIDE
    row, column, frequency = 1, 3, 4.0
    down, right = torch.meshgrid(axis - 1.5 / 4, axis - 3.5 / 4, indexing="ij")
    deviation = 3 * math.sqrt(math.log(2) / 2) / math.pi / frequency  # one octave
    envelope = torch.exp(-(down**2 + right**2) / (2 * deviation**2))
    envelope /= envelope.sum()
    for step in range(3):
        angle = math.pi * step / 3
        wave = 2 * math.pi * frequency * (math.cos(angle) * down + math.sin(angle) * right)
        squares = 0.0
        for part in (wave.cos(), wave.sin()):
            kernel = envelope * (part - (envelope * part).sum())
            squares += float((kernel * (red - green) / 2).sum()) ** 2
        assert float(found[3 + step, row, column]) == pytest.approx(
            2 * math.sqrt(squares), rel=1e-3
        )


def test_a_uniform_picture_has_no_energy_up_to_the_border() -> None:
    for level in (0.0, 0.3, 1.0):
        energy = pyramid().maps(torch.full((1, 3, SIDE, SIDE), level), ("pyramid",))["pyramid"]
        assert float(energy.max()) < 1e-4


def test_colour_answers_where_luminance_is_blind() -> None:
    backbone = pyramid(colour=True, frequencies=[8.0])
    stripes = grating(8, 0)[:, :1] - 0.5
    # Equal luminance: green falls as red rises, in proportion to their shares.
    colours = torch.cat([stripes, -stripes * 0.2126 / 0.7152, 0 * stripes], dim=1) + 0.5
    energy = backbone.maps(colours, ("pyramid",))["pyramid"][0, :, 4, 4]
    names = backbone.channels("pyramid")
    assert names[int(energy.argmax())] == (8.0, "red-green", 0.0)
    assert float(energy[names.index((8.0, "luminance", 0.0))]) < 1e-4


def test_grids_channels_and_pooling() -> None:
    backbone = pyramid(layers=["scale.0", "scale.3", "pyramid"], pool=8, colour=True)
    tokens = backbone.tokens(torch.rand(2, 3, 50, 70))
    grids = {layer: backbone.shape(layer).grid for layer in backbone.layers}
    assert grids == {"scale.0": (2, 2), "scale.3": (8, 8), "pyramid": (8, 8)}
    for layer, values in tokens.items():
        shape = backbone.shape(layer)
        assert values.shape == (2, shape.tokens, shape.dim)
        assert shape.dim == len(backbone.channels(layer))
    assert backbone.pooled(torch.rand(2, 3, 50, 70)).shape == (2, 4 * 3 * 8)


def test_degrees_turn_cycles_per_degree_into_cycles_per_picture() -> None:
    backbone = pyramid(frequencies=[0.5, 2.0], degrees=8.4)
    assert backbone.frequencies == pytest.approx([4.2, 16.8])
    assert backbone.native("scale.0").grid == (4, 4)


def test_the_gradient_is_the_slope_and_finite_where_there_is_no_energy() -> None:
    backbone = pyramid(layers=["scale.1"])
    grey = torch.full((1, 3, SIDE, SIDE), 0.5, requires_grad=True)
    backbone.tokens(grey)["scale.1"].sum().backward()
    assert grey.grad is not None
    assert bool(grey.grad.isfinite().all())
    pixels = grating(4, 45).clone().requires_grad_()
    direction = grating(4, 45) - 0.5
    total = backbone.tokens(pixels)["scale.1"].sum()
    (gradient,) = torch.autograd.grad(total, pixels)
    rise = backbone.tokens(pixels.detach() + 0.1 * direction)["scale.1"].sum() - total.detach()
    assert float((gradient * direction).sum()) == pytest.approx(10 * float(rise), rel=0.02)


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"layers": ["scale.4"]}, "no layer"),
        ({"layers": ["blocks.1"]}, "no layer"),
        ({"frequencies": [2.0, 40.0]}, "too high"),
        ({"frequencies": []}, "at least one"),
        ({"frequencies": [2.0, 2.0]}, "different"),
    ],
)
def test_what_cannot_be_is_explained(keys: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        pyramid(**keys)
