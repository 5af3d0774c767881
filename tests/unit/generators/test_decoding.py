from __future__ import annotations

import torch
from torch import Tensor

from neuroattn.generators.decoding import Bounds, beam, greedy

START, A, B, END = range(4)
BOUNDS = Bounds(START, END, 5)


def _trap(rows: Tensor, told: Tensor) -> Tensor:
    """A looks best at first and leads nowhere; B is followed by a certain end."""
    table = {
        START: [0, 0.6, 0.4, 0],
        A: [0, 0.4, 0.3, 0.3],
        B: [0, 0, 0.05, 0.95],
        END: [0, 0, 0, 1],
    }
    return torch.log(torch.tensor([table[int(row[-1])] for row in told]))


def test_greedy_takes_the_likeliest_word_and_stops_at_the_length() -> None:
    assert greedy(_trap, 2, BOUNDS) == [[START, A, A, A, A]] * 2


def test_beams_find_the_likelier_sentence() -> None:
    assert beam(_trap, 1, BOUNDS, 3) == [[START, B, END]]


def test_greedy_pads_with_the_end_what_ended_first() -> None:
    def following(rows: Tensor, told: Tensor) -> Tensor:
        ends = told.shape[1] > rows  # caption n ends after n words
        word = torch.where(ends, END, A)
        return torch.nn.functional.one_hot(word, 4).float()

    told = greedy(following, 3, BOUNDS)
    assert [row[: row.index(END) + 1] for row in told] == [[0, 3], [0, 1, 3], [0, 1, 1, 3]]
    assert told[0][1:] == [END] * (len(told[0]) - 1)
