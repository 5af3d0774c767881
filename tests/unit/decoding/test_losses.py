"""Losses: closed values, symmetries, gradients, and the bugs of public code."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from neuroattn.decoding import losses

SCALES = [(0.0, 2.772589), (5.0, 0.0962817), (10.0, 0.00068077)]


def some(rows: int, dim: int, seed: int = 0) -> Tensor:
    return losses.unit(torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed)))


def plain(brains: Tensor, images: Tensor, scale: float = 5.0) -> Tensor:
    return losses.info_nce(scale * brains @ images.T, torch.arange(len(brains)))


@pytest.mark.parametrize(("scale", "expected"), SCALES)
def test_orthonormal_pairs_have_a_closed_value(scale: float, expected: float) -> None:
    found = plain(torch.eye(16), torch.eye(16), scale)
    assert float(found) == pytest.approx(math.log(1 + 15 * math.exp(-scale)), rel=1e-4)
    assert float(found) == pytest.approx(expected, rel=1e-4)


def test_neither_order_nor_the_names_of_the_sides_matter() -> None:
    brains, images = some(7, 5), some(7, 5, 1)
    order = torch.randperm(7, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(plain(brains, images), plain(brains[order], images[order]))
    torch.testing.assert_close(plain(brains, images), plain(images, brains))


def test_gradients_match_finite_differences() -> None:
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    column = torch.tensor([0, 1, 2, 3, 1])

    def loss(values: Tensor) -> Tensor:
        return losses.info_nce(values, column)

    loss(logits).backward()
    step = 1e-5
    for row, place in ((0, 1), (4, 1), (1, 1), (3, 3)):
        moved = torch.zeros_like(logits)
        moved[row, place] = step
        slope = (loss(logits.detach() + moved) - loss(logits.detach() - moved)) / (2 * step)
        assert float(logits.grad[row, place]) == pytest.approx(float(slope), abs=1e-8)


def test_repeats_of_an_image_are_nobodys_negatives() -> None:
    """Three perfect repeats beside one other image cost what one of them costs: nothing."""
    images = torch.eye(2)
    column = torch.tensor([0, 0, 0, 1])
    assert float(losses.info_nce(60 * images[column] @ images.T, column)) < 1e-6


def test_the_order_of_repeats_does_not_matter() -> None:
    brains, images = some(6, 5), some(3, 5, 1)
    column = torch.tensor([0, 0, 1, 1, 2, 2])
    swapped = torch.tensor([1, 0, 2, 3, 5, 4])
    first = losses.info_nce(5 * brains @ images.T, column)
    again = losses.info_nce(5 * brains[swapped] @ images.T, column[swapped])
    torch.testing.assert_close(first, again)


def test_distinct_images_are_found_with_their_first_rows() -> None:
    first, column = losses.distinct(torch.tensor([7, 3, 7, 9, 3]))
    assert first.tolist() == [1, 0, 3]
    assert column.tolist() == [1, 0, 1, 2, 0]


@pytest.mark.parametrize(
    "partner", [[0, 1, 2, 3], [1, 0, 3, 2], [1, 2, 3, 0], [0, 2, 1, 3]], ids=str
)
def test_mixed_targets_sum_to_one_for_every_pairing(partner: list[int]) -> None:
    share = torch.tensor([0.3, 0.9, 0.5, 0.0])
    for column in (torch.arange(4), torch.tensor([0, 0, 1, 2])):
        target = losses.mixed_targets(column, torch.tensor(partner), share, 4)
        torch.testing.assert_close(target.sum(1), torch.ones(4))


def test_without_mixing_bimixco_is_info_nce() -> None:
    logits = 5 * some(6, 4) @ some(6, 4, 1).T
    column, partner = torch.arange(6), torch.tensor([3, 4, 5, 0, 1, 2])
    found = losses.bimixco(logits, column, partner, torch.ones(6))
    torch.testing.assert_close(found, losses.info_nce(logits, column))


def test_a_half_mixed_brain_wants_both_images_alike() -> None:
    column, partner = torch.arange(2), torch.tensor([1, 0])
    half = torch.full((2,), 0.5)
    even = losses.bimixco(torch.zeros(2, 2), column, partner, half)
    leaning = losses.bimixco(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), column, partner, half)
    assert float(even) == pytest.approx(math.log(2))
    assert leaning > even


def test_a_perfect_soft_prediction_costs_the_entropy_of_its_teacher() -> None:
    images = some(8, 5)
    logits = images @ images.T / 0.1
    teacher = logits.softmax(1)
    entropy = -(teacher * teacher.log()).sum(1).mean()
    torch.testing.assert_close(losses.soft_clip(logits, images, torch.arange(8), 0.1), entropy)


def test_a_cold_teacher_is_info_nce() -> None:
    images, brains = some(8, 5), some(8, 5, 1)
    logits, column = 5 * brains @ images.T, torch.arange(8)
    cold = losses.soft_clip(logits, images, column, 1e-4)
    torch.testing.assert_close(cold, losses.info_nce(logits, column))


def test_soft_targets_of_any_length_are_refused() -> None:
    with pytest.raises(ValueError, match="length 1"):
        losses.soft_clip(torch.zeros(3, 3), 2 * some(3, 4), torch.arange(3), 0.1)


def test_siglip_counts_every_pair_by_itself() -> None:
    logits, column = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    found = losses.siglip(logits, column, torch.tensor(0.0))
    assert float(found) == pytest.approx(2 * math.log(2))
    sure = 50 * (2 * losses.one_hot(column, 2) - 1)
    assert float(losses.siglip(sure, column, torch.tensor(0.0))) < 1e-6


def test_cosine_and_squared_error_are_zero_for_the_same() -> None:
    values = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert float(losses.cosine_loss(2 * values, values)) == pytest.approx(0, abs=1e-6)
    assert float(losses.cosine_loss(-values, values)) == pytest.approx(2, abs=1e-6)
    assert float(losses.l2_loss(values + 1, values)) == pytest.approx(1, abs=1e-6)


def test_the_scale_has_a_limit() -> None:
    assert float(losses.clamped_scale(torch.tensor(50.0), 100.0)) == pytest.approx(100)
    assert float(losses.clamped_scale(torch.tensor(0.0), 100.0)) == 1.0


@pytest.mark.parametrize(("pull", "passes"), [(1.0, True), (-1.0, False)])
def test_at_its_limit_the_scale_can_only_fall(pull: float, passes: bool) -> None:
    log_scale = torch.tensor(5.0, requires_grad=True)
    (pull * losses.clamped_scale(log_scale, 100.0)).backward()
    assert bool(log_scale.grad > 0) is passes
    assert bool(log_scale.grad == 0) is not passes


def test_the_temperature_rises_along_half_a_cosine() -> None:
    path = [losses.soft_temperature(x, 0.004, 0.0075) for x in (0.0, 0.5, 1.0)]
    assert path == pytest.approx([0.004, 0.00575, 0.0075])


def test_extreme_logits_stay_finite() -> None:
    logits = torch.tensor([[200.0, -200.0], [200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    loss = losses.info_nce(logits, torch.tensor([0, 1, 1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
