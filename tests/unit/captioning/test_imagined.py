"""Captions made pictures, judged: with a painter and a judge that are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from neuroattn.captioning.imagined import (
    CAPTION,
    RANDOM,
    SHUFFLED,
    TOP,
    FromSpace,
    activations,
    pictures_of,
    summary,
)
from neuroattn.core.errors import DataError

WORDS = ("red", "green", "blue")


def paint(captions: Sequence[str], seeds: Sequence[int]) -> Tensor:
    """A picture of the colour that the caption names, with noise of its seed."""
    rows = []
    for caption, seed in zip(captions, seeds, strict=True):
        noise = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(seed))
        colour = torch.tensor([float(word in caption) for word in WORDS])
        rows.append((0.9 * colour[:, None, None] + 0.1 * noise).clamp(0, 1))
    return torch.stack(rows)


def judge(pixels: Tensor) -> Tensor:
    """A target for each channel, twice."""
    mean = pixels.mean(dim=(2, 3))
    return torch.cat([mean, mean], dim=1)


CAPTIONS = [f"A {word} thing." for word in (*WORDS, *WORDS)]
NATURAL = np.random.default_rng(0).random((50, 6)) * 0.7


def test_true_captions_drive_their_targets_and_those_of_others_do_not() -> None:
    table = activations(CAPTIONS, NATURAL, judge, paint, each=3, top=3)
    mean = table.groupby("set")["activation"].mean()
    assert mean[CAPTION] > mean[TOP] > mean[RANDOM] > mean[SHUFFLED]
    told = summary(table, draws=100).set_index("set")
    assert told.loc[CAPTION, "over_low"] > 0 > told.loc[SHUFFLED, "over_high"]
    assert told.loc[RANDOM, "over_random"] == 0


def test_a_picture_depends_on_its_caption_and_number_alone() -> None:
    alone = dict(pictures_of(CAPTIONS[1:2], paint, each=2, group=2))
    among = dict(pictures_of(CAPTIONS, paint, each=2, group=5))
    assert torch.equal(alone[CAPTIONS[1]], among[CAPTIONS[1]])
    assert len(among) == 3  # each different caption once
    assert not torch.equal(among[CAPTIONS[0]][0], among[CAPTIONS[0]][1])


def test_other_sets_stand_beside() -> None:
    table = activations(CAPTIONS, NATURAL, judge, paint, others={"guided": np.full(6, 0.8)})
    assert table[table["set"] == "guided"]["activation"].tolist() == [0.8] * 6


def test_a_generator_of_the_space_is_driven_by_text() -> None:
    class Space:
        def encode_text(self, captions: list[str]) -> Tensor:
            return torch.tensor([[float(word in one) for word in WORDS] for one in captions])

    class Generator:
        def sample(self, given: Tensor, *, seeds: list[int], steps: int, guidance: float) -> Tensor:
            assert (len(seeds), steps, guidance) == (len(given), 7, 1.5)
            return 3 * given[:, :, None, None].expand(-1, -1, 2, 2)

    made = FromSpace(Space(), Generator(), steps=7, guidance=1.5)(["red", "blue"], [0, 1])
    assert made.max() == 1
    assert made[:, :, 0, 0].tolist() == [[1, 0, 0], [0, 0, 1]]


def test_a_judge_of_other_targets_is_refused() -> None:
    with pytest.raises(DataError, match="judge"):
        activations(CAPTIONS[:3], NATURAL[:, :3], judge, paint)
    with pytest.raises(DataError, match="natural"):
        activations(CAPTIONS, NATURAL[:, :3], judge, paint)
