"""What a trained decoder minimises, and how its epochs are compared.

Outputs of all processes are gathered before the loss, so that a batch over two processes has the
negatives, the loss and the gradients of the same batch in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from neuroattn.decoding import losses
from neuroattn.decoding.decoder_schemas import LossConfig, LossKind
from neuroattn.decoding.network import DecoderNetwork
from neuroattn.stats import retrieval
from neuroattn.training.batches import Batch, EvaluationLoader


class Whole(nn.Module):
    """The training images that all brains are contrasted with; a module, to move to a device.

    Parameters
    ----------
    images : (images,) ids.
    table : (images, dim) their embeddings.
    """

    def __init__(self, images: Int[Tensor, " images"], table: Float[Tensor, "images dim"]) -> None:
        super().__init__()
        self.register_buffer("images", images)
        self.register_buffer("table", table)
        self.images: Tensor
        self.table: Tensor


@dataclass(frozen=True, eq=False)
class Mix:
    """How the brains of all processes were mixed: ``share`` of a row, the rest of its partner."""

    partner: Int[Tensor, " rows"]
    share: Float[Tensor, " rows"]

    @property
    def alone(self) -> Bool[Tensor, " rows"]:
        """Rows that are themselves."""
        return self.share == 1

    def of(self, values: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """Mixed as the brains were."""
        own = self.share[:, None].to(values.dtype)
        return own * values + (1 - own) * values[self.partner]


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
        mix = self._mix(batch)
        self._observe(found, row, mix)
        total = self.config.contrastive * self._contrastive(found, out, image, mix)
        predicted, wanted = found["predicted"], found["target"]
        if mix is not None:
            wanted = mix.of(wanted)
        if self.config.cosine:
            total = total + self.config.cosine * self._cosine(predicted, wanted)
        if self.config.l2:
            total = total + self.config.l2 * losses.l2_loss(predicted, wanted)
        return total

    def _mix(self, batch: Batch) -> Mix | None:
        if not self.network.mixing:
            return None
        partner = batch["partner"] + offset(len(batch["partner"]))
        return Mix(losses.gathered(partner), losses.gathered(batch["share"]))

    def _observe(self, found: Mapping[str, Tensor], row: Tensor, mix: Mix | None) -> None:
        with torch.no_grad():
            pairs = self._whole(found["retrieved"]) * self._whole(found["target"])
            similar = pairs.sum(1)
            if mix is not None:  # a mixed brain says nothing of one picture
                row, similar = row[mix.alone], similar[mix.alone]
            self.network.prior.observe(row, similar)

    def _cosine(self, predicted: Tensor, wanted: Tensor) -> Tensor:
        parts = [
            share * losses.cosine_loss(predicted[:, at], wanted[:, at])
            for at, share in zip(self.slices, self.shares, strict=True)
        ]
        return torch.stack(parts).sum()

    def _contrastive(
        self, found: Mapping[str, Tensor], out: Mapping[str, Tensor], image: Tensor, mix: Mix | None
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
            parts.append(share * self._kind(pair, mix))
        return torch.stack(parts).sum()

    def _others(self, images: Tensor, at: slice) -> tuple[Tensor, Tensor] | None:
        """The bank's embeddings of one block, and which of them stand in the batch."""
        if self.bank is None:
            return None
        bank = self.bank.to(images.device)  # moves it at the first batch
        return losses.unit(bank.table[:, at]), torch.isin(bank.images, images)

    def _kind(self, block: _Block, mix: Mix | None) -> Tensor:
        if mix is not None:
            return block.bimixco(mix.partner, mix.share)
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
        return losses.unit_blocks(values, self.slices, self.shares)


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
