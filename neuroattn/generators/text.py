"""Captions as tokens: whole words, and one token for each sign.

The simulator's captions come from a small grammar, so a word is a token and nothing is split.
A caption of known words survives `Vocabulary.encode` and `Vocabulary.decode` unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from neuroattn.core.atomic import read_json, write_json
from neuroattn.generators.library import transformers

PAD, START, END, UNKNOWN = range(4)
_SPECIAL: Final = ("<pad>", "<start>", "<end>", "<unknown>")
_WORD: Final = r"[a-z0-9]+|[^\sa-z0-9]"


class Vocabulary:
    """Words by number; the first four are padding, start, end and any unknown word."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = (*_SPECIAL, *words)
        self.numbers = {word: number for number, word in enumerate(self.words)}

    @classmethod
    def of(cls, captions: Iterable[str]) -> Vocabulary:
        """Every word of the captions, in alphabetical order."""
        return cls(sorted({word for caption in captions for word in split(caption)}))

    def __len__(self) -> int:
        return len(self.words)

    def encode(self, caption: str) -> list[int]:
        """Numbers of the words between start and end."""
        found = [self.numbers.get(word, UNKNOWN) for word in split(caption)]
        return [START, *found, END]

    def decode(self, numbers: Iterable[int]) -> str:
        """The sentence up to its end, with a capital, as the simulator writes it."""
        words = []
        for number in numbers:
            if number == END:
                break
            if number not in (PAD, START):
                words.append(self.words[number])
        return joined(words)

    def batch(self, captions: Sequence[str], length: int) -> Tensor:
        """Numbers (captions, length), padded; a caption that is too long loses its last words."""
        out = torch.full((len(captions), length), PAD, dtype=torch.int64)
        for row, caption in enumerate(captions):
            numbers = self.encode(caption)
            if len(numbers) > length:
                numbers = [*numbers[: length - 1], END]
            out[row, : len(numbers)] = torch.tensor(numbers)
        return out

    def save(self, path: Path) -> None:
        """Write the words, in order."""
        write_json(path, list(self.words[len(_SPECIAL) :]))

    @classmethod
    def read(cls, path: Path) -> Vocabulary:
        """Words that `save` wrote."""
        return cls(read_json(path))

    def tokeniser(self) -> Any:
        """The same as a ``PreTrainedTokenizerFast``, for other programs."""
        from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

        made = Tokenizer(models.WordLevel(dict(self.numbers), unk_token=_SPECIAL[UNKNOWN]))
        made.normalizer = normalizers.Lowercase()
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Whitespace(), pre_tokenizers.Split(Regex(_WORD), "isolated")]
        )
        start, end = _SPECIAL[START], _SPECIAL[END]
        made.post_processor = processors.TemplateProcessing(
            single=f"{start} $A {end}", special_tokens=[(start, START), (end, END)]
        )
        return transformers().PreTrainedTokenizerFast(
            tokenizer_object=made, pad_token=_SPECIAL[PAD], bos_token=start, eos_token=end,
            unk_token=_SPECIAL[UNKNOWN],
        )  # fmt: skip


def trimmed(tokens: Tensor) -> Tensor:
    """Padded rows (captions, length) without the columns that are padding in all of them."""
    longest = int((tokens != PAD).sum(dim=1).max())
    return tokens[:, :longest]


def split(caption: str) -> list[str]:
    """Words and signs of a caption in lower case."""
    return re.findall(_WORD, caption.lower())


def joined(words: Sequence[str]) -> str:
    """A sentence of words and signs: no space before a stop or a comma, none inside quotes."""
    text = re.sub(r" ([.,])", r"\1", " ".join(words))
    text = re.sub(r'" ([^"]*?) "', r'"\1"', text)
    return text[:1].upper() + text[1:]
