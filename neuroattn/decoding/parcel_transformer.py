"""A transformer whose tokens are parcels of cortex, each by a linear layer of its own.

Parcels come from an atlas or are clusters of targets with alike training responses. Masked
pre-training needs no pictures: some parcels are hidden and predicted from the others, also on
responses whose images stand on neither side of the split; never on test responses.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor, nn

from neuroattn.decoding.decoder import DecodingSet, Ids, Rows
from neuroattn.decoding.network import DecoderNetwork, Encoder, subject_inputs
from neuroattn.decoding.network_schemas import ParcelTransformerConfig
from neuroattn.decoding.trained import RowSource, TrainedDecoder
from neuroattn.training.batches import Batch, EvaluationLoader
from neuroattn.training.loop import Runtime, fit
from neuroattn.training.registry import OptimiserConfig, TrainingConfig
from neuroattn.training.sampler import Indices
from neuroattn.training.selection import TrainingData


class ParcelLayer(nn.Module):
    """From one subject's inputs to a token for each parcel, and back for pre-training.

    Parameters
    ----------
    members : columns of each parcel.
    inputs : number of columns.
    """

    def __init__(self, members: list[Ids], inputs: int, dim: int) -> None:
        super().__init__()
        size = max(map(len, members))
        index = torch.full((len(members), size), inputs, dtype=torch.int64)  # the zero at the end
        for row, columns in enumerate(members):
            index[row, : len(columns)] = torch.from_numpy(columns)
        self.register_buffer("index", index, persistent=False)
        self.index: Tensor
        self.inputs = inputs
        scale = torch.tensor([len(columns) ** -0.5 for columns in members])[:, None, None]
        self.weight = nn.Parameter(torch.randn(len(members), size, dim) * scale)
        self.place = nn.Parameter(torch.randn(len(members), dim) * 0.02)
        self.back = nn.Parameter(torch.zeros(len(members), dim, size))

    def gathered(self, inputs: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows parcels size"]:
        """Each parcel's inputs, 0 where it has fewer than the largest."""
        return nn.functional.pad(inputs, (0, 1))[:, self.index]

    def forward(self, inputs: Float[Tensor, "rows inputs"]) -> Float[Tensor, "rows parcels dim"]:
        """Tokens."""
        return torch.einsum("rps,psd->rpd", self.gathered(inputs), self.weight) + self.place


class ParcelTransformer(Encoder):
    """Tokens of parcels, attended by one another, read at a learned token."""

    def __init__(
        self, members: list[list[Ids]], inputs: list[int], config: ParcelTransformerConfig
    ) -> None:
        super().__init__()
        self.width = config.dim
        pairs = zip(members, inputs, strict=True)
        self.subjects = nn.ModuleList([ParcelLayer(*pair, config.dim) for pair in pairs])
        self.query = nn.Parameter(torch.randn(config.dim) * 0.02)
        self.hidden = nn.Parameter(torch.randn(config.dim) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.dim, config.heads, 4 * config.dim, config.dropout, "gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip
        self.layers = nn.TransformerEncoder(
            layer, config.depth, nn.LayerNorm(config.dim), enable_nested_tensor=False
        )

    def first(self, subject: int, inputs: Tensor) -> Tensor:
        """Tokens (rows, parcels, dim) of one subject."""
        out: Tensor = self.subjects[subject](inputs)
        return out

    def rest(self, hidden: Tensor) -> Tensor:
        """What the learned token has read: (rows, dim)."""
        query = self.query.expand(len(hidden), 1, -1)
        out: Tensor = self.layers(torch.cat([query, hidden], dim=1))
        return out[:, 0]

    def reconstruct(
        self, subject: int, inputs: Tensor, mask: Bool[Tensor, "rows parcels"]
    ) -> Float[Tensor, ""]:
        """Squared error of the inputs of hidden parcels, from the others; sum over them."""
        layer = self.subjects[subject]
        if not isinstance(layer, ParcelLayer):  # for the type checker: a list of modules
            raise TypeError(type(layer).__name__)
        tokens = torch.where(mask[..., None], self.hidden + layer.place, layer(inputs))
        query = self.query.expand(len(tokens), 1, -1)
        seen = self.layers(torch.cat([query, tokens], dim=1))[:, 1:]
        guess = torch.einsum("rpd,pds->rps", seen, layer.back)
        known = layer.index < layer.inputs
        error = (guess - layer.gathered(inputs)).square() * known
        return (error.sum(-1) / known.sum(-1) * mask).sum()


class MaskedSource(RowSource):
    """Rows with a mask of parcels for each.

    Parameters
    ----------
    parcels : of each subject.
    share : hidden.
    """

    def __init__(
        self, tables: list[Rows], images: list[Ids], parcels: list[int], share: float
    ) -> None:
        super().__init__(tables, images, [np.arange(len(table)) for table in tables])
        self.parcels, self.share = parcels, share

    def batch(self, indices: Indices, rng: np.random.Generator) -> Batch:
        """As of `RowSource`, and ``mask-<subject>`` (rows, parcels)."""
        out = super().batch(indices, rng)
        for number, parcels in enumerate(self.parcels):
            rows = len(out[f"input-{number}"])
            hidden = max(1, round(self.share * parcels))
            order = rng.random((rows, parcels)).argsort(1).argsort(1)
            out[f"mask-{number}"] = torch.from_numpy(order < hidden)
        return out


class Masked(nn.Module):
    """The encoder as what pre-training trains."""

    def __init__(self, encoder: ParcelTransformer) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, batch: Batch) -> Float[Tensor, ""]:
        """Mean squared error over hidden parcels."""
        parts = subject_inputs(batch)
        masks = [batch[f"mask-{number}"] for number in range(len(parts))]
        pairs = enumerate(zip(parts, masks, strict=True))
        errors = [self.encoder.reconstruct(number, *pair) for number, pair in pairs]
        hidden = torch.stack([mask.sum() for mask in masks]).sum()
        return torch.stack(errors).sum() / hidden


class Pretraining:
    """The task: nothing is selected, so nothing is evaluated."""

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Error over hidden parcels."""
        out: Tensor = model(batch)
        return out

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """The same over a set."""
        found = [float(model(batch)) for batch in loader]
        return {"loss": float(np.mean(found))}


class ParcelTransformerDecoder(TrainedDecoder):
    """``decoder=parcel_transformer``."""

    config: ParcelTransformerConfig

    def encoder(self, train: DecodingSet) -> Encoder:
        """A layer of parcels for each subject."""
        members = [members_of(rows.parcels, rows.input.trs) for rows in train.subjects]
        widths = [rows.table.shape[1] for rows in train.subjects]
        return ParcelTransformer(members, widths, self.config)

    def begin(self, network: DecoderNetwork, train: DecodingSet) -> None:
        """Masked pre-training, resumed from its own folder."""
        keys, encoder = self.config.pretraining, network.encoder
        if keys.epochs == 0 or not isinstance(encoder, ParcelTransformer):
            return
        tables, images = unpaired_too(train)
        parcels = [len(layer.index) for layer in encoder.subjects if isinstance(layer, ParcelLayer)]
        source = MaskedSource(tables, images, parcels, keys.mask)
        config = TrainingConfig(
            epochs=keys.epochs, batch_size=keys.batch_size, clip_norm=1.0,
            optimiser=OptimiserConfig(lr=keys.lr, weight_decay=1e-2),
        )  # fmt: skip
        data = TrainingData(source, np.unique(source.images), test_images=train.forbidden)
        fit(
            Masked(encoder), Pretraining(), data, config, seed=train.seed,
            folder=train.work / "pretraining", runtime=Runtime(device=train.device),
        )  # fmt: skip
        network.cpu().train()

    def methods(self) -> str:
        """A sentence for the Methods text."""
        config = self.config
        before = config.pretraining
        first = f", after masked pre-training for {before.epochs} epochs" if before.epochs else ""
        return (
            f"Image embeddings were predicted by a transformer of {config.depth} layers with"
            f" {config.dim} channels over parcels of targets{first}"
        )


def members_of(parcels: NDArray[np.object_] | None, trs: int) -> list[Ids]:
    """Columns of each named parcel, over all TRs."""
    names = np.tile(np.asarray(parcels, dtype=object).astype(str), trs)
    return [np.flatnonzero(names == name) for name in np.unique(names) if name]


def unpaired_too(train: DecodingSet) -> tuple[list[Rows], list[Ids]]:
    """Training rows and responses without images of each subject; the latter have the image -1."""
    tables, images = [], []
    for rows in train.subjects:
        more = rows.unpaired
        none = np.full(0 if more is None else len(more), -1, dtype=np.int64)
        tables.append(rows.table if more is None else np.concatenate([rows.table, more]))
        images.append(np.concatenate([rows.images, none]))
    return tables, images
