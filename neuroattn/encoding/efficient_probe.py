"""Efficient probing: queries attend to raw tokens, and each reads a share of the channels.

Psomas et al. 2025 (arXiv 2506.10178): of multi-head cross-attention the key, query and output
projections are dropped. With Q learned queries u_q and value channels split into Q parts,

    z = concat_q  sum_t softmax_t(u_q . x_t / sqrt(C)) (x_t W_v)_q,      y = z W + b

so the probe before its linear layer has C^2 + Q C parameters (and C biases). Here one linear layer
reads all targets from z.
"""

from __future__ import annotations

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.products import pool
from neuroattn.encoding.tokens import Tokens, join, joined
from neuroattn.encoding.trained import Plan, Shapes, TrainedReadout
from neuroattn.encoding.trained_schemas import EfficientProbeConfig


class EfficientProbe(nn.Module):
    """Tokens in, responses out.

    Parameters
    ----------
    channels : of the tokens.
    queries : learned queries; they divide the channels.
    """

    def __init__(self, channels: int, queries: int, targets: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.randn(queries, channels) * 0.02)
        self.value = nn.Linear(channels, channels)
        self.readout = nn.Linear(channels, targets)

    def pooled(
        self, tokens: Float[Tensor, "images tokens channels"]
    ) -> Float[Tensor, "images channels"]:
        """What the queries read, side by side.

        Values are projected after pooling: weights sum to 1, so the bias comes through.
        """
        asked = self.queries * self.queries.shape[1] ** -0.5
        none = asked.new_zeros(len(asked), 1)
        means = pool(asked, tokens, none)
        parts = self.value.weight.reshape(len(asked), -1, asked.shape[1])
        return torch.einsum("bqc,qkc->bqk", means, parts).flatten(1) + self.value.bias

    def forward(self, tokens: Tokens) -> Float[Tensor, "images targets"]:
        """Responses in training units."""
        out: Tensor = self.readout(self.pooled(join(tokens)))
        return out


class EfficientProbeReadout(TrainedReadout):
    """Efficient probing, before training."""

    config: EfficientProbeConfig

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """The number of targets."""
        channels, queries = joined(shapes).channels, self.config.queries
        if channels % queries:
            raise ConfigError(
                "the queries do not divide the channels",
                expected=f"encoder.queries that divides {channels}",
                found=queries,
                fix="choose a divisor, such as encoder.queries=1",
            )
        return {"targets": len(targets)}

    def network(self, plan: Plan, shapes: Shapes) -> EfficientProbe:
        """Queries, values and one linear layer."""
        return EfficientProbe(joined(shapes).channels, self.config.queries, plan["targets"])

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            "Responses were predicted by efficient probing (Psomas et al., 2025):"
            f" {self.config.queries} learned queries attend to the raw tokens{self.fewer()}, each"
            " reads its share of the value channels, and one linear layer reads all targets"
        )
