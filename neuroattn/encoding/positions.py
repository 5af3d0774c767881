"""Codes of where a token stands in its picture."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

TEMPERATURE = 1e4


def sine_code(grid: tuple[int, int], dim: int) -> Float[Tensor, "tokens dim"]:
    """Fixed two-dimensional sine code, row by row of ``grid``.

    The first half of the channels tells the row and the second the column. Coordinates run to
    2 pi over each side; channel pairs are sine and cosine of the coordinate at wavelengths that
    grow geometrically with a base of `TEMPERATURE` (Carion et al. 2020, DETR, appendix A.4).

    Raises
    ------
    ValueError : ``dim`` is odd, so it has no halves.
    """
    if dim % 2:
        raise ValueError(f"a two-dimensional code needs an even number of channels, not {dim}")
    half = dim // 2
    rows, columns = grid
    by_row = _line(rows, half)[:, None].expand(rows, columns, half)
    by_column = _line(columns, half)[None].expand(rows, columns, half)
    return torch.cat([by_row, by_column], dim=-1).reshape(rows * columns, dim)


def _line(length: int, channels: int) -> Float[Tensor, "length channels"]:
    place = torch.arange(1, length + 1, dtype=torch.float64) / length * 2 * math.pi
    pairs = torch.arange(channels) // 2
    angle = place[:, None] / TEMPERATURE ** (2 * pairs / channels)
    even = torch.arange(channels) % 2 == 0
    return torch.where(even, angle.sin(), angle.cos()).to(torch.float32)
