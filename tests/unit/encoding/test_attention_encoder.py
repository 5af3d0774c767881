"""Equal forms of the transformer readout, queries of single targets, and what memory holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from neuroattn.encoding import attention_encoder
from neuroattn.encoding.attention import Architecture, Router
from neuroattn.encoding.attention_encoder import AttentionEncoder
from neuroattn.encoding.queries import Asked, Free, Own, query_table
from neuroattn.encoding.registry import Mix, Norm, Place, QueryKind
from neuroattn.encoding.spatial_feature import SpatialFeature
from neuroattn.encoding.tokens import Shape
from neuroattn.encoding.trained_schemas import Mask

GRID, DIM = (3, 4), 8


def targets_of(*rois: str) -> pd.DataFrame:
    return pd.DataFrame({"hemisphere": "lh", "rois": list(rois)})


TARGETS = targets_of("A", "B", "A|B", "", "B", "A", "C")


def asked(kind: QueryKind, targets: pd.DataFrame = TARGETS) -> Asked:
    if kind is QueryKind.targets:
        return Own(len(targets), query_table(targets, QueryKind.rois))
    if kind is QueryKind.free:
        return Free(3, len(targets))
    return query_table(targets, kind)


def encoder(who: Asked, **keys: Any) -> AttentionEncoder:
    torch.manual_seed(0)
    sizes = {"channels": DIM, "dim": DIM, "heads": 2, "hidden": 4, "dropout": 0.0} | keys
    made = AttentionEncoder(who, GRID, Architecture(**sizes))
    nn.init.normal_(made.readout.bias)
    return made


def linear(who: Asked, place: Place) -> AttentionEncoder:
    """What a query attends to is read as it is: values and outputs are the identity."""
    made = encoder(who, heads=1, hidden=0, norm=Norm.none, place=place)
    for layer in (made.router.attention.value, made.router.attention.out):
        nn.init.eye_(layer.weight)
    nn.init.zeros_(made.router.queries)
    return made


def pictures(count: int = 5) -> Tensor:
    return torch.randn(count, GRID[0] * GRID[1], DIM, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", [QueryKind.targets, QueryKind.rois])
def test_zero_content_and_free_places_are_the_factorised_readout(kind: QueryKind) -> None:
    apart = targets_of("A", "B", "C", "A")
    made = linear(asked(kind, apart), Place.free)
    assert made.router.field is not None
    nn.init.normal_(made.router.field)
    table = query_table(apart, QueryKind.rois)
    owners = list(range(4)) if kind is QueryKind.targets else table.group.tolist()
    order = torch.arange(4) if kind is QueryKind.targets else torch.from_numpy(table.order())
    other = SpatialFeature(owners, Shape(GRID, DIM), Mask.softmax, 0.0)
    other.free.data = made.router.field.data
    other.weight.data[order], other.bias.data[order] = (
        made.readout.weight.data,
        made.readout.bias.data,
    )
    torch.testing.assert_close(made(pictures()), other({"x": pictures()}), atol=1e-5, rtol=1e-4)


def test_zero_queries_read_the_mean_over_a_picture() -> None:
    made = linear(asked(QueryKind.one), Place.none)
    mean = pictures().mean(1)
    order = torch.from_numpy(query_table(TARGETS, QueryKind.one).order())
    expected = (mean @ made.readout.weight.T + made.readout.bias)[:, torch.argsort(order)]
    torch.testing.assert_close(made(pictures()), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("place", [Place.none, Place.keys, Place.free])
@pytest.mark.parametrize("each", [False, True])
def test_fused_attention_is_the_explicit_one(place: Place, each: bool) -> None:
    made = encoder(asked(QueryKind.rois), place=place)
    attention, tokens = made.router.attention, pictures()
    if made.router.field is not None:
        nn.init.normal_(made.router.field)
    queries = made.router.asking()
    queries = queries.expand(len(tokens), -1, -1) * torch.rand(5, 1, 1) if each else queries
    where = made.router.place, made.router.field
    weights = attention.weights(queries, tokens, *where)
    values = attention.value(tokens).reshape(5, 12, 2, 4)
    explicit = torch.einsum("bhqt,bthk->bqhk", weights, values).flatten(2)
    fused = attention._unfolded(queries, tokens, *where)
    torch.testing.assert_close(fused, explicit, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("heads", [1, 4])  # folded, and not
@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize("place", [Place.keys, Place.free])
def test_chunks_are_the_whole_and_so_are_their_gradients(
    heads: int, depth: int, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = encoder(asked(QueryKind.targets), heads=heads, depth=depth, place=place)
    found = []
    for chunk in (100, 3, 1):
        monkeypatch.setattr(attention_encoder, "CHUNK", chunk)
        out = made(pictures())
        gradients = torch.autograd.grad(out.square().sum(), list(made.parameters()))
        found.append([out.detach(), made.looks(pictures()).detach(), *gradients])
    for other in found[1:]:
        for mine, whole in zip(other, found[0], strict=True):
            torch.testing.assert_close(mine, whole, atol=2e-5, rtol=1e-3)


def test_a_query_of_its_own_is_one_region_for_each_target() -> None:
    own = encoder(asked(QueryKind.targets))
    names = [f"R{index}" for index in range(len(TARGETS))]
    each = encoder(query_table(targets_of(*names), QueryKind.rois))
    each.load_state_dict({**own.state_dict()})
    torch.testing.assert_close(own(pictures()), each(pictures()), atol=1e-5, rtol=1e-4)
    maps = each.looks(pictures())
    regions = own.looks(pictures())
    shown = query_table(TARGETS, QueryKind.rois)
    for index, name in enumerate(shown.names):
        mean = maps[:, :, torch.from_numpy(shown.targets_of(name))].mean(2)
        torch.testing.assert_close(regions[:, :, index], mean, atol=1e-5, rtol=1e-4)


def test_free_queries_are_read_as_a_mixture_that_sums_to_one() -> None:
    made = encoder(Free(3, 7))
    nn.init.normal_(made.readout.choice)  # type: ignore[arg-type]
    read = made.router(pictures())
    mixture = torch.softmax(made.readout.choice, 1)  # type: ignore[call-overload]
    expected = torch.einsum("vq,bqd,vd->bv", mixture, read, made.readout.weight)
    torch.testing.assert_close(made(pictures()), expected + made.readout.bias, atol=1e-5, rtol=1e-4)


class Largest(TorchDispatchMode):
    """The largest tensor that anything makes."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, tuple | list) else [out]:
            if isinstance(one, Tensor):
                self.size = max(self.size, one.numel())
        return out


@pytest.mark.parametrize("kind", [QueryKind.rois, QueryKind.targets])
@pytest.mark.parametrize("heads", [1, 4])
def test_no_table_of_targets_or_queries_by_targets_is_made(kind: QueryKind, heads: int) -> None:
    count, queries, batch = 6000, 40, 2
    many = targets_of(*(f"R{index % queries}" for index in range(count)))
    made = encoder(asked(kind, many), heads=heads)
    with Largest() as largest:
        made(pictures(batch)).square().mean().backward()
    parameters = count * DIM
    assert largest.size <= max(parameters, batch * 256 * 3 * DIM * GRID[0] * GRID[1] // 4)
    assert largest.size < count * queries


def test_parameters_of_the_published_model_with_a_query_for_each_vertex() -> None:
    """67,140,028 as published, less 2,413,120 in modules that nothing ever uses.

    These are self-attention (4 x 768 x 769), its norm (2 x 768) and a projection (768 x 64 + 64).
    """
    dead = 4 * 768 * 769 + 2 * 768 + 768 * 64 + 64
    assert dead == 2_413_120
    with torch.device("meta"):
        router = Router(39548, (31, 31), Architecture(channels=768, dim=768, heads=16))
    counted = sum(p.numel() for p in router.parameters()) + 39548 * 769
    assert counted == 64_726_908 == 67_140_028 - dead


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("kind", [QueryKind.rois, QueryKind.targets, QueryKind.free])
def test_layers_of_the_decoder_stack_on_what_was_found(norm: Norm, kind: QueryKind) -> None:
    made = encoder(asked(kind), depth=3, norm=norm)
    router, tokens = made.router, pictures()
    made(tokens).square().mean().backward()
    assert not [name for name, p in made.named_parameters() if p.grad is None]
    first = router.goes_on(router.attention(router.asking(), tokens, router.place), None)
    second = router.stack[1]
    asked_then = second.asks(router.queries, first)
    then = second.goes_on(second.attention(asked_then, tokens, router.place), first)
    third = router.stack[2]
    last = third.asks(router.queries, then)
    whole = router.norm_out(third.goes_on(third.attention(last, tokens, router.place), then))
    torch.testing.assert_close(router(tokens), whole, atol=1e-5, rtol=1e-4)
    looks = third.attention.weights(last, tokens, router.place)
    torch.testing.assert_close(router.looks(tokens), looks, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(looks.sum(-1), torch.ones_like(looks.sum(-1)))


@pytest.mark.parametrize("mix", [Mix.learned, Mix.per_target])
@pytest.mark.parametrize("kind", [QueryKind.rois, QueryKind.targets, QueryKind.free])
def test_a_mixture_of_copies_of_a_layer_is_that_layer(mix: Mix, kind: QueryKind) -> None:
    """Weights over layers sum to one, whatever they are."""
    one = encoder(asked(kind))
    made = encoder(asked(kind), mix=mix, layers=(DIM, DIM, DIM))
    made.load_state_dict(one.state_dict(), strict=False)
    chosen: Any = made.choice if mix is Mix.per_target else made.project.choice
    nn.init.normal_(chosen)
    copies = [pictures()] * 3
    torch.testing.assert_close(made(copies), one(pictures()), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(made.looks(copies), one.looks(pictures()), atol=1e-5, rtol=1e-4)
    shares = made.shares()
    assert shares is not None
    assert shares.shape == (len(TARGETS), 3)


def test_a_target_reads_the_layer_that_it_chooses() -> None:
    made = encoder(asked(QueryKind.rois), mix=Mix.per_target, layers=(DIM, 5))
    assert made.choice is not None
    early, late = pictures(), torch.randn(5, 12, 5)
    with torch.no_grad():
        made.choice[0], made.choice[1] = torch.tensor([50.0, 0]), torch.tensor([0, 50.0])
    before, changed = made([early, late]), made([early, torch.randn(5, 12, 5)])
    torch.testing.assert_close(before[:, 0], changed[:, 0])
    assert not torch.allclose(before[:, 1], changed[:, 1])


def test_the_map_of_a_region_weighs_layers_by_what_its_targets_choose() -> None:
    made = encoder(asked(QueryKind.rois), mix=Mix.per_target, layers=(DIM, DIM))
    assert made.choice is not None
    nn.init.normal_(made.choice)
    both = [pictures(), pictures().flip(1)]
    looks, shares = made.looks(both), made.shares()
    assert shares is not None
    table = query_table(TARGETS, QueryKind.rois)
    parts = [made.router.looks(one) for one in both]
    for index, name in enumerate(table.names):
        share = shares[torch.from_numpy(table.targets_of(name))].mean(0)
        expected = sum(s * part[:, :, index] for s, part in zip(share, parts, strict=True))
        torch.testing.assert_close(looks[:, :, index], expected, atol=1e-5, rtol=1e-4)
    np.testing.assert_allclose(looks.sum(-1).detach(), 1, rtol=1e-5)
