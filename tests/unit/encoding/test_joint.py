"""Responses of several subjects as one table that is never made, and a loss over what was seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from neuroattn.encoding.joint import (
    SeenCorrelation,
    SeenScores,
    SubjectResponses,
    batch_of,
    masked_sum,
    together,
)
from neuroattn.encoding.trained import HemisphereLoss, response_statistics
from neuroattn.stats.correlation import pearson

RNG = np.random.default_rng(0)
FIRST = (np.array([4, 5, 7]), RNG.normal(size=(3, 2)).astype(np.float32))
SECOND = (np.array([1, 5]), RNG.normal(size=(2, 3)).astype(np.float32))
NAN = np.nan


def dense(merge: bool) -> Any:
    if not merge:
        table = np.full((5, 5), NAN, np.float32)
        table[:3, :2], table[3:, 2:] = FIRST[1], SECOND[1]
        return table
    table = np.full((4, 5), NAN, np.float32)
    table[[1, 2, 3], :2], table[[0, 2], 2:] = FIRST[1], SECOND[1]
    return table


@pytest.mark.parametrize("merge", [True, False])
def test_it_is_the_table_with_gaps(merge: bool) -> None:
    images, responses = together([FIRST, SECOND], merge=merge)
    table = dense(merge)
    assert images.tolist() == ([1, 4, 5, 7] if merge else [4, 5, 7, 1, 5])
    assert responses.shape == table.shape
    np.testing.assert_array_equal(np.asarray(responses), table)
    rows = np.array([2, 0, 2])
    np.testing.assert_array_equal(np.asarray(responses[rows]), table[rows])
    mask = np.arange(len(table)) != 1
    np.testing.assert_array_equal(np.asarray(responses[mask]), table[mask])
    mean, sd = response_statistics(responses)
    np.testing.assert_allclose(mean, np.nanmean(table, axis=0), rtol=1e-6)
    np.testing.assert_allclose(sd, np.nanstd(table, axis=0), rtol=1e-5)
    batch = batch_of(responses, mean, sd)
    scaled = np.where(batch["seen"], batch["responses"], NAN)
    np.testing.assert_allclose(scaled, (table - mean) / sd, rtol=1e-5)


class AsItIs(torch.nn.Module):
    """Its only tokens."""

    def forward(self, tokens: dict[str, torch.Tensor]) -> torch.Tensor:
        return tokens["a"]


def batch(guess: Any, responses: Any) -> dict[str, torch.Tensor]:
    return {"tokens/a": torch.from_numpy(guess), **batch_of(responses)}


def test_the_masked_loss_is_that_of_each_subject_alone() -> None:
    _, responses = together([FIRST, SECOND], merge=False)
    guess = RNG.normal(size=(5, 5)).astype(np.float32)
    task = HemisphereLoss((torch.tensor([0, 2, 3]), torch.tensor([1, 4])))
    tokens = torch.from_numpy(guess).requires_grad_()
    whole = {**batch(guess, responses), "tokens/a": tokens}
    loss = task.loss(AsItIs(), whole)
    first = HemisphereLoss((torch.tensor([0]), torch.tensor([1])))
    second = HemisphereLoss((torch.tensor([0, 1]), torch.tensor([2])))
    alone = [
        first.loss(AsItIs(), batch(guess[:3, :2], FIRST[1])),
        second.loss(AsItIs(), batch(guess[3:, 2:], SECOND[1])),
    ]
    for task_, rows, expected in ((first, slice(0, 3), alone[0]), (second, slice(3, 5), alone[1])):
        del task_
        part = batch(guess[rows], responses[np.arange(5)[rows]])
        assert float(task.loss(AsItIs(), part)) == pytest.approx(float(expected), rel=1e-6)
    # Left: 3 of the first and 4 of the second; right: 3 and 2.
    sides = [
        (task.columns[0], (3 * (guess[:3, 0] - FIRST[1][:, 0]) ** 2).mean()
         + ((guess[3:, 2:4] - SECOND[1][:, :2]) ** 2).sum(), 7),
        (task.columns[1], ((guess[:3, 1] - FIRST[1][:, 1]) ** 2).sum()
         + ((guess[3:, 4] - SECOND[1][:, 2]) ** 2).sum(), 5),
    ]  # fmt: skip
    assert loss.item() == pytest.approx(sum(total / n for _, total, n in sides), rel=1e-5)
    loss.backward()
    assert tokens.grad is not None
    np.testing.assert_array_equal(tokens.grad.numpy() != 0, np.isfinite(np.asarray(responses)))


def test_what_nobody_saw_adds_nothing() -> None:
    error = torch.ones(2, 2, requires_grad=True)
    loss = masked_sum(
        error, torch.tensor([[True, False]] * 2), [torch.tensor([0]), torch.tensor([1])]
    )
    loss.backward()
    assert loss.item() == 1
    assert error.grad is not None
    assert error.grad.tolist() == [[0.5, 0], [0.5, 0]]


def test_correlation_over_what_was_seen_batch_by_batch() -> None:
    measured = RNG.normal(size=(40, 4)).astype(np.float32)
    predicted = (measured + RNG.normal(size=measured.shape)).astype(np.float32)
    seen = np.ones_like(measured, dtype=bool)
    seen[:15, 1], seen[1:, 2], predicted[:, 3] = False, False, 2.0
    found, scores = SeenCorrelation(4), SeenScores()
    for rows in (slice(0, 7), slice(7, 40)):
        found.add(predicted[rows], np.where(seen, measured, NAN)[rows], seen[rows])
        tensors = (torch.from_numpy(table[rows]) for table in (predicted, measured, seen))
        scores.add(*tensors)
    r = found.r()
    assert r[0] == pytest.approx(pearson(predicted, measured)[0])
    assert r[1] == pytest.approx(pearson(predicted[15:], measured[15:])[1])
    assert np.isnan(r[2:]).all()
    assert scores.scores()["r"] == pytest.approx(r[:2].mean())
    error = ((predicted - measured) ** 2)[seen].mean()
    assert scores.scores()["loss"] == pytest.approx(error, rel=1e-5)


def test_one_image_has_no_correlation_that_could_choose() -> None:
    scores = SeenScores()
    scores.add(torch.ones(1, 2), torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool))
    assert np.isnan(scores.scores()["r"]), "0 would call every epoch equal"


def test_one_subject_stays_a_plain_batch() -> None:
    plain = batch_of(FIRST[1])
    assert list(plain) == ["responses"]
    _, responses = together([FIRST, SECOND], merge=True)
    assert isinstance(responses, SubjectResponses)
    assert set(batch_of(responses)) == {"responses", "seen"}
