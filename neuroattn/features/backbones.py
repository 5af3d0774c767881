"""The contract of an image backbone: pictures in, tokens by layer out, differentiable throughout.

A backbone is frozen. Everything between the pixels and the tokens is torch, so the gradient
of whatever is read from the tokens reaches the pixels: guidance of a generator needs that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from neuroattn.core.errors import ConfigError
from neuroattn.features.images import MEAN_COLOUR, centre_square, padded_size
from neuroattn.features.registry import BackboneConfig, Interpolation, Resize
from neuroattn.features.store import LayerShape
from neuroattn.training.registry import Precision

_HALVES = {Precision.bf16: torch.bfloat16, Precision.fp16: torch.float16}


class Backbone(ABC):
    """A frozen network that turns pictures into tokens.

    Parameters
    ----------
    config : layers, picture size, pooling, resize, precision.
    device : where it computes; the caller's pictures are moved there.

    Attributes
    ----------
    group : pictures in one call of the network while features are stored. It is part of the
        backbone and no option, because the last bit of a float depends on it.
    methods : what it is and where it is from, for the report's Methods text.
    beside : layers that are stored as well, which no encoder reads.
    """

    group: int = 8
    methods: str = ""
    beside: tuple[str, ...] = ()

    def __init__(self, config: BackboneConfig, device: torch.device) -> None:
        self.config = config
        self.device = device
        self.layers: tuple[str, ...] = tuple(config.layers)
        self._check_precision()

    @abstractmethod
    def maps(
        self, pixels: Float[Tensor, "images 3 height width"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Maps of ``layers`` for pixels in [0, 1] of any size, before any pooling."""

    @abstractmethod
    def native(self, layer: str) -> LayerShape:
        """Shape of a layer's map before any pooling.

        Raises
        ------
        ConfigError : the network has no such layer.
        """

    @abstractmethod
    def pooled(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dim"]:
        """One vector for each picture: the network's own global feature."""

    def shape(self, layer: str) -> LayerShape:
        """Shape of a layer's tokens as `tokens` gives them."""
        native = self.native(layer)
        return LayerShape(pooled_grid(native.grid, self.config.pool), native.dim)

    @property
    def stored(self) -> tuple[str, ...]:
        """Layers that a feature store keeps."""
        return (*self.layers, *self.beside)

    def tokens(
        self,
        pixels: Float[Tensor, "images 3 height width"],
        layers: tuple[str, ...] | None = None,
    ) -> dict[str, Float[Tensor, "images tokens dim"]]:
        """Tokens of each of ``layers`` in fp32, row by row of the grid, for pixels in [0, 1].

        None is those that encoders read (`layers`). Layers differ in tokens and dim (`shape`). The
        network stops at the deepest layer.
        """
        wanted = self.layers if layers is None else layers
        maps = self.maps(pixels, wanted)
        return {layer: map_tokens(maps[layer].float(), self.config.pool) for layer in wanted}

    def fit(
        self, pixels: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images 3 side side"]:
        """Pixels at the size that the network sees; those that have it are left as they are."""
        config = self.config
        return fit_pixels(
            pixels.to(self.device), config.image_size, config.resize, config.interpolation,
            config.crop_fraction,
        )  # fmt: skip

    def arithmetic(self) -> AbstractContextManager[object]:
        """The context that gives the network its precision."""
        half = _HALVES.get(self.config.precision)
        return nullcontext() if half is None else torch.autocast(self.device.type, half)

    def _check_precision(self) -> None:
        if self.config.precision is Precision.fp16 and self.device.type == "cpu":
            raise ConfigError(
                "fp16 arithmetic needs a GPU",
                expected="backbone.precision=fp32 or bf16 on a CPU",
                found="backbone.precision=fp16",
                fix="set backbone.precision=fp32",
            )


def pooled_grid(grid: tuple[int, int], pool: int | None) -> tuple[int, int]:
    """Grid after pooling: never finer than it was, for repeated cells would be no information."""
    if pool is None:
        return grid
    return min(grid[0], pool), min(grid[1], pool)


def map_tokens(
    maps: Float[Tensor, "images channels rows columns"], pool: int | None = None
) -> Float[Tensor, "images tokens channels"]:
    """Cells of a map as tokens, row by row: token ``r * columns + c`` is cell (r, c).

    ``pool`` averages larger grids to that many cells a side first.
    """
    grid = pooled_grid((maps.shape[2], maps.shape[3]), pool)
    if grid != tuple(maps.shape[2:]):
        maps = functional.adaptive_avg_pool2d(maps, grid)
    return maps.flatten(2).transpose(1, 2)


def fit_pixels(
    pixels: Float[Tensor, "images 3 height width"],
    side: int,
    resize: Resize,
    interpolation: Interpolation,
    fraction: float = 1.0,
) -> Float[Tensor, "images 3 side side"]:
    """Square pixels by an antialiased, differentiable resize; the twin of `images.fit_picture`.

    Pixels of that very size count as fitted: nothing is cut off them a second time.
    """
    height, width = pixels.shape[-2:]
    if (height, width) == (side, side):
        return pixels
    if resize is Resize.pad:
        return _pad_pixels(pixels, side, interpolation)
    if resize is Resize.crop:
        left, top, right, bottom = centre_square(height, width, fraction)
        pixels = pixels[..., top:bottom, left:right]
    return _resized(pixels, (side, side), interpolation)


def _resized(pixels: Tensor, size: tuple[int, int], interpolation: Interpolation) -> Tensor:
    if tuple(pixels.shape[-2:]) == size:
        return pixels
    fitted = functional.interpolate(
        pixels, size, mode=interpolation.value, antialias=True, align_corners=False
    )
    return fitted.clamp(0, 1) if interpolation is Interpolation.bicubic else fitted


def _pad_pixels(pixels: Tensor, side: int, interpolation: Interpolation) -> Tensor:
    height, width = padded_size(pixels.shape[-2], pixels.shape[-1], side)
    colour = pixels.new_tensor(MEAN_COLOUR).view(3, 1, 1) / 255
    # Around zero, the colour comes back by addition: gradients pass, and no pixel is written to.
    rest = (0, side - width, 0, side - height)
    centred = _resized(pixels, (height, width), interpolation) - colour
    return functional.pad(centred, rest) + colour


def choose_device(wanted: str) -> torch.device:
    """The device called ``wanted``; ``auto`` takes an accelerator where there is one.

    Raises
    ------
    ConfigError : this machine has none of its kind.
    """
    if wanted == "auto":
        found = (
            torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        )
        return found or torch.device("cpu")
    try:
        device = torch.device(wanted)
        there = device.type == "cpu" or torch.get_device_module(device).is_available()
    except RuntimeError:  # no kind of device at all
        there = False
    if not there:
        raise ConfigError(
            "the device is not there",
            expected="auto, cpu, cuda or mps, as this machine has it",
            found=wanted,
            fix="set runtime.device=auto",
        )
    return device


@contextmanager
def exact_kernels() -> Iterator[None]:
    """On a GPU: full fp32 (no TF32) and kernels that give the same bits each time."""
    with torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    ):
        yield
