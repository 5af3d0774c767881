"""Keywords of the top pictures that fit the target, put together (after LaVCa).

LaVCa (Matsuyama et al. 2025) asks a language model for keywords of the top pictures' captions,
keeps those whose text embedding fits the voxel's weight, and has a language model compose them.
Here keywords are the nouns of the captions, and they are composed into a phrase by hand: nothing
needs a model beside the space's own text side. Without a text side the fit is how much more often
a noun stands in the captions of top pictures than in those of the whole bank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuroattn.captioning.captioners import Setting, Told, texts_of
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.nouns import nouns_of
from neuroattn.captioning.registry import KeywordsConfig
from neuroattn.core.phrases import PICTURE_OF, with_article

Floats = NDArray[np.float64]
_FEWEST = 2  # top pictures that a keyword stands in


class Keywords:
    """A phrase of nouns."""

    def __init__(self, config: KeywordsConfig, setting: Setting) -> None:
        self.config, self.setting = config, setting
        self._directions: dict[str, Floats] = {}

    def caption(self, concepts: Sequence[Concept]) -> list[Told]:
        """``A picture of A, B and C.`` for each concept."""
        return [self._one(concept) for concept in concepts]

    def methods(self) -> str:
        """A sentence for the Methods text."""
        how = (
            "fit of their text embeddings" if self._fitted else "frequency beside that in the bank"
        )
        return (
            f"each caption joins up to {self.config.keywords} nouns of the top pictures' captions,"
            f" chosen by {how} (after LaVCa; Matsuyama et al., 2025)"
        )

    @property
    def _fitted(self) -> bool:
        return self.setting.text is not None and self.setting.weights is not None

    def _one(self, concept: Concept) -> Told:
        texts = texts_of(self.setting.bank, concept.places, self.config.name)
        shares = noun_shares(texts)
        often = max(1, min(_FEWEST, len(concept.places))) / len(concept.places)
        words = [word for word, share in shares.items() if share >= often] or list(shares)
        if not words:
            return Told("A picture.", 0.0)
        fit = self._fits(concept.row, words) if self._fitted else self._lead(words, shares)
        kept = self._kept(fit)
        sure = float(np.mean([shares[words[number]] for number in kept]))
        return Told(PICTURE_OF.format(phrase([words[number] for number in kept])), min(1.0, sure))

    def _kept(self, fit: Floats) -> list[int]:
        """Words whose lead over the average is a share of the best one's, best first."""
        order = np.argsort(-fit, kind="stable")
        lead = fit - fit.mean()
        best = lead[order[0]]
        kept = [int(n) for n in order if best <= 0 or lead[n] >= self.config.fit * best]
        return kept[: self.config.keywords] if best > 0 else kept[:1]

    def _fits(self, row: int, words: Sequence[str]) -> Floats:
        """Cosine of the target's weight with each word, less what all nouns share."""
        weights = self.setting.weights
        assert weights is not None  # `_fitted` has looked
        self._embed([word for word in words if word not in self._directions])
        table = np.stack([self._directions[word] for word in words])
        return np.asarray((table - self._centre) @ weights[row].astype(np.float64))

    @cached_property
    def _centre(self) -> Floats:
        words = sorted(self._bank_shares)
        self._embed([word for word in words if word not in self._directions])
        return np.asarray(np.mean([self._directions[word] for word in words], axis=0))

    def _embed(self, words: Sequence[str]) -> None:
        if words:
            rows = self.setting.text.encode_text([PICTURE_OF.format(word) for word in words])
            self._directions |= dict(zip(words, rows.cpu().numpy().astype(np.float64), strict=True))

    def _lead(self, words: Sequence[str], shares: Mapping[str, float]) -> Floats:
        return np.array([shares[word] - self._bank_shares.get(word, 0.0) for word in words])

    @cached_property
    def _bank_shares(self) -> dict[str, float]:
        bank = self.setting.bank
        return noun_shares([(n, text) for n, texts in enumerate(bank.captions) for text in texts])


def noun_shares(texts: Sequence[tuple[int, str]]) -> dict[str, float]:
    """Share of the pictures in one of whose captions a noun stands, the most frequent first."""
    said: dict[int, set[str]] = {}
    for place, text in texts:
        said.setdefault(place, set()).update(noun.word for noun in nouns_of(text))
    count = Counter(word for words in said.values() for word in sorted(words))
    ordered = sorted(count.items(), key=lambda pair: (-pair[1], pair[0]))
    return {word: number / len(said) for word, number in ordered}


def phrase(words: Sequence[str]) -> str:
    """``a cat``; ``a cat and a bus``; ``a cat, a bus and a tree``."""
    parts = [with_article(word) for word in words]
    if len(parts) == 1:
        return parts[0]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"
