"""Reading what modules of a foreign network give, and turning patch tokens into maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import reduce
from math import isqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.features.store import LayerShape

Pixels = tuple[tuple[float, ...], tuple[float, ...]]
_PARTS = ("query", "key", "value")


@contextmanager
def listening(
    modules: Mapping[str, nn.Module],
    found: dict[str, Tensor],
    change: Mapping[str, Callable[[Tensor], Tensor]] | None = None,
) -> Iterator[None]:
    """While open, what each module gives is put into ``found`` under its layer's name.

    Parameters
    ----------
    modules : layer -> module.
    found : filled by each call of the network; of a tuple, the first part.
    change : layer -> what is done to the output before it is kept.
    """

    def keep(layer: str) -> Any:
        take = (change or {}).get(layer)

        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            values: Tensor = output[0] if isinstance(output, tuple) else output
            found[layer] = values if take is None else take(values)

        return hook

    handles = [module.register_forward_hook(keep(layer)) for layer, module in modules.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def reach(module: nn.Module, path: str) -> nn.Module:
    """The part of ``module`` with this dotted name."""
    found: Any = reduce(getattr, path.split("."), module)
    return found  # type: ignore[no-any-return]


def third(part: str, values: Tensor) -> Tensor:
    """Query, key or value (images, tokens, dim) of a joined projection (images, tokens, 3 dim)."""
    return values.chunk(3, dim=-1)[_PARTS.index(part)]


def patch_map(values: Tensor, prefix: int, layer: str) -> Tensor:
    """A map (images, channels, rows, columns) of patch tokens (images, prefix + patches, channels).

    Raises
    ------
    DataError : what is left after the first ``prefix`` tokens is no square grid.
    """
    if values.ndim == 4:
        return values
    patches = values[:, prefix:] if values.ndim == 3 else values[:, :0]
    side = isqrt(patches.shape[1])
    if not side or side * side != patches.shape[1]:
        raise DataError(
            f"what the layer {layer} gives is no grid of patches",
            expected=f"(images, {prefix} + rows x columns, channels), or a map",
            found=" x ".join(map(str, values.shape)),
            fix="choose another of its layers",
        )
    return patches.transpose(1, 2).reshape(len(values), -1, side, side)


def map_shapes(maps: Mapping[str, Tensor]) -> dict[str, LayerShape]:
    """Shape of each layer's map."""
    return {
        layer: LayerShape((found.shape[2], found.shape[3]), found.shape[1])
        for layer, found in maps.items()
    }


def check_patches(side: int, patch: int) -> None:
    """Refuse a picture that does not divide into patches; 0 is a network without any.

    Raises
    ------
    ConfigError : it does not.
    """
    if patch and side % patch:
        raise ConfigError(
            "the picture does not divide into patches",
            expected=f"backbone.image_size as a multiple of {patch}",
            found=side,
            fix=f"set backbone.image_size={max(patch, round(side / patch) * patch)}",
        )


class Normalise(nn.Module):
    """Pixels in [0, 1] less a mean, over a deviation, colour by colour."""

    def __init__(self, pixels: Pixels) -> None:
        super().__init__()
        for name, part in zip(("mean", "deviation"), pixels, strict=True):
            self.register_buffer(name, torch.tensor(part).reshape(1, 3, 1, 1))
        self.mean: Tensor
        self.deviation: Tensor

    def forward(
        self, pixels: Float[Tensor, "images 3 rows columns"]
    ) -> Float[Tensor, "images 3 rows columns"]:
        """Normalise."""
        normalised: Tensor = (pixels - self.mean) / self.deviation
        return normalised


@contextmanager
def always_the_same_weights() -> Iterator[None]:
    """Random numbers from one seed while open; those of the caller go on as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
