"""What a trained decoder minimises, and how its epochs are compared.

Outputs of all processes are gathered before the loss, so that a batch over two processes has the
negatives, the loss and the gradients of the same batch in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from neuroattn.decoding import losses
from neuroattn.decoding.decoder_schemas import LossConfig, LossKind
from neuroattn.decoding.network import DecoderNetwork
from neuroattn.stats import retrieval
from neuroattn.training.batches import Batch, EvaluationLoader


@dataclass(frozen=True, eq=False)
class Whole:
    """The training images that all brains are contrasted with.

    Parameters
    ----------
    images : (images,) ids.
    table : (images, dim) their embeddings.
    """

    images: Int[Tensor, " images"]
    table: Float[Tensor, "images dim"]


@dataclass(frozen=True, eq=False)
class DecodingTask:
    """Loss and evaluation.

    Parameters
    ----------
    network : the one that is trained, unwrapped.
    slices, shares : where each block of the target space stands, and its weight.
    epochs : that are trained.
    bank : negatives beside those of the batch; None for none.
    """

    network: DecoderNetwork
    config: LossConfig
    slices: Sequence[slice]
    shares: Sequence[float]
    epochs: int
    bank: Whole | None = None

    def on_epoch(self, model: nn.Module, epoch: int) -> None:  # noqa: ARG002
        """Tell the prior that an epoch ended, and the network which one begins."""
        prior = self.network.prior
        if epoch > 0 and prior is not None:
            prior.end_epoch()
        self.network.epoch.fill_(epoch)

    def loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """Loss of a batch."""
        out = model(batch)
        found = {name: losses.gathered(out[name]) for name in ("retrieved", "predicted", "target")}
        image, row = losses.gathered(batch["image"]), losses.gathered(batch["row"])
        self._observe(found, row)
        total = self.config.contrastive * self._contrastive(found, out, image, batch)
        if self.config.cosine:
            total = total + self.config.cosine * self._blockwise(losses.cosine_loss, found)
        if self.config.l2:
            total = total + self.config.l2 * losses.l2_loss(found["predicted"], found["target"])
        return total

    def _observe(self, found: Mapping[str, Tensor], row: Tensor) -> None:
        if self.network.mixing:  # a mixed brain says nothing of one picture
            return
        with torch.no_grad():
            pairs = self._whole(found["retrieved"]) * self._whole(found["target"])
            similar = pairs.sum(1)
            self.network.prior.observe(row, similar)

    def _blockwise(self, loss: Any, found: Mapping[str, Tensor]) -> Tensor:
        parts = [
            share * loss(found["predicted"][:, at], found["target"][:, at])
            for at, share in zip(self.slices, self.shares, strict=True)
        ]
        return torch.stack(parts).sum()

    def _contrastive(
        self, found: Mapping[str, Tensor], out: Mapping[str, Tensor], image: Tensor, batch: Batch
    ) -> Tensor:
        if self.config.kind is LossKind.none or not self.config.contrastive:
            return found["retrieved"].sum() * 0
        first, column = losses.distinct(image)
        columns = mean_rows(found["target"], column, len(first))
        parts = []
        for number, (at, share) in enumerate(zip(self.slices, self.shares, strict=True)):
            brains, pictures = losses.unit(found["retrieved"][:, at]), losses.unit(columns[:, at])
            scale = losses.clamped_scale(out["log_scale"][number], self.config.scale_max)
            pair = _Block(
                scale * brains @ pictures.T, brains, pictures, column, scale, out["bias"][number],
                self._others(image[first], at),
            )  # fmt: skip
            parts.append(share * self._kind(pair, batch))
        return torch.stack(parts).sum()

    def _others(self, images: Tensor, at: slice) -> tuple[Tensor, Tensor] | None:
        """The bank's embeddings of one block, and which of them stand in the batch."""
        if self.bank is None:
            return None
        return losses.unit(self.bank.table[:, at]), torch.isin(self.bank.images, images)

    def _kind(self, block: _Block, batch: Batch) -> Tensor:
        if self.network.mixing:
            partner = losses.gathered(batch["partner"] + offset(len(batch["partner"])))
            return block.bimixco(partner, losses.gathered(batch["share"]))
        if self.config.kind is LossKind.softclip:
            progress = float(self.network.epoch) / max(1, self.epochs - 1)
            start, end = self.config.soft_start, self.config.soft_end
            temperature = losses.soft_temperature(progress, start, end)
            return losses.soft_clip(block.logits, block.pictures, block.column, temperature)
        if self.config.kind is LossKind.siglip:
            return losses.siglip(block.logits, block.column, block.bias)
        return block.info_nce()

    def evaluate(self, model: nn.Module, loader: EvaluationLoader) -> Mapping[str, float]:
        """Retrieval among the selection images, both directions averaged.

        ``mrr`` (mean reciprocal rank), ``top1``, ``top5``, and ``loss`` (InfoNCE over all).
        """
        rows = [(model(batch)["retrieved"].float(), batch["image"]) for batch in loader]
        brains, image = torch.cat([out for out, _ in rows]), torch.cat([ids for _, ids in rows])
        first, column = losses.distinct(image)
        ids = image[first].cpu().numpy()
        pictures = self.network.prior.gallery(ids).to(brains.device)
        joined = self._whole(brains), self._whole(pictures)
        similar = joined[0] @ joined[1].T
        scale = losses.clamped_scale(self.network.log_scale.mean(), self.config.scale_max)
        ranks = retrieval.ranks(similar.cpu().numpy(), column.cpu().numpy())
        known = [found[found >= 0] for found in ranks.values()]
        return {
            "mrr": float(np.mean([(1 / (1 + rank)).mean() for rank in known])),
            "top1": float(np.mean([(rank < 1).mean() for rank in known])),
            "top5": float(np.mean([(rank < 5).mean() for rank in known])),
            "loss": float(losses.info_nce(scale * similar, column)),
        }

    def _whole(self, values: Tensor) -> Tensor:
        """All blocks, each of length one times the root of its share."""
        pairs = zip(self.slices, self.shares, strict=True)
        return torch.cat([losses.unit(values[:, at]) * share**0.5 for at, share in pairs], dim=1)


@dataclass(frozen=True, eq=False)
class _Block:
    """One block of the target space: logits of a batch, and what they were made from."""

    logits: Tensor
    brains: Tensor
    pictures: Tensor
    column: Tensor
    scale: Tensor
    bias: Tensor
    others: tuple[Tensor, Tensor] | None

    def info_nce(self) -> Tensor:
        target = losses.one_hot(self.column, self.logits.shape[1])
        return self._both(target)

    def bimixco(self, partner: Tensor, share: Tensor) -> Tensor:
        target = losses.mixed_targets(self.column, partner, share, self.logits.shape[1])
        return self._both(target)

    def _both(self, target: Tensor) -> Tensor:
        columns = losses.column_loss(self.logits, target, self.column)
        if self.others is None:
            return (losses.row_loss(self.logits, target) + columns) / 2
        bank, inside = self.others
        beside = (self.scale * self.brains @ bank.T).masked_fill(inside, losses.LOWEST)
        wide = torch.cat([self.logits, beside], dim=1)
        none = torch.zeros(len(target), len(bank), device=target.device)
        return (losses.row_loss(wide, torch.cat([target, none], dim=1)) + columns) / 2


def mean_rows(values: Tensor, column: Tensor, columns: int) -> Tensor:
    """Mean (columns, dim) of the rows of each column: of one image, targets may differ by row."""
    sums = torch.zeros(columns, values.shape[1], dtype=values.dtype, device=values.device)
    count = torch.bincount(column, minlength=columns).clamp_min(1)
    return sums.index_add(0, column, values) / count[:, None]


def offset(rows: int) -> int:
    """Where this process's rows begin among all; every process has as many."""
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return 0
    return distributed.get_rank() * rows
