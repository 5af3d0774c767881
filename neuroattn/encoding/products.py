"""Two products that decide what a step costs, with their gradients written out.

Autograd would keep every intermediate of softmax attention (four tables of images x queries x
tokens) and copy the whole table of readout weights to put the gradients of its parts together.
Written out, one table is kept, the rest is reused from picture to picture while it is in the
cache, and gradients go to where they belong at once.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

CACHE = 4 << 20  # bytes of weights that are worked on at a time


def pool(
    asked: Float[Tensor, "asked dim"],
    tokens: Float[Tensor, "images tokens dim"],
    bias: Float[Tensor, "asked places"],
) -> Float[Tensor, "images asked dim"]:
    """Attention of queries that no picture changes: ``softmax(asked X^T + bias) X``.

    Parameters
    ----------
    asked : queries carried to the tokens' side, one row for every head of every query.
    bias : logits that no picture changes, for every token or one for all.
    """
    if not (torch.is_grad_enabled() and (asked.requires_grad or tokens.requires_grad)):
        return _pool(asked, tokens, bias, None)
    out: Tensor = _Pool.apply(asked, tokens, bias)  # type: ignore[no-untyped-call]
    return out


def grouped(
    sums: Float[Tensor, "groups images dim"],
    weight: Float[Tensor, "targets dim"],
    sizes: list[int],
) -> Float[Tensor, "images targets"]:
    """Targets, sorted by group, read the vector of their group: one product for each group."""
    out: Tensor = _Grouped.apply(sums, weight, sizes)  # type: ignore[no-untyped-call]
    return out


def _spans(tokens: Tensor, asked: int) -> list[slice]:
    """As many pictures at a time as have their weights in the cache; all at once elsewhere."""
    images, places = tokens.shape[:2]
    fitting = CACHE // max(1, asked * places * tokens.element_size())
    step = max(1, fitting if tokens.device.type == "cpu" else images)
    return [slice(start, start + step) for start in range(0, images, step)]


def _pool(asked: Tensor, tokens: Tensor, bias: Tensor, kept: Tensor | None) -> Tensor:
    """The forward pass; ``kept`` (images, asked, tokens) takes the weights."""
    out = tokens.new_empty(len(tokens), len(asked), tokens.shape[2])
    for span in _spans(tokens, len(asked)):
        looks = torch.softmax((asked @ tokens[span].mT + bias).float(), dim=-1).to(tokens.dtype)
        torch.matmul(looks, tokens[span], out=out[span])
        if kept is not None:
            kept[span] = looks
    return out


class _Pool(Function):
    """`pool` with its gradient (softmax: dlogits = looks * (d - sum(d * looks)))."""

    @staticmethod
    def forward(ctx: Any, asked: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
        asked, bias = asked.to(tokens.dtype), bias.to(tokens.dtype)
        kept = tokens.new_empty(len(tokens), len(asked), tokens.shape[1])
        out = _pool(asked, tokens, bias, kept)
        ctx.save_for_backward(asked, tokens, kept)
        ctx.places = bias.shape[1]
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        asked, tokens, kept = ctx.saved_tensors
        to_asked, to_bias = torch.zeros_like(asked), torch.zeros_like(kept[0])
        to_tokens = torch.empty_like(tokens) if ctx.needs_input_grad[1] else None
        for span in _spans(tokens, len(asked)):
            looks, pictures = kept[span], tokens[span]
            logits = above[span] @ pictures.mT
            logits -= (logits * looks).sum(-1, keepdim=True)
            logits *= looks
            to_bias += logits.sum(0)
            if to_tokens is not None:
                to_tokens[span] = looks.mT @ above[span] + logits.mT @ asked
            rows = logits.transpose(0, 1).flatten(1)
            to_asked.addmm_(rows, pictures.flatten(0, 1))
        return to_asked, to_tokens, to_bias.sum(1, keepdim=True) if ctx.places == 1 else to_bias


class _Grouped(Function):
    """`grouped` with its gradient, part by part into one table."""

    @staticmethod
    def forward(ctx: Any, sums: Tensor, weight: Tensor, sizes: list[int]) -> Tensor:
        sums = sums.to(weight.dtype)
        ctx.save_for_backward(sums, weight)
        ctx.sizes = sizes
        parts = torch.split(weight, sizes)
        products = [vector @ part.T for vector, part in zip(sums, parts, strict=True)]
        return torch.cat(products, dim=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor, None]:
        sums, weight = ctx.saved_tensors
        to_sums, to_weight = torch.empty_like(sums), torch.empty_like(weight)
        columns = torch.split(above.to(weight.dtype), ctx.sizes, dim=1)
        parts, outs = torch.split(weight, ctx.sizes), torch.split(to_weight, ctx.sizes)
        for index, (column, part, out) in enumerate(zip(columns, parts, outs, strict=True)):
            torch.matmul(column, part, out=to_sums[index])
            torch.matmul(column.T, sums[index], out=out)
        return to_sums, to_weight, None
