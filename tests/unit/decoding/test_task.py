"""The training task on a decoder whose outputs are known: what mixing and the bank mean to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from neuroattn.decoding.decoder_schemas import LossConfig, LossKind
from neuroattn.decoding.network import DecoderNetwork, Encoder
from neuroattn.decoding.network_schemas import RidgeMlpConfig
from neuroattn.decoding.prior import Bank, Plain
from neuroattn.decoding.task import DecodingTask, Whole
from tests.unit.decoding.side import DIM, Store, space_of

ROWS = 6
PARTNER = torch.tensor([3, 0, 5, 1, 2, 4])


class Told(Plain):
    """Keeps what it is told."""

    def __init__(self, bank: Bank) -> None:
        super().__init__(bank)
        self.told: list[tuple[Tensor, Tensor]] = []

    def observe(self, rows: Tensor, similarities: Tensor) -> None:
        self.told.append((rows, similarities))


class Perfect(Encoder):
    """Brains that are the embeddings of their pictures."""

    width = DIM

    def first(self, subject: int, inputs: Tensor) -> Tensor:
        return inputs

    def rest(self, hidden: Tensor) -> Tensor:
        return hidden


def perfect(shares: tuple[float, ...] = (1.0,), **loss: Any) -> tuple[DecodingTask, Told, Tensor]:
    """A task whose decoder is perfect, its prior, and the brains of images 0 to 5."""
    space = space_of(Store(ROWS), shares)
    prior = Told(Bank(space, np.arange(ROWS), np.zeros(ROWS, np.int64)))
    config = RidgeMlpConfig(loss=LossConfig(**loss))
    encoder = Perfect()
    encoder.width = space.dim
    network = DecoderNetwork(encoder, space.dim, len(shares), config, prior)
    network.head = nn.Identity()
    task = DecodingTask(network.train(), config.loss, space.slices, space.shares, 4)
    return task, prior, prior.targets_for(torch.arange(ROWS))


def batch(brains: Tensor, share: Tensor) -> dict[str, Tensor]:
    rows = torch.arange(ROWS)
    return {"input-0": brains, "image": rows, "row": rows, "partner": PARTNER, "share": share}


SHARES = [torch.zeros(ROWS), torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0, 0.7])]


@pytest.mark.parametrize("share", SHARES, ids=["partner alone", "both"])
@pytest.mark.parametrize("weights", [{"cosine": 1.0}, {"l2": 1.0}], ids=str)
def test_a_perfect_decoder_of_mixed_brains_costs_nothing(
    share: Tensor, weights: dict[str, float]
) -> None:
    task, _, brains = perfect((0.75, 0.25), contrastive=0.0, mixco_until=1.0, **weights)
    assert task.network.mixing
    assert float(task.loss(task.network, batch(brains, share))) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", [{"kind": LossKind.bimixco}, {"mixco_until": 1.0}], ids=str)
def test_a_prior_is_told_of_the_trials_that_are_not_mixed(loss: dict[str, Any]) -> None:
    task, prior, brains = perfect(**loss)
    share = torch.tensor([1.0, 0.3, 1.0, 0.0, 0.9, 1.0])
    task.loss(task.network, batch(brains, share))
    assert [rows.tolist() for rows, _ in prior.told] == [[0, 2, 5]]
    torch.testing.assert_close(prior.told[0][1], torch.ones(3))


def test_the_bank_goes_where_the_brains_are() -> None:
    task, _, brains = perfect()
    bank = Whole(torch.arange(ROWS), brains)
    beside = DecodingTask(task.network, task.config, task.slices, task.shares, 4, bank)
    images = torch.arange(2, device="meta")
    for _ in range(2):
        table, inside = beside._others(images, slice(0, DIM))  # type: ignore[misc]
        assert {table.device.type, inside.device.type, bank.table.device.type} == {"meta"}
