"""The transformer readout: learned queries attend to a picture's tokens, targets read linearly.

Adeli, Sun & Kriegeskorte 2025 (transformer brain encoder), one decoder layer without
self-attention. For tokens X (tokens x dim), the code of their place P and a query e_r:

    q_r = LN(0) + e_r,   K = (X + P) W_k + b_k,   V = X W_v + b_v
    u_r = MHA(q_r, K, V),   u_r += FFN(LN(u_r)),   z_r = LN(u_r),   y_v = w_v . sum_r z_r + b_v

Place enters the keys alone, so that *where* can route but is not read out.

**Cost.** With T tokens of D channels, Q queries and H heads, a forward pass costs per picture

    unfolded  4 T D^2 + 4 T D Q      FLOPs (projecting keys and values),
    folded    4 T D H Q + 2 D^2 Q    FLOPs (queries carried through W_k, values projected after
                                     pooling; the term of P does not depend on the picture),

so folding wins where H Q + D Q / 2T < D + Q. Both give the same numbers; `Attention` takes the
cheaper, and folds where they are equal to `EVEN`, because that keeps no keys and values.

Later decoder layers, where there are any, have no self-attention either: the query of layer n is
LN(u) + e_r with what the earlier ones found, so it depends on the picture and is not folded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.encoding.positions import sine_code
from neuroattn.encoding.products import pool
from neuroattn.encoding.registry import Mix, Norm, Place

Memory = tuple[Tensor, Tensor]  # keys and values (images, heads, tokens, width)
EVEN = 0.01  # costs that differ by less are equal


def folds(dim: int, heads: int, queries: int, tokens: int) -> bool:
    """Whether queries that are equal for all pictures are cheaper folded (the module's cost)."""
    folded = heads * queries + dim * queries / (2 * tokens)
    return folded < (1 + EVEN) * (dim + queries)


class Attention(nn.Module):
    """Multi-head cross-attention from a few fixed queries, folded where that is cheaper.

    Parameters
    ----------
    dim : channels of queries and tokens.
    heads : number of heads; divides ``dim``.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.dim, self.heads = dim, heads
        self.query = nn.Linear(dim, dim)
        self.key = nn.Linear(dim, dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)
        for layer in (self.query, self.key, self.value, self.out):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(
        self,
        queries: Float[Tensor, "*images queries dim"],
        tokens: Float[Tensor, "images tokens dim"],
        place: Float[Tensor, "tokens dim"] | None = None,
        field: Float[Tensor, "queries tokens"] | None = None,
        memory: Memory | None = None,
    ) -> Float[Tensor, "images queries dim"]:
        """Outputs of every query for every picture.

        Parameters
        ----------
        queries : equal for all pictures, or with queries of its own for each.
        place : code of the tokens' places, added to the keys.
        field : logits added for each query and token, equal in all heads and pictures.
        memory : keys and values of these tokens, where they are at hand (`memory`).
        """
        if memory is not None:
            pooled = self._attend(queries, memory, field)
        else:
            folded = queries.dim() == 2 and self.folds(len(queries), tokens.shape[1])
            pooled = (self._folded if folded else self._unfolded)(queries, tokens, place, field)
        out: Tensor = self.out(pooled)
        return out

    def folds(self, queries: int, tokens: int) -> bool:
        """Whether so many queries, equal for all pictures, are cheaper folded."""
        return folds(self.dim, self.heads, queries, tokens)

    def memory(self, tokens: Tensor, place: Tensor | None) -> Memory:
        """Keys and values of tokens, head by head."""
        keys = self.key(tokens if place is None else tokens + place)
        values = self.value(tokens)
        return self._by_head(keys).transpose(-2, -3), self._by_head(values).transpose(-2, -3)

    def weights(
        self,
        queries: Float[Tensor, "*images queries dim"],
        tokens: Float[Tensor, "images tokens dim"],
        place: Float[Tensor, "tokens dim"] | None = None,
        field: Float[Tensor, "queries tokens"] | None = None,
    ) -> Float[Tensor, "images heads queries tokens"]:
        """Where each head of each query looks; sums to 1 over the tokens."""
        if queries.dim() == 3:
            keys, _ = self.memory(tokens, place)
            asked = self._by_head(self.query(queries)).transpose(-2, -3)
            logits = asked @ keys.mT * (self.dim // self.heads) ** -0.5
            return torch.softmax((logits if field is None else logits + field).float(), dim=-1)
        carried, bias = self._carry(queries, place, field)
        logits = tokens @ carried.flatten(0, 1).T
        shaped = self._by_head(logits, len(queries)).permute(0, 2, 3, 1)
        return torch.softmax(shaped.float() + bias, dim=-1)

    def _carry(
        self, queries: Tensor, place: Tensor | None, field: Tensor | None
    ) -> tuple[Float[Tensor, "heads queries dim"], Float[Tensor, "heads queries #tokens"]]:
        """Queries carried through the key projection, and the logits that no picture changes.

        The key bias adds one number per query to all its logits, which softmax ignores; it
        takes part so that several processes find a gradient for every parameter.
        """
        split = self._by_head(self.query(queries)).transpose(0, 1)
        keys = self.key.weight.reshape(self.heads, -1, self.dim)
        scale = (self.dim // self.heads) ** -0.5
        carried = split @ keys * scale
        bias = split @ self.key.bias.reshape(self.heads, -1, 1) * scale
        if place is not None:
            bias = bias + carried @ place.T
        return carried, bias if field is None else bias + field

    def _folded(
        self, queries: Tensor, tokens: Tensor, place: Tensor | None, field: Tensor | None
    ) -> Tensor:
        carried, bias = self._carry(queries, place, field)
        pooled = pool(carried.flatten(0, 1), tokens, bias.flatten(0, 1))
        pooled = pooled.reshape(len(tokens), self.heads, len(queries), self.dim)
        values = self.value.weight.reshape(self.heads, -1, self.dim)
        # Weights sum to one over the tokens, so the value bias comes through unchanged.
        out = torch.einsum("bhqd,hkd->bqhk", pooled, values).flatten(2)
        return out + self.value.bias

    def _unfolded(
        self, queries: Tensor, tokens: Tensor, place: Tensor | None, field: Tensor | None
    ) -> Tensor:
        return self._attend(queries, self.memory(tokens, place), field)

    def _attend(self, queries: Tensor, memory: Memory, field: Tensor | None) -> Tensor:
        known, told = memory
        asked = self._by_head(self.query(queries).expand(len(known), -1, -1)).transpose(-2, -3)
        out = functional.scaled_dot_product_attention(asked, known, told, attn_mask=field)
        return out.transpose(1, 2).flatten(2)

    def _by_head(self, values: Tensor, width: int = -1) -> Tensor:
        """Split the last axis into (heads, width)."""
        return values.reshape(*values.shape[:-1], self.heads, width)


class FeedForward(nn.Module):
    """Two linear layers around a rectifier."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.expand, self.contract = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.expand, self.contract):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, values: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows dim"]:
        """Same shape in and out."""
        out: Tensor = self.contract(self.dropout(functional.relu(self.expand(values))))
        return out


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """Sizes of a transformer readout.

    Parameters
    ----------
    channels : channels of the tokens as stored.
    dim : channels inside; other than ``channels`` puts a linear projection first.
    heads : attention heads; they divide ``dim``.
    hidden : width of the feed-forward part; 0 leaves it out.
    dropout : share of activations dropped in training.
    norm : normalise before each part (the paper), after it, or nowhere.
    place : how a token's place routes.
    depth : decoder layers.
    mix : how several layers of the backbone enter.
    layers : channels of each of them, where they are mixed.
    """

    channels: int
    dim: int
    heads: int
    hidden: int = 1024
    dropout: float = 0.1
    norm: Norm = Norm.pre
    place: Place = Place.keys
    depth: int = 1
    mix: Mix = Mix.joined
    layers: tuple[int, ...] = ()


class DecoderLayer(nn.Module):
    """Cross-attention and a feed-forward part around a residual stream, without self-attention.

    Parameters
    ----------
    queries : queries that it holds; only the first layer does.
    """

    queries: nn.Parameter

    def __init__(self, sizes: Architecture, queries: int = 0) -> None:
        super().__init__()
        dim = sizes.dim
        self.norm = sizes.norm
        if queries:
            self.queries = nn.Parameter(torch.randn(queries, dim))
        self.attention = Attention(dim, sizes.heads)
        self.feed_forward = FeedForward(dim, sizes.hidden, sizes.dropout) if sizes.hidden else None
        self.norm_query, self.norm_hidden = (
            nn.Identity() if sizes.norm is Norm.none else nn.LayerNorm(dim) for _ in range(2)
        )
        self.dropout = nn.Dropout(sizes.dropout)

    def asks(self, queries: Tensor, found: Tensor | None) -> Tensor:
        """The queries as attention sees them.

        Parameters
        ----------
        found : (images, queries, dim) what the layers before left; None is zero, whose
            normalised form is a learned bias.
        """
        if self.norm is not Norm.pre:
            return queries if found is None else queries + found
        start = torch.zeros_like(queries[:1]) if found is None else found
        asked: Tensor = queries + self.norm_query(start)
        return asked

    def goes_on(self, attended: Tensor, found: Tensor | None) -> Tensor:
        """What this layer leaves, from what was attended to."""
        out: Tensor = self.dropout(attended)
        out = out if found is None else found + out
        if self.norm is Norm.post:
            out = self.norm_query(out)
        if self.feed_forward is not None:
            inner = self.norm_hidden(out) if self.norm is Norm.pre else out
            out = out + self.dropout(self.feed_forward(inner))
            out = self.norm_hidden(out) if self.norm is Norm.post else out
        return out


class Router(DecoderLayer):
    """Queries and decoder layers, the first of which it is: tokens in, one vector per query out.

    Parameters
    ----------
    queries : number of queries.
    grid : rows and columns of the tokens.
    """

    def __init__(self, queries: int, grid: tuple[int, int], sizes: Architecture) -> None:
        super().__init__(sizes, queries)
        dim, where = sizes.dim, sizes.place
        self.norm_out = nn.Identity() if sizes.norm is Norm.none else nn.LayerNorm(dim)
        self.place: Tensor | None
        self.field: Tensor | None
        code = sine_code(grid, dim) if where in (Place.keys, Place.learned) else None
        if where is Place.learned and code is not None:
            self.place = nn.Parameter(code)
        else:
            self.register_buffer("place", code, persistent=False)
        free = torch.zeros(queries, grid[0] * grid[1])
        self.field = nn.Parameter(free) if where is Place.free else None
        self.deeper = nn.ModuleList(DecoderLayer(sizes) for _ in range(sizes.depth - 1))

    @property
    def stack(self) -> list[DecoderLayer]:
        """The decoder layers in their order."""
        return [self, *(layer for layer in self.deeper if isinstance(layer, DecoderLayer))]

    def asking(self) -> Float[Tensor, "queries dim"]:
        """The queries as the first layer sees them."""
        return self.asks(self.queries, None)

    def forward(
        self, tokens: Float[Tensor, "images tokens dim"]
    ) -> Float[Tensor, "images queries dim"]:
        """One vector per query and picture."""
        return self.read(tokens, self.queries, self.field)

    def read(
        self,
        tokens: Float[Tensor, "images tokens dim"],
        queries: Float[Tensor, "some dim"],
        field: Float[Tensor, "some tokens"] | None,
        memories: list[Memory | None] | None = None,
    ) -> Float[Tensor, "images some dim"]:
        """One vector for each of some queries; ``memories`` as `remember` made them."""
        found: Tensor | None = None
        given = memories or [None] * len(self.stack)
        for layer, memory in zip(self.stack, given, strict=True):
            asked = layer.asks(queries, found)
            found = layer.goes_on(layer.attention(asked, tokens, self.place, field, memory), found)
        result: Tensor = self.norm_out(found)
        return result

    def remember(self, tokens: Tensor) -> list[Memory | None]:
        """Keys and values of every layer for queries that come chunk by chunk.

        None for a layer that folds: it has none.
        """
        folds = self.attention.folds(len(self.queries), tokens.shape[1])
        return [
            None if folds and layer is self else layer.attention.memory(tokens, self.place)
            for layer in self.stack
        ]

    def looks(
        self, tokens: Float[Tensor, "images tokens dim"], part: slice = slice(None)
    ) -> Float[Tensor, "images heads queries tokens"]:
        """Attention weights of every head of every query, or of some, in the last layer."""
        queries = self.queries[part]
        field = None if self.field is None else self.field[part]
        found: Tensor | None = None
        for layer in self.stack[:-1]:
            asked = layer.asks(queries, found)
            found = layer.goes_on(layer.attention(asked, tokens, self.place, field), found)
        last = self.stack[-1]
        return last.attention.weights(last.asks(queries, found), tokens, self.place, field)
