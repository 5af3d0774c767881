"""A weight for each place times a weight for each channel: what every spatial readout computes.

    y_v = sum_t s_vt  x_t . w_v + b_v

for targets v, tokens t with features x_t, a spatial mask s_v and a feature vector w_v. Readouts
of this family differ only in where the mask comes from.

**Cost.** 2 T C V FLOPs per picture for T tokens, C channels and V targets, forward, and twice as
much backward: there is no way round the product of every token with every feature vector, or of
every mask with the tokens. The table of products (tokens x targets of a batch, 2.4 GB for 16
pictures, 961 tokens and 39,548 targets) is made for a few hundred targets at a time and made
again on the way back, so memory does not grow with the targets.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

CHUNK = 512  # targets


def factorised(
    masks: Float[Tensor, "targets tokens"],
    weights: Float[Tensor, "targets dim"],
    tokens: Float[Tensor, "images tokens dim"],
) -> Float[Tensor, "images targets"]:
    """Responses of targets whose weights are a mask times a feature vector."""
    out: Tensor = _Factorised.apply(masks, weights, tokens)  # type: ignore[no-untyped-call]
    return out


def chunks(targets: int) -> list[slice]:
    """Targets in spans of `CHUNK`."""
    return [slice(start, start + CHUNK) for start in range(0, targets, CHUNK)]


class _Factorised(Function):
    """`factorised` with its gradient, a chunk of targets at a time."""

    @staticmethod
    def forward(ctx: Any, masks: Tensor, weights: Tensor, tokens: Tensor) -> Tensor:
        masks, weights = masks.to(tokens.dtype), weights.to(tokens.dtype)
        ctx.save_for_backward(masks, weights, tokens)
        out = tokens.new_empty(len(tokens), len(masks))
        for part in chunks(len(masks)):
            products = tokens @ weights[part].T  # images tokens targets
            out[:, part] = torch.einsum("btv,vt->bv", products, masks[part])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, above: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        masks, weights, tokens = ctx.saved_tensors
        to_masks, to_weights = torch.empty_like(masks), torch.empty_like(weights)
        to_tokens = torch.zeros_like(tokens) if ctx.needs_input_grad[2] else None
        flat = tokens.flatten(0, 1)
        for part in chunks(len(masks)):
            products = tokens @ weights[part].T
            to_masks[part] = torch.einsum("btv,bv->vt", products, above[:, part])
            spread = (above[:, None, part] * masks[part].T).flatten(0, 1)  # (images tokens) targets
            to_weights[part] = spread.T @ flat
            if to_tokens is not None:
                to_tokens += (spread @ weights[part]).view_as(tokens)
        return to_masks, to_weights, to_tokens
