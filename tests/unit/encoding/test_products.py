"""Hand-written gradients against autograd, numerically and on plain formulas."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from neuroattn.encoding.products import grouped, pool


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


def plain(asked: Tensor, tokens: Tensor, bias: Tensor) -> Tensor:
    return torch.softmax(asked @ tokens.mT + bias, dim=-1) @ tokens


@pytest.mark.parametrize("places", [5, 1])
def test_pooling_is_softmax_attention_and_so_are_all_its_gradients(places: int) -> None:
    torch.manual_seed(0)
    inputs = double(4, 3), double(2, 5, 3), double(4, places)
    above = torch.randn(2, 4, 3, dtype=torch.float64)
    ours, expected = pool(*inputs), plain(*inputs)
    torch.testing.assert_close(ours, expected, atol=1e-6, rtol=1e-6)  # softmax in float32
    got = torch.autograd.grad(ours, inputs, above)
    for mine, theirs in zip(got, torch.autograd.grad(expected, inputs, above), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


def test_pooling_without_gradients_gives_the_same() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(4, 3), torch.randn(2, 5, 3), torch.randn(4, 5)
    with_gradient = pool(inputs[0].requires_grad_(), *inputs[1:])
    with torch.no_grad():
        torch.testing.assert_close(pool(*inputs), with_gradient)


def test_frozen_tokens_get_no_gradient_and_cost_none() -> None:
    asked, tokens, bias = (
        torch.randn(4, 3).requires_grad_(),
        torch.randn(2, 5, 3),
        torch.zeros(4, 1),
    )
    pool(asked, tokens, bias).sum().backward()
    assert asked.grad is not None
    assert tokens.grad is None


def test_grouped_products_and_their_gradients_are_those_of_each_group() -> None:
    torch.manual_seed(0)
    sums, weight, sizes = double(3, 2, 4), double(6, 4), [2, 3, 1]
    assert torch.autograd.gradcheck(lambda s, w: grouped(s, w, sizes), (sums, weight))
    out = grouped(sums, weight, sizes)
    torch.testing.assert_close(out[:, 2:5], sums[1] @ weight[2:5].T)
