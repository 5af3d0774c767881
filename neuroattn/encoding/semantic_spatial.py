"""Receptive fields that move with what a picture shows: the Semantic Spatial Transformer.

Each target has a mask over places times a vector over channels, as in the factorised readout; the
mask (length 1) is warped for each picture by an affine map whose six numbers a small network reads
from the picture's tokens (arXiv 2410.14031): tokens reduced to a few channels, hidden units, six
numbers for each target. The last layer begins at zero, so that every mask begins where it is.
Movements can be left out one by one, as in the paper's ablations.
"""

from __future__ import annotations

from typing import ClassVar

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from neuroattn.encoding.factorised import chunks
from neuroattn.encoding.spatial import Spatial, SpatialModel, small_weights
from neuroattn.encoding.tokens import Shape, Tokens, join, joined
from neuroattn.encoding.trained import Plan, Shapes, TrainedModel, TrainedReadout
from neuroattn.encoding.trained_schemas import SemanticSpatialConfig

MOVES = ("translation", "rotation", "scale", "shear")


class SemanticSpatial(Spatial):
    """Masks, feature vectors, and the network that moves the masks.

    Parameters
    ----------
    shape : of the joined tokens.
    """

    def __init__(self, targets: int, shape: Shape, config: SemanticSpatialConfig) -> None:
        super().__init__()
        self.grid, cells = shape.grid, shape.grid[0] * shape.grid[1]
        self.free = nn.Parameter(torch.ones(targets, cells))
        self.weight = small_weights(targets, shape.channels)
        self.bias = nn.Parameter(torch.zeros(targets))
        self.reduce = nn.Linear(shape.channels, config.summary)
        self.hidden = nn.Linear(config.summary * cells, config.hidden)
        self.move = nn.Linear(config.hidden, 6 * targets)
        nn.init.zeros_(self.move.weight)
        nn.init.zeros_(self.move.bias)
        allowed = [float(getattr(config, name)) for name in MOVES]
        self.register_buffer("allowed", torch.tensor(allowed), persistent=False)
        self.allowed: Tensor

    def masks(self) -> Float[Tensor, "targets cells"]:
        """Masks before they move."""
        return functional.normalize(self.free, dim=1)

    def maps(
        self, tokens: Float[Tensor, "images tokens channels"]
    ) -> Float[Tensor, "images targets 2 3"]:
        """Affine maps from where a cell is read to where its weight comes from."""
        told = torch.relu(self.hidden(self.reduce(tokens).flatten(1)))
        six = torch.tanh(self.move(told)).reshape(len(tokens), -1, 6)
        move, turn, grow, shear = self.allowed
        angle = six[..., 2] * turn * torch.pi / 2
        wide, high = (six[..., axis] * grow for axis in (3, 4))
        slant = six[..., 5] * shear
        cos, sin = angle.cos(), angle.sin()
        x_row = [wide.exp() * cos, wide.exp() * (slant * cos - sin), six[..., 0] * move]
        y_row = [high.exp() * sin, high.exp() * (slant * sin + cos), six[..., 1] * move]
        return torch.stack([torch.stack(x_row, -1), torch.stack(y_row, -1)], dim=-2)

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Responses in training units."""
        joint = join(tokens)
        masks, maps = self.masks(), self.maps(joint)
        parts = [
            checkpoint(
                self._read, masks[part], maps[:, part], self.weight[part], joint,
                use_reentrant=False,
            )
            for part in chunks(len(masks))
        ]  # fmt: skip
        return torch.cat(parts, dim=1) + self.bias

    def _read(self, masks: Tensor, maps: Tensor, weight: Tensor, tokens: Tensor) -> Tensor:
        images, targets = maps.shape[:2]
        rows, columns = self.grid
        where = functional.affine_grid(
            maps.flatten(0, 1), [images * targets, 1, rows, columns], align_corners=False
        )
        stacked = masks.view(1, targets, 1, rows, columns).expand(images, -1, -1, -1, -1)
        moved = functional.grid_sample(stacked.flatten(0, 1), where, align_corners=False)
        return torch.einsum("bvt,btv->bv", moved.view(images, targets, -1), tokens @ weight.T)


class SemanticSpatialReadout(TrainedReadout):
    """The Semantic Spatial Transformer, before training."""

    config: SemanticSpatialConfig
    fitted: ClassVar[type[TrainedModel]] = SpatialModel

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """The number of targets."""
        joined(shapes)
        return {"targets": len(targets)}

    def network(self, plan: Plan, shapes: Shapes) -> SemanticSpatial:
        """Masks, feature vectors and what moves the masks."""
        return SemanticSpatial(plan["targets"], joined(shapes), self.config)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        moves = [name for name in MOVES if getattr(self.config, name)]
        return (
            "Responses were predicted by a semantic spatial transformer (arXiv:2410.14031): a mask"
            f" for each target, moved for each picture by {', '.join(moves) or 'nothing'}, times a"
            f" feature vector, on the tokens{self.fewer()}"
        )
