"""The decoder layer against PyTorch's own attention, against dense masks, and by its counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from neuroattn.encoding.attention import Architecture, Attention, Router, folds
from neuroattn.encoding.attention_encoder import AttentionEncoder, GroupedLinear
from neuroattn.encoding.positions import sine_code
from neuroattn.encoding.queries import QueryTable, query_table
from neuroattn.encoding.registry import Norm, Overlap, Place, QueryKind

NSD = {
    "prf-visualrois": 7, "floc-bodies": 4, "floc-faces": 5, "floc-places": 3, "floc-words": 5,
}  # fmt: skip


def attention(dim: int = 8, heads: int = 2) -> Attention:
    torch.manual_seed(0)
    made = Attention(dim, heads)
    for layer in (made.query, made.key, made.value, made.out):
        nn.init.normal_(layer.bias)
    return made


def reference(
    mine: Attention, queries: torch.Tensor, tokens: torch.Tensor, place: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """PyTorch's multi-head attention with the same weights."""
    theirs = nn.MultiheadAttention(mine.dim, mine.heads, batch_first=True)
    parts = (mine.query, mine.key, mine.value)
    theirs.in_proj_weight.data = torch.cat([part.weight.data for part in parts])
    theirs.in_proj_bias.data = torch.cat([part.bias.data for part in parts])
    theirs.out_proj.load_state_dict(mine.out.state_dict())
    keys = tokens if place is None else tokens + place
    asked = queries.expand(len(tokens), -1, -1)
    out, weights = theirs(asked, keys, tokens, average_attn_weights=False)
    return out, weights


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("coded", [False, True])
def test_folded_and_unfolded_are_multi_head_attention(heads: int, coded: bool) -> None:
    mine = attention(8, heads)
    queries, tokens = torch.randn(5, 8), torch.randn(3, 12, 8)
    place = sine_code((3, 4), 8) if coded else None
    out, weights = reference(mine, queries, tokens, place)
    for path in (mine._folded, mine._unfolded):
        torch.testing.assert_close(
            mine.out(path(queries, tokens, place, None)), out, rtol=1e-4, atol=1e-5
        )
    torch.testing.assert_close(mine.weights(queries, tokens, place), weights, rtol=1e-4, atol=1e-5)


def test_a_field_is_added_to_the_logits_in_both_paths() -> None:
    mine = attention()
    queries, tokens, field = torch.randn(5, 8), torch.randn(3, 12, 8), torch.randn(5, 12)
    folded = mine._folded(queries, tokens, None, field)
    torch.testing.assert_close(folded, mine._unfolded(queries, tokens, None, field))
    looks = mine.weights(queries, tokens, None, field)
    torch.testing.assert_close(looks.sum(-1), torch.ones(3, 2, 5))
    only = mine.weights(torch.zeros(5, 8), torch.zeros(3, 12, 8), None, field)
    torch.testing.assert_close(only, functional.softmax(field, -1).expand(3, 2, 5, 12))


def test_the_cheaper_path_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []
    for name in ("_folded", "_unfolded"):
        original = getattr(Attention, name)

        def spy(self, *arguments, name=name, original=original):  # type: ignore[no-untyped-def]
            taken.append(name)
            return original(self, *arguments)

        monkeypatch.setattr(Attention, name, spy)
    tokens = torch.randn(2, 4, 16)
    attention(16, 1)(torch.randn(4, 16), tokens)  # 4 < 20
    attention(16, 8)(torch.randn(4, 16), tokens)  # 32 > 20
    assert taken == ["_folded", "_unfolded"]


def overlapping() -> QueryTable:
    targets = pd.DataFrame({"hemisphere": "lh", "rois": ["A", "B", "A|B", "", "B|A", "A", "C", ""]})
    return query_table(targets, QueryKind.rois)


def test_groups_equal_a_dense_mask_with_overlaps_and_counted_biases() -> None:
    table = overlapping()
    torch.manual_seed(1)
    layer = GroupedLinear(table, 6)
    nn.init.normal_(layer.bias)
    read = torch.randn(4, len(table.names), 6)
    weight = torch.empty_like(layer.weight)
    bias = torch.empty_like(layer.bias)
    order = torch.from_numpy(table.order())
    weight[order], bias[order] = layer.weight.data, layer.bias.data
    mask = torch.from_numpy(table.groups[table.group])  # (targets, queries)
    every = torch.einsum("bqd,vd->bqv", read, weight) + bias
    torch.testing.assert_close(layer(read), torch.einsum("bqv,vq->bv", every, mask))


def test_two_regions_count_twice_or_once() -> None:
    table = overlapping()
    assert table.names == ("lh.A", "lh.B", "lh.C", "lh.rest")
    both = table.group[2]
    assert table.groups[both].tolist() == [1, 1, 0, 0]
    assert table.multiplicity[both] == 2
    targets = pd.DataFrame({"hemisphere": "lh", "rois": ["A", "A|B"]})
    mean = query_table(targets, QueryKind.rois, overlap=Overlap.mean)
    assert mean.groups[mean.group[1]].tolist() == [0.5, 0.5]
    assert mean.multiplicity[mean.group[1]] == 1


def subject_one() -> QueryTable:
    """24 regions and the rest in each hemisphere, 19,004 and 20,544 vertices."""
    frames = []
    for side, count in (("lh", 19004), ("rh", 20544)):
        names = [f"R{index}" for index in range(sum(NSD.values()))] + [""]
        rois = [names[index % len(names)] for index in range(count)]
        frames.append(pd.DataFrame({"hemisphere": side, "rois": rois}))
    return query_table(pd.concat(frames, ignore_index=True), QueryKind.rois)


def test_parameters_of_the_published_model() -> None:
    """Subject 1 of NSD, 50 queries, 768 channels: counted by hand from the paper's sizes."""
    table = subject_one()
    assert len(table.names) == 50
    assert [name for name in table.names if name.endswith("rest")] == [
        table.names[24], table.names[49],
    ]  # fmt: skip
    with torch.device("meta"):
        readout = nn.Linear(768, 39548)
        router = Router(50, (31, 31), Architecture(channels=768, dim=768, heads=16))
    counted = sum(p.numel() for p in router.parameters())
    linear = sum(p.numel() for p in readout.parameters())
    assert linear == 30_412_412
    assert counted + linear == 34_392_444
    small = AttentionEncoder(overlapping(), (2, 2), Architecture(channels=8, dim=8, heads=2))
    assert sum(p.numel() for p in small.readout.parameters()) == 8 * 8 + 8


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("place", list(Place))
def test_every_kind_trains_and_looks_sum_to_one(norm: Norm, place: Place) -> None:
    sizes = Architecture(channels=6, dim=8, heads=2, hidden=4, norm=norm, place=place)
    network = AttentionEncoder(overlapping(), (2, 3), sizes).eval()
    tokens = torch.randn(3, 6, 6)
    network(tokens).square().mean().backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]
    torch.testing.assert_close(network.looks(tokens).sum(-1), torch.ones(3, 2, 4))


def test_place_reaches_keys_and_not_values() -> None:
    """With equal tokens everywhere, whatever place routes to reads the same."""
    tokens = torch.randn(1, 1, 8).expand(1, 12, 8)
    mine, queries = attention(), torch.randn(3, 8)
    for path in (mine._folded, mine._unfolded):
        coded = path(queries, tokens, sine_code((3, 4), 8), None)
        torch.testing.assert_close(coded, path(queries, tokens, None, None))


def test_zero_queries_with_free_logits_are_a_factorised_readout() -> None:
    sizes = Architecture(
        channels=8, dim=8, heads=1, hidden=0, norm=Norm.none, place=Place.free, dropout=0.0
    )
    table = query_table(pd.DataFrame({"hemisphere": "", "rois": ["A", "B"]}), QueryKind.rois)
    network = AttentionEncoder(table, (3, 4), sizes)
    nn.init.zeros_(network.router.queries)
    assert network.router.field is not None
    nn.init.normal_(network.router.field)
    tokens = torch.randn(5, 12, 8)
    field = functional.softmax(network.router.field, -1)
    read = network.router.attention.out(
        network.router.attention.value(torch.einsum("qt,btd->bqd", field, tokens))
    )
    torch.testing.assert_close(network(tokens), network.readout(read))
    assert np.isfinite(network(tokens).detach().numpy()).all()


@pytest.mark.parametrize(
    ("queries", "tokens", "expected"),
    [
        (50, 961, True),  # 800 + 20 numbers a token beside 818: even, so what keeps less
        (50, 256, False),  # 800 + 75: values of 256 tokens are projected for less than of 50 x 16
        (46, 256, True),  # 736 + 69 beside 814
        (8, 256, True),
        (400, 961, False),
    ],
)
def test_queries_are_folded_where_that_is_cheaper(
    queries: int, tokens: int, expected: bool
) -> None:
    unfolded = 4 * tokens * 768**2 + 4 * tokens * 768 * queries
    folded = 4 * tokens * 768 * 16 * queries + 2 * 768**2 * queries
    assert folds(768, 16, queries, tokens) == expected == (folded < 1.01 * unfolded)
