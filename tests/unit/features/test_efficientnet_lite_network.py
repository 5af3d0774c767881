from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from neuroattn.core.errors import DataError
from neuroattn.features.efficientnet_lite_network import (
    BATCH_NORM_EPSILON,
    VARIANTS,
    EfficientNetLite,
    SameConv,
    block_shapes,
    fold,
    load_weights,
    same_padding,
)
from neuroattn.features.weights import find_weights

LITE0 = VARIANTS["efficientnet_lite0"]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (8, 7), (9, 6), (1, 2)])
def test_same_padding_is_that_of_tensorflow(
    kernel: int, stride: int, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    conv = SameConv(4, 4, kernel=kernel, stride=stride, groups=4, active=False).requires_grad_(
        False
    )
    maps = torch.randn(2, 4, *size)
    rows, columns = (same_padding(side, kernel, stride) for side in size)
    before = (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2)
    expected = functional.conv2d(
        functional.pad(maps, before), conv.weight, conv.bias, stride, groups=4
    )
    assert expected.shape[2:] == tuple(-(-side // stride) for side in size)
    assert torch.allclose(conv(maps), expected, atol=1e-6)


def test_an_active_convolution_is_clipped_to_six() -> None:
    conv = SameConv(1, 1).requires_grad_(False)
    conv.weight.fill_(1.0)
    conv.bias = nn.Parameter(torch.zeros(1), requires_grad=False)
    values = torch.tensor([-2.0, 3.0, 9.0]).reshape(1, 1, 1, 3)
    assert conv(values).flatten().tolist() == [0.0, 3.0, 6.0]


def test_folding_does_what_the_normalisation_does() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 5, 3, bias=False)
    norm = nn.BatchNorm2d(5, eps=BATCH_NORM_EPSILON).eval()
    norm.running_mean, norm.running_var = torch.randn(5), torch.rand(5) + 0.01
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    state = {f"c.{name}": value for name, value in conv.state_dict().items()}
    state |= {f"n.{name}": value for name, value in norm.state_dict().items()}
    weight, bias = fold(state, "c", "n")
    maps = torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        assert torch.allclose(functional.conv2d(maps, weight, bias), norm(conv(maps)), atol=1e-4)


def test_the_sizes_scale_as_published() -> None:
    counts = {name: len(block_shapes(variant)) for name, variant in VARIANTS.items()}
    assert counts == {"efficientnet_lite0": 16, "efficientnet_lite1": 21, "efficientnet_lite2": 21}
    channels = [shape.channels_out for shape in block_shapes(VARIANTS["efficientnet_lite2"])]
    assert sorted(set(channels)) == [16, 24, 48, 88, 120, 208, 352]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        # Published counts (4.65, 5.42, 6.09 million) less what folding merges.
        ("efficientnet_lite0", 4_652_008),
        ("efficientnet_lite1", 5_416_680),
        ("efficientnet_lite2", 6_092_072),
    ],
)
def test_parameters_are_as_published(name: str, parameters: int) -> None:
    with torch.device("meta"):
        network = EfficientNetLite(VARIANTS[name])
    # A folded pair has one bias where the published one has a gain and a bias.
    convolutions = [part for part in network.modules() if isinstance(part, SameConv)]
    gains = sum(part.out_channels for part in convolutions)
    assert sum(weight.numel() for weight in network.parameters()) + gains == parameters


@pytest.mark.parametrize("side", [64, 65, 50])
def test_shapes_are_those_of_the_maps(side: int) -> None:
    network = EfficientNetLite(LITE0).eval().requires_grad_(False)
    maps = network(torch.rand(1, 3, side, side), tuple(network.names))
    shapes = network.shapes(side)
    assert list(shapes) == network.names
    for layer, shape in shapes.items():
        assert maps[layer].shape == (1, shape.dim, *shape.grid)


def test_grids_at_224_pixels_are_those_of_the_paper() -> None:
    shapes = EfficientNetLite(LITE0).shapes(224)
    found = {name: (shape.dim, *shape.grid) for name, shape in shapes.items()}
    assert found["blocks.4"] == (40, 28, 28)
    assert found["blocks.7"] == (80, 14, 14)
    assert found["blocks.10"] == (112, 14, 14)
    assert found["blocks.14"] == (192, 7, 7)
    assert found["blocks.15"] == (320, 7, 7)
    assert found["head"] == (1280, 7, 7)
    assert found["logits"] == (1000, 1, 1)


def test_weights_of_another_size_are_refused() -> None:
    network = EfficientNetLite(VARIANTS["efficientnet_lite1"])
    with pytest.raises(DataError, match="no weights of this network"):
        load_weights(network, find_weights("efficientnet_lite0"))


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    cut = tmp_path / "cut.pth"
    cut.write_bytes(find_weights("efficientnet_lite0").read_bytes()[:100_000])
    with pytest.raises(DataError, match=r"cut\.pth"):
        load_weights(EfficientNetLite(LITE0), cut)


class _Bomb:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.target,))


def test_a_pickle_that_runs_code_is_refused_unrun(tmp_path: Path) -> None:
    witness, bomb = tmp_path / "witness", tmp_path / "bomb.pth"
    bomb.write_bytes(pickle.dumps({"_fc.weight": _Bomb(witness)}, protocol=2))
    with pytest.raises(DataError, match=r"bomb\.pth"):
        load_weights(EfficientNetLite(LITE0), bomb)
    torch.save({"_fc.weight": _Bomb(witness)}, bomb)
    with pytest.raises(DataError, match=r"bomb\.pth"):
        load_weights(EfficientNetLite(LITE0), bomb)
    assert not witness.exists()
