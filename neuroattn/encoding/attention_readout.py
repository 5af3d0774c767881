"""The transformer readout behind the contract of readouts: fit, predict, store, look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.core.errors import ConfigError
from neuroattn.encoding.attention import Architecture, AttentionEncoder
from neuroattn.encoding.queries import query_table, table_from_json, table_to_json
from neuroattn.encoding.readout import Features
from neuroattn.encoding.registry import AttentionConfig
from neuroattn.encoding.tokens import Images, Tokens, blocks, join, joined, read
from neuroattn.encoding.trained import Plan, Shapes, TrainedModel, TrainedReadout


class AttentionCore(nn.Module):
    """The transformer readout over the joined layers."""

    def __init__(self, encoder: AttentionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: Tokens) -> Tensor:
        """Responses (images, targets)."""
        out: Tensor = self.encoder(join(tokens))
        return out

    def looks(self, tokens: Tokens) -> Tensor:
        """Attention weights (images, heads, queries, tokens)."""
        return self.encoder.looks(join(tokens))


@dataclass(frozen=True, eq=False)
class AttentionModel(TrainedModel):
    """A fitted transformer readout, which can say where it looks."""

    @property
    def queries(self) -> tuple[str, ...]:
        """Names of the queries, in the order of their attention maps."""
        return tuple(self.plan["queries"]["names"])

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the tokens."""
        return joined(self.shapes).grid

    def attention(self, features: Features, images: Images) -> NDArray[np.float16]:
        """Weights (images, queries, tokens), averaged over heads, row by row of `grid`."""
        core, front = cast("AttentionCore", self.network.core), self.network.front
        out = np.empty(
            (len(images), len(self.queries), self.grid[0] * self.grid[1]), dtype=np.float16
        )
        for rows in blocks(len(images)):
            with torch.no_grad():
                looks = core.looks(front(read(features, self.layers, images[rows])))
            out[rows] = looks.mean(1).numpy().astype(np.float16)
        return out


class AttentionReadout(TrainedReadout):
    """The transformer readout, before training.

    Parameters
    ----------
    config : the section ``encoder``.
    """

    fitted: ClassVar[type[TrainedModel]] = AttentionModel
    config: AttentionConfig

    def plan(self, targets: pd.DataFrame, shapes: Shapes) -> Plan:
        """Who reads what, and the names of the queries."""
        config = self.config
        self._sizes(shapes)
        table = query_table(targets, config.queries, rois=config.rois, overlap=config.overlap)
        return {"queries": table_to_json(table)}

    def network(self, plan: Plan, shapes: Shapes) -> AttentionCore:
        """Queries, one decoder layer, and a linear readout for each target."""
        table = table_from_json(plan["queries"])
        return AttentionCore(AttentionEncoder(table, joined(shapes).grid, self._sizes(shapes)))

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        return (
            "Responses were predicted by a transformer readout (Adeli, Sun & Kriegeskorte, 2025):"
            f" learned queries ({config.queries.value}) attend to the tokens with {config.heads}"
            f" head{'s' if config.heads > 1 else ''} and targets read linearly from their query;"
            f" trained for at most {config.training.epochs} epochs, the best one chosen on"
            f" {100 * config.selection:g} % of the training images"
        )

    def _sizes(self, shapes: Shapes) -> Architecture:
        config, channels = self.config, joined(shapes).channels
        dim = config.dim or channels
        if dim % config.heads:
            raise ConfigError(
                "the heads do not divide the channels",
                expected=f"encoder.heads that divides {dim}",
                found=config.heads,
                fix=f"set encoder.heads=1, or encoder.dim to a multiple of {config.heads}",
            )
        return Architecture(
            channels=channels,
            dim=dim,
            heads=config.heads,
            hidden=config.hidden,
            dropout=config.dropout,
            norm=config.norm,
            place=config.place,
        )
