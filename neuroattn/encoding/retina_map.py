"""From a target's place on the cortex to a point in the picture, and to a mixture of layers.

Neighbours on the cortex see neighbouring points, so the point a target reads is not a free pair of
numbers but the output of a small network over the target's place, and so is the mixture of layers
(the memory encoding model of the Algonauts 2023 winners):

    p_v = f(c_v),   pi_v = softmax(g(c_v)),   y_v = w_v . sum_l pi_vl (X_l P_l)(p_v) + b_v

with cortical coordinates c_v, projections P_l of every layer to common channels, and reading at a
point by bilinear weights. In training the points are shaken.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import DataError
from neuroattn.core.resources import user_path
from neuroattn.encoding.factorised import factorised
from neuroattn.encoding.fields import Grid, point_masks
from neuroattn.encoding.spatial import Spatial, SpatialModel, small_weights
from neuroattn.encoding.tokens import Tokens
from neuroattn.encoding.trained import Plan, Shapes, TrainedModel, TrainedReadout
from neuroattn.encoding.trained_schemas import RetinaMapConfig
from neuroattn.surface.meshes import load_mesh

HEMISPHERES = ("lh", "rh")


class RetinaMap(Spatial):
    """Networks over places, projections of layers, and a vector for each target.

    Parameters
    ----------
    places : (targets, axes), standardised.
    """

    def __init__(self, places: Tensor, shapes: Shapes, config: RetinaMapConfig) -> None:
        super().__init__()
        self.register_buffer("places", places)
        self.places: Tensor
        self.grids = [shape.grid for shape in shapes.values()]
        self.jitter = config.jitter

        def over_places(outputs: int) -> nn.Sequential:
            hidden = config.hidden
            return nn.Sequential(
                nn.Linear(places.shape[1], hidden), nn.SiLU(),
                nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, outputs),
            )  # fmt: skip

        self.to_point, self.to_layers = over_places(2), over_places(len(shapes))
        self.project = nn.ModuleList(
            nn.Linear(shape.channels, config.dim) for shape in shapes.values()
        )
        self.weight = small_weights(len(places), config.dim)
        self.bias = nn.Parameter(torch.zeros(len(places)))

    def points(self) -> Float[Tensor, "targets 2"]:
        """Where every target reads."""
        out: Tensor = torch.tanh(self.to_point(self.places))
        return out

    def mixture(self) -> Float[Tensor, "targets layers"]:
        """How much of every layer each target reads."""
        return torch.softmax(self.to_layers(self.places), dim=1)

    def masks(self) -> Float[Tensor, "targets cells"]:
        """Weights over the cells of the first layer."""
        return point_masks(self.points(), self.grids[0])

    def fields(self, grid: Grid) -> Float[Tensor, "targets 3"]:  # noqa: ARG002
        """The points that are read; they have no size."""
        points = self.points()
        return torch.cat([points, torch.full_like(points[:, :1], torch.nan)], dim=1)

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Responses in training units: layers side by side are one long row of tokens."""
        points, mixture = self.points(), self.mixture()
        if self.training and self.jitter:
            points = points + torch.randn_like(points) * self.jitter
        masks = [
            share[:, None] * point_masks(points, grid)
            for share, grid in zip(mixture.unbind(1), self.grids, strict=True)
        ]
        read = [layer(part) for layer, part in zip(self.project, tokens.values(), strict=True)]
        return factorised(torch.cat(masks, 1), self.weight, torch.cat(read, 1)) + self.bias


class RetinaMapReadout(TrainedReadout):
    """The map from cortex to picture, before training."""

    config: RetinaMapConfig
    fitted: ClassVar[type[TrainedModel]] = SpatialModel

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:  # noqa: ARG002
        """The number of targets and their places."""
        found = self._given(len(targets)) or vertex_places(targets)
        return {"places": np.round(standardised(np.asarray(found)), 6).tolist()}

    def network(self, plan: Plan, shapes: Shapes) -> RetinaMap:
        """Networks over places, projections, and a vector for each target."""
        return RetinaMap(torch.tensor(plan["places"]), shapes, self.config)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            "Responses were predicted by a map from cortex to picture: a network over each target's"
            " place on the cortex gives the point that it reads and its mixture of layers,"
            f" projected to {self.config.dim} channels, on the tokens{self.fewer()}"
        )

    def _given(self, targets: int) -> list[list[float]] | None:
        if self.config.coordinates is None:
            return None
        path = user_path(self.config.coordinates)
        table = np.load(path, allow_pickle=False)
        if table.ndim != 2 or len(table) != targets or not np.isfinite(table).all():
            raise DataError(
                "these coordinates do not belong to the targets",
                file=path,
                expected=f"({targets}, axes), all finite",
                found=table.shape,
                fix="write one row for each fitted target, in the order of targets.tsv",
            )
        rows: list[list[float]] = table.astype(np.float64).tolist()
        return rows


def vertex_places(targets: pd.DataFrame) -> list[list[float]]:
    """Coordinates on the sphere of fsaverage5, with the hemisphere as a fourth axis.

    Raises
    ------
    DataError : a target has no vertex of fsaverage5.
    """
    sphere = {side: np.asarray(load_mesh(side, "sphere").coordinates) for side in HEMISPHERES}
    places = []
    for side, vertex in zip(targets["hemisphere"], targets["vertex"], strict=True):
        if side not in sphere or pd.isna(vertex) or not 0 <= int(vertex) < len(sphere[side]):
            raise DataError(
                "a target has no place on the cortex",
                expected="a hemisphere and a vertex of fsaverage5 for every target",
                found=f"hemisphere {side!r}, vertex {vertex}",
                fix="give places with encoder.coordinates=FILE.npy, or take encoder=gaussian_rf",
            )
        places.append([*sphere[side][int(vertex)].tolist(), 100.0 * (side == "rh")])
    return places


def standardised(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places with mean 0 and deviation 1 along every axis that varies."""
    sd = places.std(0)
    return np.asarray((places - places.mean(0)) / np.where(sd > 0, sd, 1.0))
