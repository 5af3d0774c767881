"""Losses between brain embeddings and frozen image embeddings, as pure functions.

One notation throughout. Of a batch, each distinct image is one **column** and each brain one
**row**, so an image that was shown three times is one column with three rows: its repeats are
nobody's negatives. A brain's target is a distribution over columns (`mixed_targets`): one
column, or two when brains were mixed. Logits are cosines times a scale.

- rows ask which image a brain belongs to: a softmax over columns,
- columns ask which brain belongs to an image: a softmax over the brains that do not belong to
  another repeat of it.

Every loss is a mean over brains in float32, whatever the precision of the network.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

LOWEST = -1e30  # stands for minus infinity, whose gradient is not a number


def wide(values: Tensor) -> Tensor:
    """In float32 or better: a softmax of half precision loses the small differences."""
    return values if values.dtype == torch.float64 else values.float()


def unit(values: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
    """Rows of length 1, in float32."""
    return functional.normalize(wide(values), dim=-1)


def unit_blocks(
    values: Float[Tensor, "rows dim"], slices: Sequence[slice], shares: Sequence[float]
) -> Float[Tensor, "rows dim"]:
    """Rows of length 1, of which each block has the root of its share."""
    pairs = zip(slices, shares, strict=True)
    return torch.cat([unit(values[:, at]) * share**0.5 for at, share in pairs], dim=1)


class _Held(torch.autograd.Function):
    """The smaller of a value and a limit; at the limit only a push downwards passes back."""

    @staticmethod
    def forward(context: Any, value: Tensor, limit: float) -> Tensor:
        context.above = bool(value > limit)
        return value.clamp(max=limit)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        gradient = gradients[0]
        return (gradient.clamp(min=0) if context.above else gradient), None


def clamped_scale(log_scale: Float[Tensor, ""], limit: float) -> Float[Tensor, ""]:
    """The scale ``exp(log_scale)``, never above ``limit``.

    Without a limit, training pairs that can be told apart drive it to infinity. A plain clamp
    would have no gradient beyond the limit and hold the parameter there for good.
    """
    held: Tensor = _Held.apply(log_scale, math.log(limit))  # type: ignore[no-untyped-call]
    return held.exp()


def distinct(images: Int[Tensor, " rows"]) -> tuple[Int[Tensor, " columns"], Int[Tensor, " rows"]]:
    """First row of each distinct image, ascending by image, and the column of every row."""
    ids, column = torch.unique(images, return_inverse=True)
    first = torch.full((len(ids),), len(images), dtype=torch.int64, device=images.device)
    rows = torch.arange(len(images), device=images.device)
    return first.scatter_reduce(0, column, rows, "amin"), column


def mixed_targets(
    column: Int[Tensor, " rows"],
    partner: Int[Tensor, " rows"],
    share: Float[Tensor, " rows"],
    columns: int,
) -> Float[Tensor, "rows columns"]:
    """Distribution over columns of brains: ``share`` of a row, the rest of its partner.

    Shares are added, so every row sums to one for every pairing: a row that is its own partner,
    or whose partner was shown the same image, keeps all of it. (The public ``mixco_nce`` writes
    the second share over the first, which leaves such a row without its target.)
    """
    target = torch.zeros(len(column), columns, device=column.device, dtype=share.dtype)
    target.scatter_add_(1, column[:, None], share[:, None])
    return target.scatter_add_(1, column[partner][:, None], 1 - share[:, None])


def row_loss(
    logits: Float[Tensor, "rows columns"], target: Float[Tensor, "rows columns"]
) -> Float[Tensor, ""]:
    """Cross-entropy of each brain's distribution over columns, averaged over brains."""
    return -(target * wide(logits).log_softmax(1)).sum(1).mean()


def column_loss(
    logits: Float[Tensor, "rows columns"],
    target: Float[Tensor, "rows columns"],
    column: Int[Tensor, " rows"],
) -> Float[Tensor, ""]:
    """The other direction: each image among brains, weighed by ``target``, averaged over brains.

    A brain competes with all brains but the other repeats of its image. Cost: two vectors of
    all rows for each brain.
    """
    rows, columns = target.nonzero(as_tuple=True)
    rivals = wide(logits)[:, columns].T  # (entries, rows): each image's logits of all brains
    own = rivals.gather(1, rows[:, None])[:, 0]
    repeats = column[rows][:, None] == column[None, :]
    others = rivals.masked_fill(repeats, LOWEST).logsumexp(1)
    return (target[rows, columns] * functional.softplus(others - own)).sum() / len(target)


def info_nce(
    logits: Float[Tensor, "rows columns"], column: Int[Tensor, " rows"]
) -> Float[Tensor, ""]:
    """Symmetric InfoNCE with several brains per image: the mean of both directions."""
    target = one_hot(column, logits.shape[1])
    return (row_loss(logits, target) + column_loss(logits, target, column)) / 2


def one_hot(column: Int[Tensor, " rows"], columns: int) -> Float[Tensor, "rows columns"]:
    """Each brain's own column."""
    return functional.one_hot(column, columns).float()


def bimixco(
    logits: Float[Tensor, "rows columns"],
    column: Int[Tensor, " rows"],
    partner: Int[Tensor, " rows"],
    share: Float[Tensor, " rows"],
) -> Float[Tensor, ""]:
    """InfoNCE of mixed brains, both directions (Scotti et al. 2023, MindEye, section 3).

    Parameters
    ----------
    logits : of brains ``share`` x own + (1 - share) x partner's.
    """
    target = mixed_targets(column, partner, share, logits.shape[1])
    return (row_loss(logits, target) + column_loss(logits, target, column)) / 2


def soft_clip(
    logits: Float[Tensor, "rows columns"],
    images: Float[Tensor, "columns dim"],
    column: Int[Tensor, " rows"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Cross-entropy to the softmax of image-image similarities, both directions (SoftCLIP).

    ``temperature`` is the teacher's; a perfect prediction at the same one costs the teacher's
    mean entropy. Towards 0 it becomes `info_nce`.

    Parameters
    ----------
    images : of length 1.

    Raises
    ------
    ValueError : they are not of length 1, so that no temperature means anything.
    """
    length = images.detach().float().norm(dim=1)
    if not torch.allclose(length, torch.ones_like(length), atol=1e-3):
        raise ValueError("soft targets need image embeddings of length 1")
    similar = wide(images) @ wide(images).T / temperature
    teacher = similar[column].softmax(1)
    forward = -(teacher * wide(logits).log_softmax(1)).sum(1).mean()
    # Images of brains in place of brains, so that repeats share the mass of their image.
    among = similar[:, column].softmax(1)[column]
    back = -(among * wide(logits).T.log_softmax(1)[column]).sum(1).mean()
    return (forward + back) / 2


def siglip(
    logits: Float[Tensor, "rows columns"], column: Int[Tensor, " rows"], bias: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Every pair by itself, as a yes or no (Zhai et al. 2023, equation 1)."""
    sign = 2 * one_hot(column, logits.shape[1]) - 1
    return functional.softplus(-sign * (wide(logits) + bias)).sum(1).mean()


def cosine_loss(
    predicted: Float[Tensor, "rows dim"], target: Float[Tensor, "rows dim"]
) -> Float[Tensor, ""]:
    """1 - cosine, averaged over rows."""
    return (1 - (unit(predicted) * unit(target)).sum(1)).mean()


def l2_loss(
    predicted: Float[Tensor, "rows dim"], target: Float[Tensor, "rows dim"]
) -> Float[Tensor, ""]:
    """Squared error, averaged over rows and dimensions."""
    return (wide(predicted) - wide(target)).square().mean()


def soft_temperature(progress: float, start: float, end: float) -> float:
    """From ``start`` to ``end`` along half a cosine; ``progress`` from 0 to 1."""
    return end + (start - end) * (1 + math.cos(math.pi * min(1.0, max(0.0, progress)))) / 2


def gathered(values: Tensor) -> Tensor:
    """Rows of all processes, in the order of processes; gradients flow back to their owners.

    A loss over gathered rows is equal on all processes. Each hands every other the gradient of
    its own copy, so their sum is as many times too large as there are processes, which the mean
    over processes of a distributed model takes back: loss and gradients are those of one
    process with the whole batch. Without processes nothing happens.
    """
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    if distributed.get_world_size() == 1:
        return values
    return _Gathered.apply(values)  # type: ignore[no-untyped-call,no-any-return]


class _Gathered(torch.autograd.Function):
    """Rows of all processes; a row's gradient is the sum of what all processes ask of it.

    As in torch.distributed.nn, which torch is giving up; here with one sum for all processes.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        from torch import distributed

        ctx.rows, values = len(values), values.contiguous()
        parts = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, values)
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        from torch import distributed

        total = gradient.clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        first = distributed.get_rank() * ctx.rows
        return total[first : first + ctx.rows]
