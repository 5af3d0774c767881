"""One training step of the transformer readout against the published step in plain PyTorch.

Both start from the same cached tokens and hold the same weights. The reference is written here
from the description of the published model, with what its public code does on every step:
`nn.MultiheadAttention` over projected tokens, every query of a hemisphere mapped to *all* vertices
of that hemisphere, an integer mask tiled over the batch that keeps those of its region, AdamW in
its default form. Ours is `neuroattn.encoding.attention_encoder.AttentionEncoder` with the loss and
the optimiser of the stage ``encode``.

FLOPs of one picture, T tokens of D channels, Q queries, V vertices, feed-forward F, forward:

    keys and values   4 T D^2             (folded: 4 T D H Q, and 2 Q D^2 of values)
    attention         4 T D Q             (folded: none)
    per query         (D^2 + 2 D F) 2 Q   (the reference projects its queries as well: + 2 Q D^2)
    vertices          2 V D             (reference: 2 V D Q / 2, every query of a hemisphere)

Tokens need no gradient, so the backward pass costs as much again for keys and values and twice
as much for the rest. Floor: these FLOPs at the speed of a float32 matrix product, and the bytes of
the optimiser (7 passes over the weights) at the speed of a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from benchmarks.harness import (
    AGAIN,
    Table,
    milliseconds,
    peak_mib,
    products,
    ratio,
    take_turns,
)
from neuroattn.encoding.attention import Architecture, folds
from neuroattn.encoding.attention_encoder import AttentionEncoder
from neuroattn.encoding.positions import sine_code
from neuroattn.encoding.queries import QueryTable, query_table
from neuroattn.encoding.registry import AttentionConfig, QueryKind
from neuroattn.encoding.trained import HemisphereLoss, hemispheres
from neuroattn.training.optimisers import build_optimiser

SIDES = ("lh", "rh")


@dataclass(frozen=True)
class Size:
    """One problem: published widths, tokens on a side, and vertices of both hemispheres."""

    side: int
    vertices: int = 39_548
    regions: int = 25
    dim: int = 768
    heads: int = 16
    hidden: int = 1024
    batch: int = 16

    @property
    def queries(self) -> int:
        """Of both hemispheres."""
        return 2 * self.regions

    def shared(self) -> float:
        """GFLOP of one picture that both must spend on queries and feed-forward, forward."""
        return 2e-9 * self.queries * (self.dim**2 + 2 * self.dim * self.hidden)

    def step(self, *, published: bool) -> float:
        """GFLOP of one step, counted as in the module's docstring."""
        tokens, dim, queries = self.side**2, self.dim, self.queries
        folded = not published and folds(dim, self.heads, queries, tokens)
        keys = 4e-9 * tokens * dim * (self.heads * queries if folded else dim)
        attention = 0 if folded else 4e-9 * tokens * dim * queries
        vertices = 2e-9 * self.vertices * dim * (queries / 2 if published else 1)
        asked = 2e-9 * queries * dim**2 if published or folded else 0
        return self.batch * (2 * keys + 3 * (attention + self.shared() + vertices + asked))


SIZES = {"961 tokens": Size(31), "256 tokens": Size(16)}
TINY = {"tiny": Size(4, vertices=60, regions=3, dim=32, heads=4, hidden=16, batch=2)}


class Published(nn.Module):
    """The published readout, region by region, in plain PyTorch (post-hoc masks and all).

    Parameters
    ----------
    ours : the readout whose weights it takes, so that both predict the same.
    regions : (vertices,) query of each vertex within its hemisphere.
    """

    def __init__(self, ours: AttentionEncoder, size: Size, regions: Tensor) -> None:
        super().__init__()
        self.size = size
        router = ours.router
        self.queries = nn.Parameter(router.queries.detach().clone())
        self.attention = nn.MultiheadAttention(size.dim, size.heads, batch_first=True)
        self.expand, self.contract = (
            nn.Linear(size.dim, size.hidden), nn.Linear(size.hidden, size.dim),
        )  # fmt: skip
        self.norms = nn.ModuleList(nn.LayerNorm(size.dim) for _ in range(3))
        half = size.vertices // 2
        self.heads = nn.ModuleList(nn.Linear(size.dim, half) for _ in SIDES)
        self.register_buffer("place", sine_code((size.side, size.side), size.dim))
        masks = torch.stack([regions == region for region in range(size.regions)]).long()
        self.register_buffer("mask", masks)  # regions x vertices of one hemisphere, as int64
        self._take(ours)

    def _take(self, ours: AttentionEncoder) -> None:
        router, attention = ours.router, self.attention
        parts = (router.attention.query, router.attention.key, router.attention.value)
        with torch.no_grad():
            attention.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
            attention.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
            attention.out_proj.load_state_dict(router.attention.out.state_dict())
            assert router.feed_forward is not None
            self.expand.load_state_dict(router.feed_forward.expand.state_dict())
            self.contract.load_state_dict(router.feed_forward.contract.state_dict())
            for mine, other in zip(
                self.norms, (router.norm_query, router.norm_hidden, router.norm_out), strict=True
            ):
                mine.load_state_dict(other.state_dict())
            half = self.size.vertices // 2
            weight, bias = (
                getattr(ours.readout, name)[ours.readout.place] for name in ("weight", "bias")
            )
            for index, head in enumerate(self.heads):
                rows = slice(index * half, (index + 1) * half)
                head.weight.copy_(weight[rows])
                head.bias.copy_(bias[rows])

    def forward(self, tokens: Tensor) -> Tensor:
        """Responses (images, vertices), left hemisphere first."""
        count = len(tokens)
        start = torch.zeros(count, *self.queries.shape)
        asked = self.norms[0](start) + self.queries
        out, _ = self.attention(asked, tokens + self.place, tokens)
        out = out + self.contract(torch.relu(self.expand(self.norms[1](out))))
        read = self.norms[2](out)
        parts = []
        for index, head in enumerate(self.heads):
            rows = slice(index * self.size.regions, (index + 1) * self.size.regions)
            everywhere = head(read[:, rows])  # images x regions x vertices
            tiled = self.mask.unsqueeze(0).repeat(count, 1, 1)
            parts.append((everywhere * tiled).sum(1))
        return torch.cat(parts, dim=1)


def world(size: Size) -> tuple[QueryTable, pd.DataFrame, Tensor]:
    """Queries, targets and the region of each vertex; region sizes are uneven, as real ones are."""
    half = size.vertices // 2
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(size.regions, 2.0))
    regions = np.sort(rng.choice(size.regions, half, p=shares))
    regions[: size.regions] = np.arange(size.regions)
    names = [f"R{region:02d}" for region in regions]
    targets = pd.DataFrame({"hemisphere": ["lh"] * half + ["rh"] * half, "rois": names * 2})
    wanted = [f"R{region:02d}" for region in range(size.regions)]
    return (
        query_table(targets, QueryKind.rois, rois=wanted),
        targets,
        torch.from_numpy(regions),
    )


@dataclass
class Contender:
    """A model with its optimiser, and the batch that it trains on."""

    model: nn.Module
    optimiser: torch.optim.Optimizer
    tokens: Tensor
    responses: Tensor
    loss: Callable[[nn.Module, Tensor, Tensor], Tensor]

    def step(self) -> None:
        """Forward, backward, clipped update."""
        self.optimiser.zero_grad()
        self.loss(self.model, self.tokens, self.responses).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 0.1)
        self.optimiser.step()

    def predict(self) -> Tensor:
        """Of the batch, without dropout."""
        self.model.eval()
        with torch.no_grad():
            out: Tensor = self.model(self.tokens)
        self.model.train()
        return out


class _Tokens(nn.Module):
    """The readout on tokens as the training loop hands them over."""

    def __init__(self, encoder: AttentionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, tokens: Any) -> Tensor:
        """From a tensor, or from the tokens of one layer."""
        out: Tensor = self.encoder(tokens["all"] if isinstance(tokens, dict) else tokens)
        return out


def contenders(size: Size) -> dict[str, Contender]:
    """Ours and the reference, with equal weights and one batch."""
    torch.manual_seed(0)
    table, targets, regions = world(size)
    sizes = Architecture(
        channels=size.dim, dim=size.dim, heads=size.heads, hidden=size.hidden, dropout=0.0
    )
    ours = AttentionEncoder(table, (size.side, size.side), sizes)
    tokens = torch.randn(size.batch, size.side**2, size.dim)
    responses = torch.randn(size.batch, size.vertices // 2 * 2)
    task, half = HemisphereLoss(hemispheres(targets)), size.vertices // 2

    def our_loss(model: nn.Module, tokens: Tensor, responses: Tensor) -> Tensor:
        return task.loss(model, {"tokens/all": tokens, "responses": responses})

    def published_loss(model: nn.Module, tokens: Tensor, responses: Tensor) -> Tensor:
        error = (model(tokens) - responses).square()
        return error[:, :half].mean() + error[:, half:].mean()

    published = Published(ours, size, regions)
    config = AttentionConfig().training.optimiser
    return {
        "neuroattn": Contender(
            _Tokens(ours), build_optimiser(ours, config), tokens, responses, our_loss
        ),
        "published step, plain PyTorch": Contender(
            published,
            torch.optim.AdamW(published.parameters(), lr=5e-4, weight_decay=1e-4),
            tokens, responses, published_loss,
        ),
    }  # fmt: skip


def backbone(size: Size) -> tuple[Callable[[], Tensor], float]:
    """One picture through DINOv2 ViT-B/14 of random weights, and its GFLOP.

    What an epoch costs more where tokens are not cached: the published loop computes them anew.
    """
    from transformers import Dinov2Config, Dinov2Model

    layers, tokens = (12 if size.dim == Size(1).dim else 1), size.side**2 + 1
    shape = Dinov2Config(
        hidden_size=size.dim, num_hidden_layers=layers, num_attention_heads=max(1, size.dim // 64),
        patch_size=14, image_size=14 * size.side,
    )  # fmt: skip
    network = Dinov2Model(shape).eval()
    picture = torch.randn(1, 3, 14 * size.side, 14 * size.side)

    def look() -> Tensor:
        with torch.no_grad():
            out: Tensor = network(picture).last_hidden_state
        return out

    flops = layers * (24 * tokens * size.dim**2 + 4 * tokens**2 * size.dim)
    return look, 1e-9 * flops


def stepping(which: str, name: str, tiny: bool) -> Callable[[], None]:
    """For the measurement of memory: two steps of one contender."""
    contender = contenders((TINY if tiny else SIZES)[name])[which]

    def steps() -> None:
        contender.step()
        contender.step()

    return steps


def speeds(count: int) -> dict[str, Callable[[], object]]:
    """`AGAIN` products of (count, count) and as many copies, into memory that is there."""
    table = torch.randn(8 * count**2)
    copy = torch.empty_like(table)

    def copies() -> None:
        for _ in range(AGAIN):
            copy.copy_(table)

    return {"product": products(count, count, count), "copy": copies}


def floor(size: Size, count: int, seconds: Mapping[str, float]) -> float:
    """Seconds of a step at the speed of the products and copies of `speeds`."""
    speed = AGAIN * 2e-9 * count**3 / seconds["product"]
    bandwidth = AGAIN * 2 * 4 * 8 * count**2 / seconds["copy"]
    parameters = (size.vertices + 4 * size.dim + 2 * size.hidden) * size.dim
    return size.step(published=False) / speed + 7 * 4 * parameters / bandwidth


def run(tiny: bool) -> Table:
    """Times, memory and largest difference of the predictions."""
    rows = []
    for name, size in (TINY if tiny else SIZES).items():
        both = contenders(size)
        first, second = (contender.predict() for contender in both.values())
        difference = float((first - second).abs().max())
        look, looked = backbone(size)
        count = 32 if tiny else 1024
        steps = {key: one.step for key, one in both.items()}
        taken = take_turns({**steps, "look": look, **speeds(count)}, 2 if tiny else 7)
        whole, least = size.batch * taken["look"], floor(size, count, taken)
        seconds = {key: taken[key] for key in steps}
        mine = seconds["neuroattn"]
        for key, each in seconds.items():
            memory = peak_mib("benchmarks.attention_step:stepping", key, name, tiny)
            flops = size.step(published=key != "neuroattn")
            rows.append(
                [name, key, f"{flops:.0f}", milliseconds(each), ratio(each, mine),
                 f"{memory:.0f} MiB", f"{difference:.0e}"]
            )  # fmt: skip
        rows.append(
            [name, "ours, and the backbone for each picture of the batch",
             f"{size.step(published=False) + size.batch * looked:.0f}", milliseconds(mine + whole),
             ratio(mine + whole, mine), "", ""]
        )  # fmt: skip
        rows.append(
            [name, "floor of ours", f"{size.step(published=False):.0f}", milliseconds(least),
             ratio(least, mine), "", ""]
        )  # fmt: skip
    return Table(
        title="One training step of the transformer readout, published sizes",
        columns=("tokens", "contender", "GFLOP", "median time", "relative to ours",
                 "memory added by two steps", "largest difference of predictions"),
        rows=rows,
        notes=(
            "50 queries, 16 heads, 768 channels, 39,548 vertices, batch 16, float32.",
            "Tokens are cached and in memory for both.",
            "All take turns with the product and the copy that the floor is counted from.",
            "The backbone is DINOv2 ViT-B/14 of random weights, forward alone, one picture timed.",
            "Memory: gradients, moments and activations; weights and the batch are there before.",
        ),
    )  # fmt: skip
