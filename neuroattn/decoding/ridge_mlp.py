"""A linear layer for each subject, then a residual network that all subjects share.

The first layer holds nearly all the arithmetic: 4 x rows x inputs x hidden operations an epoch,
forward and for its gradient (its inputs need none). For 27,000 trials of 15,724 voxels at 1,024
that is 1.7 x 10^12, the floor that ``benchmarks/decode_epoch.py`` measures against.
"""

from __future__ import annotations

from torch import Tensor, nn

from neuroattn.decoding.decoder import DecodingSet
from neuroattn.decoding.network import Encoder
from neuroattn.decoding.network_schemas import RidgeMlpConfig
from neuroattn.decoding.trained import TrainedDecoder


class Residual(nn.Module):
    """``x + W2 drop(gelu(W1 norm(x)))``; W2 begins at 0, so a block begins as nothing."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        last = nn.Linear(width, width)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.inner = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), last
        )

    def forward(self, values: Tensor) -> Tensor:
        """(rows, width)."""
        out: Tensor = values + self.inner(values)
        return out


class RidgeMlp(Encoder):
    """Subject layers and shared blocks.

    Parameters
    ----------
    inputs : numbers of a trial of each subject.
    """

    def __init__(self, inputs: list[int], width: int, blocks: int, dropout: float) -> None:
        super().__init__()
        self.width = width
        self.subjects = nn.ModuleList([nn.Linear(count, width) for count in inputs])
        self.blocks = nn.Sequential(*(Residual(width, dropout) for _ in range(blocks)))

    def first(self, subject: int, inputs: Tensor) -> Tensor:
        """The subject's linear layer."""
        out: Tensor = self.subjects[subject](inputs)
        return out

    def rest(self, hidden: Tensor) -> Tensor:
        """The shared blocks."""
        out: Tensor = self.blocks(hidden)
        return out


class RidgeMlpDecoder(TrainedDecoder):
    """``decoder=ridge_mlp``."""

    config: RidgeMlpConfig

    def encoder(self, train: DecodingSet) -> Encoder:
        """A layer for each subject of the training side."""
        config = self.config
        widths = [rows.table.shape[1] for rows in train.subjects]
        return RidgeMlp(widths, config.hidden, config.blocks, config.dropout)

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        return (
            "Image embeddings were predicted by a linear layer for each subject and"
            f" {config.blocks} residual blocks of width {config.hidden} that all subjects shared"
            " (after Scotti et al., 2024)"
        )
