"""Captions of top pictures: the one that agrees most with all of them.

With a text side, agreement is the mean cosine between embeddings of captions; without one, it is
the overlap of their words. Nothing is generated, so a caption is always a sentence somebody said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.captioning.captioners import Setting, Told, texts_of
from neuroattn.captioning.concepts import Concept
from neuroattn.captioning.registry import NearestConfig
from neuroattn.stats.text_tokens import words

Floats = NDArray[np.float64]


class Nearest:
    """The consensus of the top pictures' captions."""

    def __init__(self, config: NearestConfig, setting: Setting) -> None:
        self.config, self.setting = config, setting
        self._rows: dict[str, Floats] = {}

    def caption(self, concepts: Sequence[Concept]) -> list[Told]:
        """One of the captions of each concept's top pictures."""
        said = [self.texts(concept) for concept in concepts]
        self._embed({text for texts in said for _, text in texts})
        return [self._one(texts) for texts in said]

    def methods(self) -> str:
        """A sentence for the Methods text."""
        return (
            f"each caption is the one, among those of the {self.config.pictures} top pictures,"
            " that agrees most with the others"
        )

    def texts(self, concept: Concept) -> list[tuple[int, str]]:
        """Captions of the top pictures, with their places."""
        places = concept.places[: self.config.pictures]
        return texts_of(self.setting.bank, places, self.config.name)

    def _one(self, said: Sequence[tuple[int, str]]) -> Told:
        texts = [text for _, text in said]
        places = np.array([place for place, _ in said])
        if self.setting.text is None:
            return consensus(texts, likeness(texts, None), places)
        rows = np.stack([self._rows[text] for text in texts])
        return consensus(texts, np.clip(rows @ rows.T, 0, 1), places)

    def _embed(self, texts: set[str]) -> None:
        """Embed captions that are new, each once: neighbours in the bank share most of theirs."""
        new = sorted(texts - self._rows.keys()) if self.setting.text is not None else []
        for start in range(0, len(new), self.config.batch):
            part = new[start : start + self.config.batch]
            rows = self.setting.text.encode_text(part).cpu().numpy().astype(np.float64)
            self._rows |= dict(zip(part, rows, strict=True))


def consensus(texts: Sequence[str], alike: Floats, places: NDArray[np.int64]) -> Told:
    """The text that is most like those of other pictures; the first of equals.

    Parameters
    ----------
    alike : (texts, texts) likeness from 0 to 1.
    places : (texts,) the picture of each: captions of its own picture do not speak for a text.
    """
    others = places[:, None] != places
    support = np.where(others, alike, 0).sum(1)
    count = others.sum(1)
    mean = np.divide(support, count, out=np.ones(len(texts)), where=count > 0)
    best = int(mean.argmax())
    return Told(texts[best], float(np.clip(mean[best], 0, 1)))


def likeness(texts: Sequence[str], text: Any) -> Floats:
    """(texts, texts): cosine of their embeddings, or of their words without a text side."""
    if text is not None:
        rows = text.encode_text(list(texts)).cpu().numpy().astype(np.float64)
        return np.asarray(np.clip(rows @ rows.T, 0, 1))
    said = [set(words(one)) for one in texts]
    vocabulary = {word: column for column, word in enumerate(sorted(set().union(*said)))}
    table = np.zeros((len(texts), max(1, len(vocabulary))))
    for row, mine in enumerate(said):
        table[row, [vocabulary[word] for word in mine]] = 1
    length = np.linalg.norm(table, axis=1, keepdims=True)
    table = np.divide(table, length, out=np.zeros_like(table), where=length > 0)
    return np.asarray(table @ table.T)
