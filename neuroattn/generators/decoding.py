"""From a language model to sentences: the likeliest next word, or the best of several paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

#: (rows of captions, words so far) -> log-probabilities of the next word (captions, words).
Following = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Bounds:
    """First and last token of a caption, and the most tokens it may have."""

    start: int
    end: int
    length: int


def greedy(following: Following, count: int, bounds: Bounds) -> list[list[int]]:
    """The likeliest word at each step, for ``count`` captions of at most ``length`` tokens."""
    rows, told = torch.arange(count), torch.full((count, 1), bounds.start)
    finished = torch.zeros(count, dtype=torch.bool)
    while told.shape[1] < bounds.length and not bool(finished.all()):
        word = following(rows, told).argmax(dim=-1).cpu()
        word = torch.where(finished, bounds.end, word)
        told = torch.cat([told, word[:, None]], dim=1)
        finished |= word == bounds.end
    return [row.tolist() for row in told]


def beam(following: Following, count: int, bounds: Bounds, beams: int) -> list[list[int]]:
    """Of ``beams`` paths kept at each step, the one with the highest mean log-probability."""
    return [_search(following, row, bounds, beams) for row in range(count)]


def _search(following: Following, row: int, bounds: Bounds, beams: int) -> list[int]:
    told, score = torch.full((1, 1), bounds.start), torch.zeros(1)
    ended: list[tuple[float, list[int]]] = []
    while told.shape[1] < bounds.length and len(told):
        gain = following(torch.full((len(told),), row), told).cpu()
        best = (score[:, None] + gain).flatten().topk(min(2 * beams, gain.numel()))
        path, word = best.indices // gain.shape[1], best.indices % gain.shape[1]
        longer = torch.cat([told[path], word[:, None]], dim=1)
        over = (word == bounds.end) & torch.isfinite(best.values)
        ended += [
            (float(value) / (longer.shape[1] - 1), tokens.tolist())
            for value, tokens in zip(best.values[over], longer[over], strict=True)
        ]
        more = (~over & torch.isfinite(best.values)).nonzero().flatten()
        more = more[: max(0, beams - len(ended))]  # a path that ended keeps its place
        told, score = longer[more], best.values[more]
    ended += [
        (float(value) / (tokens.numel() - 1), tokens.tolist())
        for value, tokens in zip(score, told, strict=True)
    ]
    return max(ended)[1]
