"""What readouts with a receptive field for each target share: masks, and where they lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.encoding.fields import FIELD, Grid, summary
from neuroattn.encoding.trained import TrainedModel


def small_weights(targets: int, channels: int) -> nn.Parameter:
    """Feature vectors (targets, channels) to begin with, of a tenth of unit length."""
    return nn.Parameter(torch.randn(targets, channels) * 0.1 * channels**-0.5)


class Spatial(nn.Module, ABC):
    """A core whose targets read through masks over one grid."""

    @abstractmethod
    def masks(self) -> Float[Tensor, "targets cells"]:
        """Weights over the cells of the first layer's grid."""

    def fields(self, grid: Grid) -> Float[Tensor, "targets 3"]:
        """Receptive fields as in `FIELD`; NaN is a size that the readout does not have."""
        return summary(self.masks().abs(), grid)


@dataclass(frozen=True, eq=False)
class SpatialModel(TrainedModel):
    """A fitted readout with a receptive field for each target."""

    @property
    def grid(self) -> Grid:
        """Rows and columns over which the masks lie."""
        return next(iter(self.shapes.values())).grid

    def masks(self) -> Float[Tensor, "targets cells"]:
        """Masks of the fitted targets."""
        with torch.no_grad():
            return cast("Spatial", self.network.core).masks()

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Centre (from -1, left or top, to 1) and size of each target's receptive field."""
        with torch.no_grad():
            fields = cast("Spatial", self.network.core).fields(self.grid).double().numpy()
        return super().columns() | dict(zip(FIELD, fields.T, strict=True))
