"""Blur levels: the same picture with less and less detail, for targets that a brain can match.

Every blur here is one matrix from the left and its transpose from the right, so any width costs
the same: 4 x side^3 x 3 floating-point operations, 135 MFLOP at 224 pixels and 25 at 128, beside
the 490 of the smallest network. Wu et al. 2025 ("Bridging the vision-brain gap with an
uncertainty-aware blur prior") give the foveated blend (their equation 5).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.features.blur_schemas import BlurConfig, BlurKind
from neuroattn.features.store import stored_name

NOMINAL = 224  # pixels of the picture in which strengths are told
ORIGINAL = 0.0


@dataclass(frozen=True)
class Level:
    """One level of a bank.

    Parameters
    ----------
    strength : 0 is the original.
    key : names everything that makes it; empty for the original.
    """

    strength: float
    key: str = ""

    def layer(self, layer: str) -> str:
        """Name under which a layer of this level is stored."""
        return stored_name(layer, self.key)


def levels(config: BlurConfig) -> list[Level]:
    """The levels of a bank, the original first."""
    strengths = map(float, config.levels)
    return [Level(ORIGINAL), *(Level(strength, key(config, strength)) for strength in strengths)]


def key(config: BlurConfig, strength: float) -> str:
    """Name of a level: every parameter that changes a pixel is in it."""
    if config.kind is BlurKind.lowres:
        return f"lowres-f{strength!r}"
    if config.kind is BlurKind.uniform:
        return f"uniform-s{strength!r}"
    return f"fovea-s{strength!r}-c{config.centre.weight!r}-d{config.decay!r}"


class Blur:
    """Blurs pictures of one size at each level of a config.

    Parameters
    ----------
    config : kind, strengths, fovea.
    side : pixels of the square picture.
    device : where the pictures are.

    Raises
    ------
    ConfigError : two levels are the same blur at this size, or one is no blur at all.
    """

    def __init__(self, config: BlurConfig, side: int, device: torch.device) -> None:
        self.levels = levels(config)
        matrices = [torch.eye(side, dtype=torch.float64)]
        matrices += [matrix(config.kind, strength, side) for strength in config.levels]
        check_distinct(self.levels, matrices, side)
        self._matrices = [one.to(device, torch.float32) for one in matrices]
        self._centre: Tensor | None = None
        if config.kind is BlurKind.fovea and config.levels:
            weight = fovea_weight(side, config.centre.weight, config.decay)
            self._centre = weight.to(device, torch.float32)

    def __call__(
        self, pixels: Float[Tensor, "images 3 side side"], number: int
    ) -> Float[Tensor, "images 3 side side"]:
        """Pictures at level ``number``; level 0 gives back the very pixels."""
        if number == 0:
            return pixels
        blurred = separable(pixels, self._matrices[number])
        if self._centre is not None:
            blurred = torch.lerp(blurred, pixels, self._centre)
        # As pictures come from a file, and as the networks of convolutions want them.
        return blurred.contiguous(memory_format=torch.channels_last)


def matrix(kind: BlurKind, strength: float, side: int) -> Float[Tensor, "side side"]:
    """What blurs rows and columns, in double precision; each row sums to 1."""
    if kind is BlurKind.lowres:
        return lowres_matrix(side, strength)
    return gaussian_matrix(side, strength * side / NOMINAL)


def separable(
    pixels: Float[Tensor, "images 3 side side"], one: Float[Tensor, "side side"]
) -> Float[Tensor, "images 3 side side"]:
    """``one`` applied to columns and to rows."""
    return one @ pixels @ one.mT


def gaussian_matrix(side: int, deviation: float) -> Float[Tensor, "side side"]:
    """Gaussian filter of standard deviation ``deviation`` pixels; borders mirror the picture.

    The width is at least that of OpenCV for the same deviation (2 r + 1 with deviation =
    0.3 (r - 1) + 0.8), so kernels of public code can be told as deviations: `deviation_of`.
    """
    reach = max(ceil(3 * deviation), round((deviation - 0.8) / 0.3 + 1), 0)
    steps = torch.arange(-reach, reach + 1)
    weights = torch.exp(-0.5 * (steps.double() / max(deviation, 1e-9)) ** 2)
    places = torch.arange(side)[:, None] + steps[None, :]
    period = max(2 * (side - 1), 1)
    folded = places.remainder(period)
    folded = torch.where(folded < side, folded, period - folded)
    found = torch.zeros(side, side, dtype=torch.float64)
    return found.scatter_add_(1, folded, (weights / weights.sum()).expand(side, -1))


def deviation_of(kernel: int) -> float:
    """Standard deviation that OpenCV takes for a kernel of so many pixels: 8.0 for 51."""
    return 0.3 * ((kernel - 1) / 2 - 1) + 0.8


def lowres_matrix(side: int, factor: float) -> Float[Tensor, "side side"]:
    """Means over cells of ``factor`` pixels, drawn again at full size by linear interpolation."""
    cells = max(1, round(side / factor))
    edges = torch.linspace(0, side, cells + 1, dtype=torch.float64)
    pixel = torch.arange(side, dtype=torch.float64)
    shared = torch.minimum(edges[1:, None], pixel + 1) - torch.maximum(edges[:-1, None], pixel)
    mean = shared.clamp(min=0) * (cells / side)
    place = ((pixel + 0.5) * cells / side - 0.5).clamp(0, cells - 1)
    apart = (place[:, None] - torch.arange(cells)).abs()
    return (1 - apart).clamp(min=0) @ mean


def fovea_weight(side: int, centre: float, decay: float) -> Float[Tensor, "side side"]:
    """Share of the original at each pixel: ``centre`` exp(-``decay`` d / d_max), d from the middle.

    Wu et al. 2025, equation 5, has 1 at the centre; their released code has 0.5.
    """
    place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    distance = torch.hypot(place[:, None], place[None, :])
    return centre * torch.exp(-decay * distance / distance.max().clamp(min=1e-9))


def check_distinct(
    found: list[Level], matrices: list[Float[Tensor, "side side"]], side: int
) -> None:
    """Refuse levels that blur alike, to single precision.

    Raises
    ------
    ConfigError : both are named.
    """
    for number, one in enumerate(matrices):
        for earlier in range(number):
            if float((one - matrices[earlier]).abs().max()) < 1e-4:
                pair = f"{found[earlier].strength:g} and {found[number].strength:g}"
                raise ConfigError(
                    "two blur levels are the same pictures",
                    expected=f"strengths that differ at {side} pixels, 0 being the original",
                    found=pair,
                    fix="set backbone.blur.levels to strengths that lie further apart",
                )
