"""From what queries read to the responses of targets: the transformer readout as a whole.

The linear readout costs 2 V D FLOPs for V targets of D channels: each target reads one sum of
queries' outputs, never all queries. A query for every target is read `CHUNK` targets at a time,
each chunk made again on the way back: what is kept at once is images x `CHUNK` x D, whatever the
number of targets, and neither a table of targets x targets nor of queries x targets is made.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from neuroattn.encoding.attention import Architecture, Memory, Router
from neuroattn.encoding.mixing import LayerInput, MixedLinear, OwnLinear
from neuroattn.encoding.products import grouped
from neuroattn.encoding.queries import Asked, Free, Own, QueryTable
from neuroattn.encoding.registry import Mix

CHUNK = 256  # queries of single targets that are read at once


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
        return self.products(read) + self.offset()

    def products(
        self, read: Float[Tensor, "images queries dim"]
    ) -> Float[Tensor, "images targets"]:
        """Responses before the bias."""
        sums = torch.einsum("gq,bqd->gbd", self.groups, read)
        return grouped(sums, self.weight, self.sizes)[:, self.place]

    def offset(self) -> Float[Tensor, " targets"]:
        """The bias of each target, as often as it counts."""
        return (self.bias * self.counts)[self.place]

    def by_query(
        self, values: Float[Tensor, "targets columns"]
    ) -> Float[Tensor, "queries columns"]:
        """Means of ``values`` over the targets that read each query."""
        sums = values.new_zeros(len(self.groups), values.shape[1])
        owner = torch.repeat_interleave(torch.tensor(self.sizes, device=values.device))
        sums.index_add_(0, owner, values[torch.argsort(self.place)])
        reads = (self.groups > 0).to(values)
        counts = reads.T @ torch.tensor(self.sizes).to(values)
        return reads.T @ sums / counts.clamp(min=1)[:, None]


Reader = GroupedLinear | OwnLinear | MixedLinear


def _reader(asked: Asked, dim: int) -> Reader:
    if isinstance(asked, Own):
        return OwnLinear(asked, dim)
    if isinstance(asked, Free):
        return MixedLinear(asked, dim)
    return GroupedLinear(asked, dim)


class AttentionEncoder(nn.Module):
    """Tokens in, responses out.

    Parameters
    ----------
    asked : who has a query, and which targets read which.
    grid : rows and columns of the tokens.
    """

    def __init__(self, asked: Asked, grid: tuple[int, int], sizes: Architecture) -> None:
        super().__init__()
        same = sizes.dim == sizes.channels
        self.project: nn.Module = nn.Identity() if same else nn.Linear(sizes.channels, sizes.dim)
        if sizes.mix is not Mix.joined:
            self.project = LayerInput(sizes.layers, sizes.dim, sizes.mix is Mix.learned)
        count = asked.targets if isinstance(asked, Own) else len(asked.names)
        self.router = Router(count, grid, sizes)
        self.readout = _reader(asked, sizes.dim)
        targets = len(self.readout.bias)
        apart = torch.zeros(targets, len(sizes.layers))
        self.choice = nn.Parameter(apart) if sizes.mix is Mix.per_target else None

    def forward(
        self, tokens: Float[Tensor, "images tokens channels"] | list[Tensor]
    ) -> Float[Tensor, "images targets"]:
        """Predicted responses in training units (z-scores).

        Parameters
        ----------
        tokens : of one layer, of several side by side, or a list of them where they are mixed.
        """
        parts = [self._products(one) for one in self._inputs(tokens)]
        shares = self.shares()
        if self.choice is None or shares is None:
            return parts[0] + self.readout.offset()
        mixed = [share * part for share, part in zip(shares.unbind(1), parts, strict=True)]
        return torch.stack(mixed).sum(0) + self.readout.offset()

    def shares(self) -> Float[Tensor, "targets layers"] | None:
        """How much of each layer each target reads; None where layers are joined."""
        if self.choice is not None:
            return torch.softmax(self.choice, dim=1)
        if isinstance(self.project, LayerInput):
            return self.project.shares().expand(len(self.readout.bias), -1)
        return None

    def _inputs(self, tokens: Tensor | list[Tensor]) -> list[Tensor]:
        found = self.project(tokens)
        return found if isinstance(found, list) else [found]

    def _products(self, tokens: Tensor) -> Tensor:
        if not isinstance(self.readout, OwnLinear):
            return self.readout.products(self.router(tokens))
        memories = self.router.remember(tokens)
        queries = torch.split(self.router.queries, CHUNK)
        fields: list[Tensor | None] = [None] * len(queries)
        if self.router.field is not None:
            fields = list(torch.split(self.router.field, CHUNK))
        parts = [
            checkpoint(self._own, tokens, *part, memories, use_reentrant=False)
            for part in zip(queries, fields, torch.split(self.readout.weight, CHUNK), strict=True)
        ]
        return torch.cat(parts, dim=1)

    def _own(
        self,
        tokens: Tensor,
        queries: Tensor,
        field: Tensor | None,
        weight: Tensor,
        memories: list[Memory | None],
    ) -> Float[Tensor, "images some"]:
        """Products of targets with what their own queries read."""
        read = self.router.read(tokens, queries, field, memories)
        return torch.einsum("bvd,vd->bv", read, weight)

    def looks(
        self, tokens: Float[Tensor, "images tokens channels"] | list[Tensor]
    ) -> Float[Tensor, "images heads queries tokens"]:
        """Attention weights of every head of every query.

        Where every target has a query these are means over the targets of each region, and where
        targets choose among layers, means over layers by what the targets of a query choose.
        """
        parts = [self._looks(one, layer) for layer, one in enumerate(self._inputs(tokens))]
        return torch.stack(parts).sum(0)

    def _looks(self, tokens: Tensor, layer: int) -> Tensor:
        shares = None if self.choice is None else torch.softmax(self.choice, dim=1)
        if not isinstance(self.readout, OwnLinear):
            looks = self.router.looks(tokens)
            if shares is None:
                return looks
            return looks * self.readout.by_query(shares)[:, layer, None]
        total: Tensor | None = None
        for start in range(0, len(self.router.queries), CHUNK):
            part = slice(start, start + CHUNK)
            member = self.readout.member(part)  # some, regions
            if shares is not None:
                member = member * shares[part, layer, None]
            found = torch.einsum("bhqt,qr->bhrt", self.router.looks(tokens, part), member)
            total = found if total is None else total + found
        if total is None:
            raise ValueError("there are no targets")
        return total
