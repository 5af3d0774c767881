"""Parts of the transformer readout for other queries than those of regions, and for several layers.

A target with a query of its own reads that query's output alone (`OwnLinear`), row by row; with
free queries it reads a learned mixture of all of them (`MixedLinear`),

    y_v = w_v . sum_q softmax(c_v)_q z_q + b_v

which is the form of a factorised readout whose places are the queries. Several layers of one grid
are brought to common channels and mixed with weights that sum to one (`LayerInput`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.encoding.factorised import factorised
from neuroattn.encoding.queries import Free, Own


def _weights(targets: int, dim: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(targets, dim).uniform_(-(dim**-0.5), dim**-0.5))


class OwnLinear(nn.Module):
    """One weight vector per target, applied to the output of its own query."""

    def __init__(self, asked: Own, dim: int) -> None:
        super().__init__()
        self.weight = _weights(asked.targets, dim)
        self.bias = nn.Parameter(torch.zeros(asked.targets))
        shown = asked.shown
        reads = torch.from_numpy((shown.groups > 0).astype("float32"))
        counts = reads.T @ torch.tensor(shown.sizes(), dtype=torch.float32)
        self.register_buffer("reads", reads / counts, persistent=False)
        self.register_buffer("group", torch.from_numpy(shown.group), persistent=False)
        self.reads: Tensor
        self.group: Tensor

    def offset(self) -> Float[Tensor, " targets"]:
        """The bias of each target."""
        return self.bias

    def member(self, part: slice) -> Float[Tensor, "some regions"]:
        """Share of some targets in the mean of each region."""
        return self.reads[self.group[part]]


class MixedLinear(nn.Module):
    """One weight vector per target, applied to its own mixture of all queries' outputs."""

    def __init__(self, asked: Free, dim: int) -> None:
        super().__init__()
        self.weight = _weights(asked.targets, dim)
        self.bias = nn.Parameter(torch.zeros(asked.targets))
        self.choice = nn.Parameter(torch.zeros(asked.targets, asked.queries))

    def mixture(self) -> Float[Tensor, "targets queries"]:
        """How much of each query's output each target reads."""
        return torch.softmax(self.choice, dim=1)

    def products(
        self, read: Float[Tensor, "images queries dim"]
    ) -> Float[Tensor, "images targets"]:
        """Responses before the bias."""
        return factorised(self.mixture(), self.weight, read)

    def offset(self) -> Float[Tensor, " targets"]:
        """The bias of each target."""
        return self.bias

    def by_query(
        self, values: Float[Tensor, "targets columns"]
    ) -> Float[Tensor, "queries columns"]:
        """Means of ``values`` over targets, weighted by how much they read each query."""
        mixture = self.mixture()
        return mixture.T @ values / mixture.sum(0)[:, None]


class LayerInput(nn.Module):
    """Layers of one grid, brought to common channels; one by one, or as one learned mixture.

    Parameters
    ----------
    channels : of each layer; one that has ``dim`` of them is left as it is.
    learned : give their mixture, with weights that are learned.
    """

    def __init__(self, channels: Sequence[int], dim: int, learned: bool) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            nn.Identity() if count == dim else nn.Linear(count, dim) for count in channels
        )
        self.choice = nn.Parameter(torch.zeros(len(channels))) if learned else None

    def shares(self) -> Float[Tensor, " layers"]:
        """Weights of the layers in the mixture; they sum to 1."""
        if self.choice is None:
            raise ValueError("these layers are not mixed here")
        return torch.softmax(self.choice, dim=0)

    def forward(self, tokens: list[Tensor]) -> list[Tensor]:
        """Layers (images, tokens, dim): all of them, or the one mixture."""
        found = [layer(part) for layer, part in zip(self.each, tokens, strict=True)]
        if self.choice is None:
            return found
        mixed = [share * part for share, part in zip(self.shares(), found, strict=True)]
        return [torch.stack(mixed).sum(0)]
