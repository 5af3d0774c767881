"""Places in a picture, and masks over the cells of a grid of tokens.

Coordinates run from -1 (left, top) to 1 (right, bottom); a cell is known by its centre. Masks
are (targets, cells), row by row of the grid.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

Grid = tuple[int, int]
#: Columns of a receptive field: centre (x to the right, y downwards) and size, of half the picture.
FIELD = ("rf_x", "rf_y", "rf_size")
EVEN = 3**-0.5  # size of an even weight over the picture


def centres(grid: Grid) -> Float[Tensor, "cells 2"]:
    """(x, y) of every cell."""
    rows, columns = grid
    x = (torch.arange(columns) + 0.5) / columns * 2 - 1
    y = (torch.arange(rows) + 0.5) / rows * 2 - 1
    return torch.stack([x.repeat(rows), y.repeat_interleave(columns)], dim=1)


def gaussian_masks(
    place: Float[Tensor, "targets 2"], size: Float[Tensor, " targets"], grid: Grid
) -> Float[Tensor, "targets cells"]:
    """Gaussian weights around a place that sum to 1 over the grid.

    Parameters
    ----------
    size : standard deviation in units of half the picture's width.
    """
    away = place[:, None] - centres(grid).to(place)
    return torch.softmax(-away.square().sum(-1) / (2 * size[:, None].square()), dim=1)


def point_masks(place: Float[Tensor, "targets 2"], grid: Grid) -> Float[Tensor, "targets cells"]:
    """Bilinear weights of reading at a point, which sum to 1; outside, the border is read."""
    rows, columns = grid
    x = ((place[:, 0] + 1) / 2 * columns - 0.5).clamp(0, columns - 1)
    y = ((place[:, 1] + 1) / 2 * rows - 0.5).clamp(0, rows - 1)
    across = _tent(x, columns)
    down = _tent(y, rows)
    return (down[:, :, None] * across[:, None]).flatten(1)


def _tent(position: Float[Tensor, " targets"], count: int) -> Float[Tensor, "targets count"]:
    away = position[:, None] - torch.arange(count).to(position)
    return (1 - away.abs()).clamp(min=0)


def summary(masks: Float[Tensor, "targets cells"], grid: Grid) -> Float[Tensor, "targets 3"]:
    """Centre of mass (x, y) and spread of non-negative masks, in units of half the picture.

    Spread is the root mean squared distance from the centre along one axis; a mask without any
    weight is NaN.
    """
    weights = masks.clamp(min=0)
    weights = weights / weights.sum(1, keepdim=True)
    where = centres(grid).to(masks)
    middle = weights @ where
    variance = (weights @ where.square() - middle.square()).clamp(min=0)
    return torch.cat([middle, (variance.sum(1, keepdim=True) / 2).sqrt()], dim=1)
