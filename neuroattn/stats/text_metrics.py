"""BLEU, ROUGE-L and CIDEr of captions against several references each, as COCO computes them.

The definitions are those of the evaluation code behind every published table of image captions,
where it departs from the papers too: BLEU takes the reference length nearest to the caption's and
adds tiny constants; ROUGE-L takes the best precision and the best recall, of perhaps different
references; what is called CIDEr is CIDEr-D. METEOR and SPICE need a Java program and WordNet and
are not computed.

Sources: Papineni et al. 2002 (BLEU); Lin 2004 (ROUGE-L); Vedantam, Zitnick and Parikh 2015,
section 3 and CIDEr-D in section 5.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.stats.text_tokens import words

Floats = NDArray[np.float64]
Words = Sequence[str]
Grams = Counter[tuple[str, ...]]
ORDERS: Final = 4
_TINY, _SMALL = 1e-15, 1e-9  # as in the reference code: no division by 0, no effect otherwise
_BETA: Final = 1.2  # weight of recall in ROUGE-L
_SIGMA: Final = 6.0  # words; CIDEr-D's penalty of another length


def text_metrics(captions: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """All scores, as shares: bleu_1 to bleu_4, rouge_l; cider is 1 for a typical human on COCO.

    Parameters
    ----------
    captions : one for each image.
    references : sentences of people for each image, one or more.

    Raises
    ------
    DataError : lengths disagree, there is nothing, or an image has no reference.
    """
    said, known = _split(captions, references)
    scores = {f"bleu_{n}": value for n, value in enumerate(_bleu(said, known), start=1)}
    scores["rouge_l"] = float(np.mean(list(map(_rouge, said, known))))
    scores["cider"] = float(_cider(said, known).mean())
    return scores


def bleu(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """BLEU-1 to BLEU-4 (4,) of the corpus, not a mean over images."""
    return _bleu(*_split(captions, references))


def rouge_l(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """ROUGE-L (images,)."""
    return np.array(list(map(_rouge, *_split(captions, references))))


def cider(captions: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """CIDEr-D (images,); words weigh by how few of these images' references have them."""
    return _cider(*_split(captions, references))


def _split(
    captions: Sequence[str], references: Sequence[Sequence[str]]
) -> tuple[list[list[str]], list[list[list[str]]]]:
    if len(captions) != len(references) or not captions or not all(references):
        raise DataError(
            "captions cannot be scored without references",
            expected="as many sets of references as captions, one sentence or more in each",
            found=f"{len(captions)} captions, {len(references)} sets,"
            f" {sum(not each for each in references)} empty",
            fix="leave out images without a reference",
        )
    return [words(one) for one in captions], [[words(x) for x in refs] for refs in references]


def ngrams(tokens: Words, order: int) -> Grams:
    """How often each run of ``order`` words occurs."""
    return Counter(tuple(tokens[i : i + order]) for i in range(len(tokens) - order + 1))


def _bleu(said: Sequence[Words], known: Sequence[Sequence[Words]]) -> Floats:
    right, guessed = np.zeros(ORDERS), np.zeros(ORDERS)
    length = reference_length = 0
    for tokens, references in zip(said, known, strict=True):
        length += len(tokens)
        reference_length += _nearest(len(tokens), [len(each) for each in references])
        for n in range(ORDERS):
            hits, total = _clipped(tokens, references, n + 1)
            right[n] += hits
            guessed[n] += total
    precision = (right + _TINY) / (guessed + _SMALL)
    ratio = (length + _TINY) / (reference_length + _SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    return brevity * np.cumprod(precision) ** (1 / np.arange(1, ORDERS + 1))


def _nearest(length: int, references: Iterable[int]) -> int:
    """The reference length nearest to the caption's; of two, the shorter."""
    return min(references, key=lambda each: (abs(each - length), each))


def _clipped(tokens: Words, references: Sequence[Words], order: int) -> tuple[int, int]:
    """N-grams that some reference has, each at most as often as there; and all n-grams."""
    most: Grams = Counter()
    for each in references:
        most |= ngrams(each, order)
    own = ngrams(tokens, order)
    return (own & most).total(), max(0, len(tokens) - order + 1)


def _rouge(tokens: Words, references: Sequence[Words]) -> float:
    common = [_longest_common(tokens, each) for each in references]
    # A caption or reference without words has no precision or recall.
    precision = max(c / max(1, len(tokens)) for c in common)
    recall = max(c / max(1, len(each)) for c, each in zip(common, references, strict=True))
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _longest_common(first: Words, second: Words) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(second) + 1)
    for word in first:
        before = 0
        for place, other in enumerate(second, start=1):
            above = row[place]
            row[place] = before + 1 if word == other else max(above, row[place - 1])
            before = above
    return row[-1]


def _cider(said: Sequence[Words], known: Sequence[Sequence[Words]]) -> Floats:
    grams = [[_all_orders(each) for each in references] for references in known]
    found = Counter(gram for each in grams for gram in set().union(*each))
    whole = math.log(len(said))
    rarity = {gram: whole - math.log(count) for gram, count in found.items()}
    score = np.empty(len(said))
    for row, tokens in enumerate(said):
        own = _Weighted(_all_orders(tokens), rarity, whole)
        others = [_Weighted(each, rarity, whole) for each in grams[row]]
        score[row] = 10 * np.mean([own.likeness(other) for other in others])
    return score


def _all_orders(tokens: Words) -> Grams:
    found: Grams = Counter()
    for order in range(1, ORDERS + 1):
        found.update(ngrams(tokens, order))
    return found


class _Weighted:
    """N-grams of a sentence weighted by rarity: counts times log(images / images that have it)."""

    def __init__(self, grams: Grams, rarity: Mapping[tuple[str, ...], float], whole: float) -> None:
        self.parts: list[dict[tuple[str, ...], float]] = [{} for _ in range(ORDERS)]
        for gram, count in grams.items():  # an n-gram of no reference is as rare as one of one
            self.parts[len(gram) - 1][gram] = count * rarity.get(gram, whole)
        self.norms = [math.sqrt(sum(v * v for v in part.values())) for part in self.parts]
        # The reference code counts pairs of words here; only differences of lengths matter.
        self.length = sum(count for gram, count in grams.items() if len(gram) == 2)

    def likeness(self, other: _Weighted) -> float:
        """Mean cosine over orders with the caption's weights clipped to the reference's."""
        total = 0.0
        for order in range(ORDERS):
            mine, theirs = self.parts[order], other.parts[order]
            shared = sum(min(v, theirs[g]) * theirs[g] for g, v in mine.items() if g in theirs)
            if self.norms[order] and other.norms[order]:
                total += shared / (self.norms[order] * other.norms[order])
        away = self.length - other.length
        return total / ORDERS * math.exp(-(away**2) / (2 * _SIGMA**2))
