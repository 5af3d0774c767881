"""The factorised readout: a mask over places times a vector over channels for each target.

Klindt et al. 2017 (NeurIPS, "Neural system identification for large populations", eq. 2-4):

    y_v = sum_t m_vt  x_t . w_v + b_v,      penalty  mean_v |m_v|_1 |w_v|_1

The mask is normalised, so that only its form counts: to length 1 as there, or by softmax to a
distribution over places as in the baselines of Adeli, Sun & Kriegeskorte 2025.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.encoding.factorised import factorised
from neuroattn.encoding.queries import query_table
from neuroattn.encoding.registry import QueryKind
from neuroattn.encoding.spatial import Spatial, SpatialModel, small_weights
from neuroattn.encoding.tokens import Shape, Tokens, join, joined
from neuroattn.encoding.trained import (
    HemisphereLoss,
    Plan,
    Shapes,
    TrainedModel,
    TrainedReadout,
    hemispheres,
)
from neuroattn.encoding.trained_schemas import Mask, MaskOf, SpatialFeatureConfig
from neuroattn.training.batches import Batch


class SpatialFeature(Spatial):
    """Free spatial weights, made into masks.

    Parameters
    ----------
    owners : (targets,) the mask that each target reads through.
    shape : of the joined tokens.
    """

    def __init__(self, owners: list[int], shape: Shape, mask: Mask, l1: float) -> None:
        super().__init__()
        self.kind, self.l1 = mask, l1
        self.register_buffer("owner", torch.tensor(owners), persistent=False)
        self.owner: Tensor
        start = torch.zeros if mask is Mask.softmax else torch.ones
        self.free = nn.Parameter(start(1 + max(owners), shape.grid[0] * shape.grid[1]))
        self.weight = small_weights(len(owners), shape.channels)
        self.bias = nn.Parameter(torch.zeros(len(owners)))

    def masks(self) -> Float[Tensor, "targets cells"]:
        """The normalised masks."""
        if self.kind is Mask.softmax:
            return torch.softmax(self.free, dim=1)[self.owner]
        return functional.normalize(self.free, dim=1)[self.owner]

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Responses in training units."""
        return factorised(self.masks(), self.weight, join(tokens)) + self.bias

    def penalty(self) -> Float[Tensor, ""]:
        """Mean over targets of |mask|_1 |features|_1, times its weight."""
        sizes = self.masks().abs().sum(1) * self.weight.abs().sum(1)
        return self.l1 * sizes.mean()


@dataclass(frozen=True)
class PenalisedLoss(HemisphereLoss):
    """The squared error and the readout's own penalty."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Sum of both; evaluation is by correlation alone."""
        core = cast("SpatialFeature", getattr(model, "module", model).core)
        return super().loss(model, batch) + core.penalty()


class SpatialFeatureReadout(TrainedReadout):
    """The factorised readout, before training."""

    config: SpatialFeatureConfig
    fitted: ClassVar[type[TrainedModel]] = SpatialModel

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """Which mask each target reads through."""
        joined(shapes)
        if self.config.mask_of is MaskOf.targets:
            return {"owner": list(range(len(targets)))}
        groups = query_table(targets, QueryKind.rois).group
        return {"owner": np.asarray(groups).tolist()}

    def network(self, plan: Plan, shapes: Shapes) -> SpatialFeature:
        """Masks, feature vectors and biases."""
        config = self.config
        return SpatialFeature(plan["owner"], joined(shapes), config.mask, config.l1)

    def task(self, targets: pd.DataFrame) -> HemisphereLoss:
        """The loss of the family, with a penalty where one is asked for."""
        columns = hemispheres(targets)
        return PenalisedLoss(columns) if self.config.l1 else HemisphereLoss(columns)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        whose = "target" if self.config.mask_of is MaskOf.targets else "region"
        return (
            "Responses were predicted by a factorised readout (Klindt et al., 2017): a spatial mask"
            f" for each {whose} ({self.config.mask.value}) times a feature vector for each target,"
            f" on the tokens{self.fewer()}"
        )
