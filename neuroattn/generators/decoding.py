"""Captions from a language model, many at a time, each word paid for once.

Asking the network for the whole caption anew at each word costs sum_k (p + k) tokens a path, for
n words behind p prefix tokens. The keys and values of earlier words are kept here (the model's own
cache), and all captions and paths go through the network together: p + n tokens a path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from neuroattn.core.seeding import derive_seed


@dataclass(frozen=True)
class Ends:
    """Where a caption begins and ends.

    Parameters
    ----------
    start : the token that opens a caption; None if the prefix alone does.
    end : the token that ends it.
    length : most tokens, the first included.
    banned : tokens that are never said.
    """

    start: int | None
    end: int
    length: int
    banned: tuple[int, ...] = ()


@dataclass(frozen=True)
class Caption:
    """Tokens without start and end, and the mean log-probability of a token, its end included."""

    tokens: list[int]
    log_probability: float


class Cached:
    """A causal language model of transformers, one step at a time."""

    def __init__(self, language: Any, ends: Ends) -> None:
        self.language, self.ends = language, ends
        self.memory: Any = None

    def begin(self, prefix: Float[Tensor, "captions tokens width"]) -> Tensor:
        """Log-probabilities (captions, words) of the first word after prefix and start."""
        self.memory = None
        if self.ends.start is not None:
            start = torch.full((len(prefix), 1), self.ends.start, device=prefix.device)
            prefix = torch.cat([prefix, self._embedded(start)], dim=1)
        return self._read(prefix)

    def advance(self, words: Tensor) -> Tensor:
        """The same after one more word of each path (paths,)."""
        return self._read(self._embedded(words[:, None]))

    def reorder(self, paths: Tensor) -> None:
        """Go on from these paths (new paths,), some of them several times."""
        self.memory.reorder_cache(paths)

    def _embedded(self, words: Tensor) -> Tensor:
        # Words by number would be taken for padded ones, and warned of, once a path has ended.
        out: Tensor = self.language.get_input_embeddings()(words)
        return out

    def _read(self, embedded: Tensor) -> Tensor:
        out = self.language(
            inputs_embeds=embedded, past_key_values=self.memory, use_cache=True, logits_to_keep=1
        )
        self.memory = out.past_key_values
        logits = out.logits[:, -1].float()
        if self.ends.banned:
            logits[:, list(self.ends.banned)] = -torch.inf
        return torch.log_softmax(logits, dim=-1)


@torch.no_grad()
def search(
    language: Any, prefix: Float[Tensor, "captions tokens width"], ends: Ends, beams: int
) -> list[Caption]:
    """For each caption, of ``beams`` paths the one with the highest mean log-probability.

    One beam takes the likeliest word at each step. A path that ended keeps its place among the
    beams; the search stops when no open path has a higher mean, at its present length, than the
    worst of those that ended. A sure ending could still lift one: the usual rule of thumb
    (``early_stopping=False`` of transformers), which saves the words up to the longest caption.
    """
    model, count, device = Cached(language, ends), len(prefix), prefix.device
    gain = model.begin(prefix)
    state = _Paths.first(gain, ends, beams)
    model.reorder(torch.arange(count, device=device).repeat_interleave(beams))
    for _ in range(ends.length - 2 if ends.start is not None else ends.length - 1):
        if not bool(torch.isfinite(state.score).any()):
            break
        gain = model.advance(state.told[:, :, -1].flatten())
        model.reorder(state.grow(gain.reshape(count, beams, -1)))
    return state.best()


class _Paths:
    """Open paths (captions, beams) and those that ended."""

    def __init__(self, told: Tensor, score: Tensor, ends: Ends, beams: int) -> None:
        self.told, self.score, self.ends, self.beams = told, score, ends, beams
        self.ended: list[list[tuple[float, list[int]]]] = [[] for _ in range(len(told))]

    @classmethod
    def first(cls, gain: Tensor, ends: Ends, beams: int) -> _Paths:
        """Paths of one word."""
        nothing = torch.zeros((len(gain), 1, 0), dtype=torch.int64, device=gain.device)
        state = cls(nothing, torch.zeros((len(gain), 1), device=gain.device), ends, beams)
        state.grow(gain[:, None])
        return state

    def grow(self, gain: Float[Tensor, "captions paths words"]) -> Tensor:
        """Take the best continuations; returns the path that each new one goes on from."""
        captions, paths, words = gain.shape
        total = (self.score[:, :, None] + gain).flatten(1)
        best = total.topk(min(2 * self.beams, total.shape[1]), dim=1)
        path, word = best.indices // words, best.indices % words
        longer = torch.cat(
            [self.told.gather(1, path[:, :, None].expand(-1, -1, self.told.shape[2])),
             word[:, :, None]], dim=2,
        )  # fmt: skip
        alive = torch.isfinite(best.values)
        over = (word == self.ends.end) & alive
        # An end that no beam would have taken is no end.
        self._keep_ended(longer, best.values, over[:, : self.beams])
        going = alive & ~over
        going &= going.cumsum(1) <= self.beams
        order = torch.argsort(~going, dim=1, stable=True)[:, : self.beams]
        order = _padded(order, self.beams)
        going = going.gather(1, order)
        self.told = longer.gather(1, order[:, :, None].expand(-1, -1, longer.shape[2]))
        self.score = best.values.gather(1, order).masked_fill(~going, -torch.inf)
        self._close()
        source = torch.arange(captions, device=gain.device)[:, None] * paths
        return (source + path.gather(1, order)).flatten()

    def _keep_ended(self, longer: Tensor, values: Tensor, over: Tensor) -> None:
        for caption, which in over.nonzero().tolist():
            tokens = longer[caption, which].tolist()
            found = float(values[caption, which]) / len(tokens)
            kept = [*self.ended[caption], (found, tokens[:-1])]
            self.ended[caption] = sorted(kept, reverse=True)[: self.beams]

    def _close(self) -> None:
        """End the search of a caption whose open paths are behind those that ended."""
        length = self.told.shape[2]
        for caption, ended in enumerate(self.ended):
            if len(ended) == self.beams and float(self.score[caption, 0]) / length <= ended[-1][0]:
                self.score[caption] = -torch.inf

    def best(self) -> list[Caption]:
        """The best path of each caption, open ones included."""
        for caption, which in torch.isfinite(self.score).nonzero().tolist():
            tokens = self.told[caption, which].tolist()
            self.ended[caption].append((float(self.score[caption, which]) / len(tokens), tokens))
        chosen = [max(ended) if ended else (-float("inf"), []) for ended in self.ended]
        return [Caption(tokens, value) for value, tokens in chosen]


def _padded(order: Tensor, beams: int) -> Tensor:
    """As many columns as beams; a vocabulary may have fewer words than that."""
    short = beams - order.shape[1]
    return order if short <= 0 else torch.cat([order, order[:, :1].expand(-1, short)], dim=1)


@torch.no_grad()
def sampled(
    language: Any,
    prefix: Float[Tensor, "captions tokens width"],
    ends: Ends,
    temperature: float,
    seeds: Sequence[int],
) -> list[Caption]:
    """Each caption drawn word by word with a seed of its own, whatever it is computed with."""
    model = Cached(language, ends)
    streams = [torch.Generator().manual_seed(derive_seed(seed, "words")) for seed in seeds]
    gain, told = model.begin(prefix), torch.zeros((len(prefix), 0), dtype=torch.int64)
    total = torch.zeros(len(prefix))
    finished = torch.zeros(len(prefix), dtype=torch.bool)
    for _ in range(ends.length - (ends.start is not None)):
        share = torch.softmax(gain.cpu().double() / temperature, dim=1).cumsum(1)
        drawn = torch.tensor([float(torch.rand((), generator=one)) for one in streams])
        word = torch.searchsorted(share, drawn.double()[:, None] * share[:, -1:])[:, 0]
        word = torch.where(finished, ends.end, word.clamp(max=gain.shape[1] - 1))
        said = gain.cpu().gather(1, word[:, None])[:, 0]
        total += torch.where(finished, 0.0, said)
        told = torch.cat([told, word[:, None]], dim=1)
        finished |= word == ends.end
        if bool(finished.all()):
            break
        gain = model.advance(word.to(prefix.device))
    return [_cut(row.tolist(), float(value), ends) for row, value in zip(told, total, strict=True)]


def _cut(tokens: list[int], total: float, ends: Ends) -> Caption:
    if ends.end in tokens:
        cut = tokens[: tokens.index(ends.end)]
        return Caption(cut, total / (len(cut) + 1))
    return Caption(tokens, total / max(1, len(tokens)))
