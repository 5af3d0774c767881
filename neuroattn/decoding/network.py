"""The network of every trained decoder: an encoder of responses, heads, scales, and the prior.

All that training changes or remembers stands in here, the prior and the number of the epoch
included, so that a checkpoint of the weights is a checkpoint of everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from neuroattn.decoding.decoder_schemas import TrainedDecoderConfig
from neuroattn.training.batches import Batch

Inputs = Float[Tensor, "rows inputs"]


class Encoder(nn.Module):
    """From one subject's inputs to features of ``width`` channels.

    Attributes
    ----------
    width : channels of the features.
    """

    width: int

    def first(self, subject: int, inputs: Inputs) -> Tensor:
        """The part that belongs to a subject."""
        raise NotImplementedError

    def rest(self, hidden: Tensor) -> Float[Tensor, "rows width"]:
        """The part that all subjects share."""
        raise NotImplementedError

    def forward(self, subject: int, inputs: Inputs) -> Float[Tensor, "rows width"]:
        """Features of some rows of one subject."""
        return self.rest(self.first(subject, inputs))


class Head(nn.Sequential):
    """A linear layer, or two of a lower rank, to an embedding.

    Parameters
    ----------
    rank : of the map; None leaves it whole.
    """

    def __init__(self, width: int, dim: int, rank: int | None) -> None:
        if rank is None:
            super().__init__(nn.Linear(width, dim))
        else:
            super().__init__(nn.Linear(width, rank, bias=False), nn.Linear(rank, dim))


class DecoderNetwork(nn.Module):
    """Everything that is trained.

    Parameters
    ----------
    blocks : of the target space; each has a scale of its own.
    prior : gives the targets of training rows; None for a network that is only used.
    """

    def __init__(
        self,
        encoder: Encoder,
        dim: int,
        blocks: int,
        config: TrainedDecoderConfig,
        prior: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.loss_config = encoder, config.loss
        self.limit = round(config.loss.mixing * config.training.epochs)
        self.head: nn.Module = Head(encoder.width, dim, config.rank)
        self.retrieval: nn.Module | None = None
        if config.head:
            self.retrieval = Head(encoder.width, dim, config.rank)
        start = torch.full((blocks,), config.loss.scale).log()
        self.log_scale = nn.Parameter(start, requires_grad=config.loss.learn_scale)
        # SigLIP starts where nearly all pairs are judged apart (Zhai et al. 2023, section 3.2).
        self.bias = nn.Parameter(torch.full((blocks,), -10.0))
        self.register_buffer("epoch", torch.zeros((), dtype=torch.int64))
        self.epoch: Tensor
        self.prior: Any = prior

    @property
    def mixing(self) -> bool:
        """Whether trials are mixed in this epoch."""
        return self.training and int(self.epoch) < self.limit

    def embed(self, subject: int, inputs: Inputs) -> Float[Tensor, "rows dim"]:
        """Embeddings that are retrieved with."""
        features = self.encoder(subject, inputs)
        out: Tensor = (self.head if self.retrieval is None else self.retrieval)(features)
        return out

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Outputs of a batch, its rows in the order of subjects.

        ``retrieved`` and ``predicted`` (rows, dim) are one where there is one head; ``target``
        (rows, dim) is there for training rows alone.
        """
        parts = subject_inputs(batch)
        if self.mixing:
            parts = mixed(parts, batch["partner"], batch["share"])
        features = torch.cat([self.encoder(number, part) for number, part in enumerate(parts)])
        predicted = self.head(features)
        out = {
            "predicted": predicted,
            "retrieved": predicted if self.retrieval is None else self.retrieval(features),
            "log_scale": self.log_scale,
            "bias": self.bias,
        }
        if self.training and self.prior is not None:
            out["target"] = self.prior.targets_for(batch["row"])
        return out

    def weights(self) -> dict[str, Tensor]:
        """State without the prior, for the fitted decoder."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not name.startswith("prior.")}


def subject_inputs(batch: Batch) -> list[Tensor]:
    """Inputs of each subject, in the order of subjects."""
    count = sum(name.startswith("input-") for name in batch)
    return [batch[f"input-{number}"] for number in range(count)]


def mixed(parts: Sequence[Tensor], partner: Tensor, share: Tensor) -> list[Tensor]:
    """Each row mixed with its partner of the same subject: share x own + (1 - share) x other.

    Parameters
    ----------
    partner : (rows,) places in the whole batch, each within its subject.
    """
    out, start = [], 0
    for part in parts:
        rows = slice(start, start + len(part))
        own = share[rows, None].to(part.dtype)
        out.append(own * part + (1 - own) * part[partner[rows] - start])
        start = rows.stop
    return out
