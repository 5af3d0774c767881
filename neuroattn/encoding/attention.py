"""The transformer readout: learned queries attend to a picture's tokens, targets read linearly.

Adeli, Sun & Kriegeskorte 2025 (transformer brain encoder), one decoder layer without
self-attention. For tokens X (tokens x dim), the code of their place P and a query e_r:

    q_r = LN(0) + e_r,   K = (X + P) W_k + b_k,   V = X W_v + b_v
    u_r = MHA(q_r, K, V),   u_r += FFN(LN(u_r)),   z_r = LN(u_r),   y_v = w_v . sum_r z_r + b_v

Place enters the keys alone, so that *where* can route but is not read out.

**Cost.** With T tokens of D channels, Q queries and H heads, a forward pass costs per picture

    unfolded  4 T D^2 + 4 T D Q  FLOPs (projecting keys and values),
    folded    4 T D H Q          FLOPs (queries carried through W_k, values projected after
                                 pooling; the term of P does not depend on the picture),

so folding wins where H Q < D + Q. Both give the same numbers; `Attention` takes the cheaper.
The linear readout costs 2 V D for V targets: each target reads one sum, never all queries.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from neuroattn.encoding.positions import sine_code
from neuroattn.encoding.products import grouped, pool
from neuroattn.encoding.queries import QueryTable
from neuroattn.encoding.registry import Norm, Place


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
        queries: Float[Tensor, "queries dim"],
        tokens: Float[Tensor, "images tokens dim"],
        place: Float[Tensor, "tokens dim"] | None = None,
        field: Float[Tensor, "queries tokens"] | None = None,
    ) -> Float[Tensor, "images queries dim"]:
        """Outputs of every query for every picture.

        Parameters
        ----------
        place : code of the tokens' places, added to the keys.
        field : logits added for each query and token, equal in all heads and pictures.
        """
        folded = self.heads * len(queries) < self.dim + len(queries)
        pooled = (self._folded if folded else self._unfolded)(queries, tokens, place, field)
        out: Tensor = self.out(pooled)
        return out

    def weights(
        self,
        queries: Float[Tensor, "queries dim"],
        tokens: Float[Tensor, "images tokens dim"],
        place: Float[Tensor, "tokens dim"] | None = None,
        field: Float[Tensor, "queries tokens"] | None = None,
    ) -> Float[Tensor, "images heads queries tokens"]:
        """Where each head of each query looks; sums to 1 over the tokens."""
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
        keys = self.key(tokens if place is None else tokens + place)
        values = self.value(tokens)
        asked, known, told = (
            self._by_head(part).transpose(-2, -3)
            for part in (self.query(queries).expand(len(tokens), -1, -1), keys, values)
        )
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
    """

    channels: int
    dim: int
    heads: int
    hidden: int = 1024
    dropout: float = 0.1
    norm: Norm = Norm.pre
    place: Place = Place.keys


class Router(nn.Module):
    """Queries and one decoder layer: tokens in, one vector per query out.

    Parameters
    ----------
    queries : number of queries.
    grid : rows and columns of the tokens.
    """

    def __init__(self, queries: int, grid: tuple[int, int], sizes: Architecture) -> None:
        super().__init__()
        dim, where = sizes.dim, sizes.place
        self.norm = sizes.norm
        self.queries = nn.Parameter(torch.randn(queries, dim))
        self.attention = Attention(dim, sizes.heads)
        self.feed_forward = FeedForward(dim, sizes.hidden, sizes.dropout) if sizes.hidden else None
        self.norm_query, self.norm_hidden, self.norm_out = (
            nn.Identity() if sizes.norm is Norm.none else nn.LayerNorm(dim) for _ in range(3)
        )
        self.dropout = nn.Dropout(sizes.dropout)
        self.place: Tensor | None
        self.field: Tensor | None
        code = sine_code(grid, dim) if where in (Place.keys, Place.learned) else None
        if where is Place.learned and code is not None:
            self.place = nn.Parameter(code)
        else:
            self.register_buffer("place", code, persistent=False)
        free = torch.zeros(queries, grid[0] * grid[1])
        self.field = nn.Parameter(free) if where is Place.free else None

    def asking(self) -> Float[Tensor, "queries dim"]:
        """The queries as attention sees them: the normalised zero target is a learned bias."""
        if self.norm is not Norm.pre:
            return self.queries
        asked: Tensor = self.queries + self.norm_query(torch.zeros_like(self.queries[:1]))
        return asked

    def forward(
        self, tokens: Float[Tensor, "images tokens dim"]
    ) -> Float[Tensor, "images queries dim"]:
        """One vector per query and picture."""
        out = self.dropout(self.attention(self.asking(), tokens, self.place, self.field))
        if self.norm is Norm.post:
            out = self.norm_query(out)
        if self.feed_forward is not None:
            inner = self.norm_hidden(out) if self.norm is Norm.pre else out
            out = out + self.dropout(self.feed_forward(inner))
            out = self.norm_hidden(out) if self.norm is Norm.post else out
        result: Tensor = self.norm_out(out)
        return result

    def looks(
        self, tokens: Float[Tensor, "images tokens dim"]
    ) -> Float[Tensor, "images heads queries tokens"]:
        """Attention weights of every head of every query."""
        return self.attention.weights(self.asking(), tokens, self.place, self.field)


class GroupedLinear(nn.Module):
    """One weight vector per target, applied to the sum of the outputs that its group reads.

    Targets are stored group by group, so that each group is one matrix product and nothing of
    size queries x targets is ever made.
    """

    def __init__(self, table: QueryTable, dim: int) -> None:
        super().__init__()
        targets = len(table.group)
        order = torch.from_numpy(table.order())
        place = torch.empty(targets, dtype=torch.int64)
        place[order] = torch.arange(targets)
        self.weight = nn.Parameter(torch.empty(targets, dim).uniform_(-(dim**-0.5), dim**-0.5))
        self.bias = nn.Parameter(torch.zeros(targets))
        self.sizes = table.sizes()
        counts = torch.from_numpy(table.multiplicity[table.group[table.order()]])
        self.register_buffer("groups", torch.from_numpy(table.groups), persistent=False)
        self.register_buffer("counts", counts, persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.groups: Tensor
        self.counts: Tensor
        self.place: Tensor

    def forward(self, read: Float[Tensor, "images queries dim"]) -> Float[Tensor, "images targets"]:
        """Responses in the order of the targets."""
        sums = torch.einsum("gq,bqd->gbd", self.groups, read)
        products = grouped(sums, self.weight, self.sizes)
        return (products + self.bias * self.counts)[:, self.place]


class AttentionEncoder(nn.Module):
    """Tokens in, responses out.

    Parameters
    ----------
    table : queries and groups of targets.
    grid : rows and columns of the tokens.
    """

    def __init__(self, table: QueryTable, grid: tuple[int, int], sizes: Architecture) -> None:
        super().__init__()
        same = sizes.dim == sizes.channels
        self.project = nn.Identity() if same else nn.Linear(sizes.channels, sizes.dim)
        self.router = Router(len(table.names), grid, sizes)
        self.readout = GroupedLinear(table, sizes.dim)

    def forward(
        self, tokens: Float[Tensor, "images tokens channels"]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses in training units (z-scores)."""
        out: Tensor = self.readout(self.router(self.project(tokens)))
        return out

    def looks(
        self, tokens: Float[Tensor, "images tokens channels"]
    ) -> Float[Tensor, "images heads queries tokens"]:
        """Attention weights of every head of every query."""
        return self.router.looks(self.project(tokens))
