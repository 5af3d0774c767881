"""Gabor-energy pyramid: a fixed model of V1 behind the contract of `Backbone`, nothing trained.

Each cell of the grid holds, for each frequency and orientation, the energy of a quadrature
pair: the root of the summed squares of an even and an odd Gabor filter, which answers to a
grating whatever its phase (Adelson & Bergen 1985, "Spatiotemporal energy models for the
perception of motion", section on energy). Grids follow Kay, Naselaris, Prenger & Gallant 2008
("Identifying natural images from human brain activity", Methods): f x f filters for a frequency
of f cycles per picture, octaves apart, eight orientations.

A Gabor filter with a round envelope is a product of a function of the row and one of the
column, so all filters of one frequency are two small matrices and no convolution is needed:
each is evaluated at its own place exactly, beyond the border too, where it is cut off. What is
left of a filter always sums to 0, so that a uniform picture has no energy anywhere, and its
gain is such that a grating of its own frequency and orientation gives the grating's amplitude.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.errors import ConfigError
from neuroattn.features.backbones import Backbone
from neuroattn.features.registry import GaborConfig
from neuroattn.features.store import LayerShape

PYRAMID = "pyramid"
PIXELS_A_CYCLE = 3.0  # fewer, and a filter is too coarsely sampled to keep its orientation
_TINY = 1e-10  # under the root: an energy of 0 has a slope of 0, not an infinite one

# Luminance (ITU-R BT.709) and two opponent differences of the stored sRGB values.
_COLOURS = {
    "luminance": (0.2126, 0.7152, 0.0722),
    "red-green": (0.5, -0.5, 0.0),
    "blue-yellow": (-0.25, -0.25, 0.5),
}


@dataclass(frozen=True)
class Filters:
    """All filters of one frequency on one grid, as factors.

    Parameters
    ----------
    rows, columns : (orientations, 2, cells, side): cosine and sine along that side, times the
        envelope, which sums to 1.
    envelope : (cells, side), the same for rows and columns.
    even, odd : (orientations, cells, cells): what a uniform picture of 1 would give.
    """

    rows: Tensor
    columns: Tensor
    envelope: Tensor
    even: Tensor
    odd: Tensor

    def energy(
        self, planes: Float[Tensor, "images planes side side"]
    ) -> Float[Tensor, "images planes orientations cells cells"]:
        """Energy of each plane at each cell, in units of a grating's amplitude.

        About ``4 x orientations x cells x side^2`` operations a plane.
        """
        # Axes: images i, planes p, orientations o, cosine or sine of rows a, of columns b.
        along = torch.einsum("oary,ipyx->ipoarx", self.rows, planes)
        parts = torch.einsum("ipoarx,obcx->ipoabrc", along, self.columns)
        even = parts[:, :, :, 0, 0] - parts[:, :, :, 1, 1]
        odd = parts[:, :, :, 0, 1] + parts[:, :, :, 1, 0]
        mean = (self.envelope @ planes @ self.envelope.T)[:, :, None]
        even, odd = even - self.even * mean, odd - self.odd * mean
        return 2 * (even.square() + odd.square() + _TINY).sqrt()


def make_filters(
    frequency: float, cells: int, side: int, orientations: int, bandwidth: float
) -> Filters:
    """Filters of ``frequency`` cycles per picture, at the centres of ``cells`` x ``cells``.

    An orientation is that of the stripes, counter-clockwise from horizontal. The envelope's
    deviation gives ``bandwidth`` octaves between the frequencies of half the height.
    """
    place = (torch.arange(side, dtype=torch.float64) + 0.5) / side
    centre = (torch.arange(cells, dtype=torch.float64) + 0.5) / cells
    ratio = 2.0**bandwidth
    deviation = math.sqrt(math.log(2) / 2) / math.pi * (ratio + 1) / (ratio - 1) / frequency
    offset = place - centre[:, None]
    envelope = torch.exp(-(offset**2) / (2 * deviation**2))
    envelope = envelope / envelope.sum(1, keepdim=True)
    angle = torch.arange(orientations, dtype=torch.float64) * math.pi / orientations
    # Rows count downwards: stripes that rise to the right change towards the lower right.
    rows, columns = (
        torch.stack([wave.cos(), wave.sin()], dim=1) * envelope
        for wave in (
            2 * math.pi * frequency * direction[:, None, None] * offset
            for direction in (angle.cos(), angle.sin())
        )
    )
    rows_of_one, columns_of_one = rows.sum(3), columns.sum(3)
    products = torch.einsum("oar,obc->oabrc", rows_of_one, columns_of_one)
    even, odd = products[:, 0, 0] - products[:, 1, 1], products[:, 0, 1] + products[:, 1, 0]
    return Filters(*(part.float() for part in (rows, columns, envelope, even, odd)))


class GaborBackbone(Backbone):
    """The pyramid. ``scale.<i>`` is one frequency on its own grid; ``pyramid`` is all on one.

    Channels are ordered by frequency (``pyramid``), colour, orientation: `channels`.
    """

    def __init__(self, config: GaborConfig, device: torch.device) -> None:
        super().__init__(config, device)
        per_picture = config.degrees or 1.0
        self.frequencies = [float(frequency) * per_picture for frequency in config.frequencies]
        self.colours = list(_COLOURS) if config.colour else ["luminance"]
        self.orientations, self._bandwidth = config.orientations, config.bandwidth
        self._check_frequencies(config)
        grids = [max(1, round(frequency)) for frequency in self.frequencies]
        self._grids = {f"scale.{index}": grid for index, grid in enumerate(grids)}
        self._grids[PYRAMID] = max(grids)
        weights = torch.tensor([_COLOURS[colour] for colour in self.colours])
        self._weights = weights.to(device)
        self._filters: dict[tuple[int, int], Filters] = {}
        for layer in self.layers:
            self.native(layer)
            for index in self._scales(layer):
                self._made(index, self._grids[layer])
        unit = f"{self.frequencies[0]:g} to {self.frequencies[-1]:g} cycles per picture"
        self.methods = (
            f"a Gabor-energy pyramid (Adelson & Bergen 1985; Kay et al. 2008; {unit},"
            f" {self.orientations} orientations, {', '.join(self.colours)})"
        )

    def maps(
        self, pixels: Float[Tensor, "images 3 height width"], layers: tuple[str, ...]
    ) -> dict[str, Float[Tensor, "images channels rows columns"]]:
        """Energy maps of ``layers``, before any pooling."""
        fitted = self.fit(pixels)
        with self.arithmetic():
            planes = torch.einsum("pc,icyx->ipyx", self._weights, fitted)
            return {layer: self._map(planes, layer) for layer in layers}

    def native(self, layer: str) -> LayerShape:
        """Shape of a layer's map before any pooling."""
        if layer not in self._grids:
            raise ConfigError(
                f"the pyramid has no layer {layer}",
                expected=" | ".join([PYRAMID, *(name for name in self._grids if name != PYRAMID)]),
                found=layer,
                fix="set backbone.layers=[…] to some of these",
            )
        grid = self._grids[layer]
        return LayerShape((grid, grid), len(self.channels(layer)))

    def channels(self, layer: str) -> list[tuple[float, str, float]]:
        """Of each channel: cycles per picture, colour, orientation of the stripes in degrees."""
        return [
            (self.frequencies[scale], colour, 180.0 * step / self.orientations)
            for scale in self._scales(layer)
            for colour in self.colours
            for step in range(self.orientations)
        ]

    def pooled(self, pixels: Float[Tensor, "images 3 height width"]) -> Float[Tensor, "images dim"]:
        """Mean energy over the picture of every channel of ``pyramid``."""
        return self.maps(pixels, (PYRAMID,))[PYRAMID].mean((2, 3)).float()

    def _map(self, planes: Tensor, layer: str) -> Tensor:
        grid = self._grids[layer]
        found = [self._made(index, grid).energy(planes) for index in self._scales(layer)]
        return torch.cat([energy.flatten(1, 2) for energy in found], dim=1)

    def _scales(self, layer: str) -> range:
        if layer == PYRAMID:
            return range(len(self.frequencies))
        index = int(layer.removeprefix("scale."))
        return range(index, index + 1)

    def _made(self, index: int, grid: int) -> Filters:
        if (index, grid) not in self._filters:
            frequency, side = self.frequencies[index], self.config.image_size
            made = make_filters(frequency, grid, side, self.orientations, self._bandwidth)
            parts = (made.rows, made.columns, made.envelope, made.even, made.odd)
            self._filters[index, grid] = Filters(*(part.to(self.device) for part in parts))
        return self._filters[index, grid]

    def _check_frequencies(self, config: GaborConfig) -> None:
        most = config.image_size / PIXELS_A_CYCLE
        if max(self.frequencies) > most:
            raise ConfigError(
                "a frequency is too high for the picture's pixels",
                expected=f"at most {most:g} cycles per picture of {config.image_size} pixels",
                found=f"{max(self.frequencies):g}",
                fix="raise backbone.image_size, or leave it out of backbone.frequencies",
            )


def build(config: GaborConfig, device: torch.device) -> GaborBackbone:
    """The pyramid; it has no weights to look for."""
    return GaborBackbone(config, device)
