"""The search for the best sentence as one writes it first: no cache, one caption at a time.

The caption of `neuroattn.generators.decoding` must be this one, word for word.
"""

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


def beam(following: Following, count: int, bounds: Bounds, beams: int) -> list[list[int]]:
    """Of ``beams`` paths kept at each step, the one with the highest mean log-probability.

    A path ends where its end is among the best ``beams`` continuations. The search stops when so
    many have ended and no open path is better than the worst of them.
    """
    return [_search(following, row, bounds, beams) for row in range(count)]


def _search(following: Following, row: int, bounds: Bounds, beams: int) -> list[int]:
    told, score = torch.full((1, 1), bounds.start), torch.zeros(1)
    ended: list[tuple[float, list[int]]] = []
    while told.shape[1] < bounds.length and len(told):
        gain = following(torch.full((len(told),), row), told).cpu()
        best = (score[:, None] + gain).flatten().topk(min(2 * beams, gain.numel()))
        path, word = best.indices // gain.shape[1], best.indices % gain.shape[1]
        longer = torch.cat([told[path], word[:, None]], dim=1)
        alive = torch.isfinite(best.values)
        over = (word == bounds.end) & alive
        ended += [
            (float(best.values[n]) / (longer.shape[1] - 1), longer[n].tolist())
            for n in over.nonzero().flatten().tolist()
            if n < beams  # an end that no beam would have taken is no end
        ]
        ended = sorted(ended, reverse=True)[:beams]
        more = (~over & alive).nonzero().flatten()[:beams]
        told, score = longer[more], best.values[more]
        if len(ended) == beams and len(score) and float(score[0]) / _said(told) <= ended[-1][0]:
            return ended[0][1]
    ended += [
        (float(value) / _said(told), tokens.tolist())
        for value, tokens in zip(score, told, strict=True)
    ]
    return max(ended)[1]


def _said(told: Tensor) -> int:
    """Tokens after the first."""
    return told.shape[1] - 1
