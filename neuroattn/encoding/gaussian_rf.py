"""A Gaussian receptive field for each target, its place and size learned with its features.

``pooled``: features are averaged under the Gaussian, as in the feature-weighted receptive field
(St-Yves & Naselaris 2018, NeuroImage 180:188-202, eq. 3-5), with place and size found by gradient
instead of a search over candidates (that is ``encoder=fwrf``).

``sampled``: in training each target reads at a point drawn from its Gaussian, afterwards at its
centre (Lurz et al. 2021, ICLR, section 3.2); the draw makes a gradient for the place wherever it
begins, and its size shrinks as the place is found.
"""

from __future__ import annotations

import math
from typing import ClassVar

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from neuroattn.encoding.factorised import chunks, factorised
from neuroattn.encoding.fields import Grid, gaussian_masks, point_masks
from neuroattn.encoding.spatial import Spatial, SpatialModel, small_weights
from neuroattn.encoding.tokens import Shape, Tokens, join, joined
from neuroattn.encoding.trained import Plan, Shapes, TrainedModel, TrainedReadout
from neuroattn.encoding.trained_schemas import GaussianRfConfig, Reading

SMALLEST = 0.02  # of half the picture: below a cell of the finest grid in use


class GaussianRf(Spatial):
    """Places, sizes and feature vectors.

    Parameters
    ----------
    shape : of the joined tokens.
    size : where the sizes begin.
    """

    def __init__(self, targets: int, shape: Shape, size: float, reading: Reading) -> None:
        super().__init__()
        self.grid: Grid = shape.grid
        self.reading = reading
        self.place = nn.Parameter(torch.empty(targets, 2).uniform_(-0.1, 0.1))
        self.log_size = nn.Parameter(torch.full((targets,), math.log(size)))
        self.weight = small_weights(targets, shape.channels)
        self.bias = nn.Parameter(torch.zeros(targets))

    def size(self) -> Float[Tensor, " targets"]:
        """Standard deviations, in units of half the picture."""
        return self.log_size.exp() + SMALLEST

    def masks(self) -> Float[Tensor, "targets cells"]:
        """Weights over cells."""
        place = self.place.clamp(-1, 1)
        if self.reading is Reading.pooled:
            return gaussian_masks(place, self.size(), self.grid)
        return point_masks(place, self.grid)

    def fields(self, grid: Grid) -> Float[Tensor, "targets 3"]:
        """Of points that were drawn in training, place and deviation of the draws."""
        if self.reading is Reading.pooled:
            return super().fields(grid)
        return torch.cat([self.place.clamp(-1, 1), self.size()[:, None]], dim=1)

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Responses in training units."""
        joint = join(tokens)
        if self.training and self.reading is Reading.sampled:
            return self._drawn(joint) + self.bias
        return factorised(self.masks(), self.weight, joint) + self.bias

    def _drawn(self, tokens: Tensor) -> Float[Tensor, "images targets"]:
        """Read at a point drawn for each target and picture: one for all would hardly move."""
        shape = (len(tokens), *self.place.shape)
        drawn = torch.randn(shape, device=tokens.device) * self.size()[:, None]
        points = self.place.clamp(-1, 1) + drawn
        picture = tokens.transpose(1, 2).reshape(len(tokens), -1, *self.grid)
        parts = [
            checkpoint(_read, picture, points[:, part], self.weight[part], use_reentrant=False)
            for part in chunks(len(self.place))
        ]
        return torch.cat(parts, dim=1)


def _read(
    picture: Float[Tensor, "images channels rows columns"],
    points: Float[Tensor, "images targets 2"],
    weight: Float[Tensor, "targets channels"],
) -> Float[Tensor, "images targets"]:
    read = functional.grid_sample(
        picture, points[:, :, None], align_corners=False, padding_mode="border"
    )
    return torch.einsum("bcv,vc->bv", read[..., 0], weight)


class GaussianRfReadout(TrainedReadout):
    """Gaussian receptive fields, before training."""

    config: GaussianRfConfig
    fitted: ClassVar[type[TrainedModel]] = SpatialModel

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """The number of targets."""
        joined(shapes)
        return {"targets": len(targets)}

    def network(self, plan: Plan, shapes: Shapes) -> GaussianRf:
        """Places, sizes, feature vectors and biases."""
        config = self.config
        return GaussianRf(plan["targets"], joined(shapes), config.size, config.reading)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        how = {
            Reading.pooled: "features averaged under it (St-Yves & Naselaris, 2018)",
            Reading.sampled: "read at a point drawn from it in training (Lurz et al., 2021)",
        }[self.config.reading]
        return (
            "Responses were predicted through a Gaussian receptive field for each target, its place"
            f" and size learned by gradient, {how}, on the tokens{self.fewer()}"
        )
