"""Reading the self-attention of a network's middle block, whichever kernel computes it.

Self-attention guidance (Hong et al. 2023) blurs what the network attends to most. Weights are
computed a second time from the block's input, for this one small layer, so no kernel has to
give them away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.errors import ConfigError


class Heard:
    """What the hooks have seen of one call."""

    def __init__(self) -> None:
        self._weights: Tensor | None = None
        self._grid: tuple[int, int] = (0, 0)

    def weights(self) -> Float[Tensor, "images rows columns"]:
        """How much each place is attended to, averaged over heads and summed over queries."""
        if self._weights is None:
            raise ConfigError(
                "the network was not called", expected="one call inside `attended`", found="none",
                fix="call the network first",
            )  # fmt: skip
        return self._weights.reshape(-1, *self._grid)

    def on_block(self, _module: Any, given: tuple[Tensor, ...]) -> None:
        """Note the grid of the block's input."""
        self._grid = (int(given[0].shape[-2]), int(given[0].shape[-1]))

    @torch.no_grad()
    def on_attention(self, module: Any, given: tuple[Tensor, ...], named: dict[str, Any]) -> None:
        """Compute the weights from the input of the attention."""
        hidden = given[0] if given else named["hidden_states"]
        query, key = (
            project(hidden).unflatten(-1, (module.heads, -1)).transpose(1, 2)
            for project in (module.to_q, module.to_k)
        )
        weights = torch.softmax(query @ key.transpose(-1, -2) * module.scale, dim=-1)
        self._weights = weights.mean(dim=1).sum(dim=1).float()


@contextmanager
def attended(network: Any) -> Iterator[Heard]:
    """Listen to the middle block of a network during the calls inside.

    Raises
    ------
    ConfigError : it has no self-attention there.
    """
    blocks = getattr(getattr(network, "mid_block", None), "attentions", None)
    if not blocks or not hasattr(blocks[0], "transformer_blocks"):
        raise ConfigError(
            "self-attention guidance needs a network with attention in its middle block",
            expected="UNet2DConditionModel with a middle block of cross-attention",
            found=type(network).__name__,
            fix="leave self-attention guidance out",
        )
    heard = Heard()
    hooks = [
        blocks[0].register_forward_pre_hook(heard.on_block),
        blocks[0]
        .transformer_blocks[0]
        .attn1.register_forward_pre_hook(heard.on_attention, with_kwargs=True),
    ]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()
