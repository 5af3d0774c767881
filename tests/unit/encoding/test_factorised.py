"""Masks times features: the product, its gradients, and the geometry of masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroattn.encoding import factorised as module
from neuroattn.encoding.factorised import factorised
from neuroattn.encoding.fields import centres, gaussian_masks, point_masks, summary


def double(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("chunk", [2, 100])
def test_chunks_change_neither_values_nor_gradients(
    chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    torch.manual_seed(0)
    masks, weights, tokens = double(5, 4), double(5, 3), double(2, 4, 3)
    expected = torch.einsum("vt,btc,vc->bv", masks, tokens, weights)
    torch.testing.assert_close(factorised(masks, weights, tokens), expected)
    assert torch.autograd.gradcheck(factorised, (masks, weights, tokens))


def test_frozen_tokens_cost_no_gradient() -> None:
    masks, weights, tokens = torch.randn(5, 4), torch.randn(5, 3), torch.randn(2, 4, 3)
    factorised(masks.requires_grad_(), weights.requires_grad_(), tokens).sum().backward()
    assert masks.grad is not None
    assert tokens.grad is None


def test_cells_run_row_by_row_from_the_upper_left() -> None:
    places = centres((2, 4))
    assert places[0].tolist() == [-0.75, -0.5]
    assert places[1].tolist() == [-0.25, -0.5], "the next cell is to the right"
    assert places[4].tolist() == [-0.75, 0.5], "then comes the row below"


def test_a_gaussian_peaks_at_its_place_and_sums_to_one() -> None:
    grid = (5, 7)
    place = centres(grid)[[3, 33]]
    masks = gaussian_masks(place, torch.tensor([0.1, 0.3]), grid)
    assert masks.argmax(1).tolist() == [3, 33]
    torch.testing.assert_close(masks.sum(1), torch.ones(2))


def test_a_point_on_a_cell_reads_that_cell_and_between_two_reads_both() -> None:
    grid = (3, 3)
    on = point_masks(centres(grid), grid)
    torch.testing.assert_close(on, torch.eye(9))
    between = point_masks(torch.tensor([[-1 / 3, 0.0]]), grid)[0]
    torch.testing.assert_close(between[[3, 4]], torch.tensor([0.5, 0.5]))
    outside = point_masks(torch.tensor([[9.0, -9.0]]), grid)[0]
    assert outside.argmax() == 2, "right of and above the picture its corner is read"
    assert outside.sum() == 1


def test_the_centre_and_spread_of_a_field_come_back() -> None:
    grid = (40, 40)
    place, size = torch.tensor([[0.2, -0.1]]), torch.tensor([0.15])
    found = summary(gaussian_masks(place, size, grid), grid)[0]
    np.testing.assert_allclose(found, [0.2, -0.1, 0.15], atol=0.01)
    assert summary(torch.zeros(1, 1600), grid).isnan().all(), "no weight has no place"
