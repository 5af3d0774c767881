"""Captions as words, split as the Penn Treebank splits them.

BLEU, ROUGE and CIDEr of captions are published over the tokens of one Java program (the tokeniser
of Stanford CoreNLP), so a score is comparable only if the words are the same: lower case, clitics
apart (``dog 's``, ``do n't``), signs apart and then dropped. Rules for captions of pictures; text
with citations, currency tables or addresses is beyond them.
"""

from __future__ import annotations

import re
from typing import Final

# Signs that the evaluation of COCO captions drops; a bracket is a word there (``-lrb-``).
DROPPED: Final = frozenset(("''", "'", "``", "`", ".", "?", "!", ",", ":", "-", "--", "...", ";"))
_BRACKETS: Final = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-",
                    "}": "-rcb-"}  # fmt: skip
_PLAIN: Final = str.maketrans(
    {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "--", "\u2014": "--",
     "\u2026": "...", "\xa0": " "}
)  # fmt: skip
# Their stop belongs to them.
_SHORT: Final = r"(?:mr|mrs|ms|dr|st|jr|sr|vs|etc|prof|rev|gen|ave|blvd|rd|co|corp|inc|ltd|mt|ft)\."
_INITIALS: Final = r"(?:[a-z]\.){2,}"  # a.m., u.s.
_NUMBER: Final = r"\d+(?:[.,:/]\d+)*"
_WORD: Final = r"[^\W_]+(?:[-_/&@.][^\W_]+)*(?:'(?!(?:s|m|d|re|ve|ll|t)\b)[^\W_]+)*"
_TOKEN: Final = re.compile(
    rf"n't\b|{_INITIALS}|\b{_SHORT}|{_NUMBER}(?=[a-z]*\b)[a-z]*(?:-[^\W_]+)*|{_WORD}"
    r"|'(?:s|m|d|re|ve|ll)\b|\.{2,}|-{2,}|[^\w\s]|_+"
)
_NOT: Final = re.compile(r"\b(\w+?)n't\b")
_JOINED: Final = {
    "cannot": "can not", "gonna": "gon na", "gotta": "got ta", "wanna": "wan na",
    "lemme": "lem me", "gimme": "gim me",
}  # fmt: skip
_TOGETHER: Final = re.compile(rf"\b({'|'.join(_JOINED)})\b")


def words(caption: str) -> list[str]:
    """Words of a caption as published scores count them.

    Parameters
    ----------
    caption : one sentence or more; case, line ends and signs do not matter.
    """
    return [token for token in _tokens(caption) if token not in DROPPED]


def _tokens(caption: str) -> list[str]:
    text = " ".join(caption.translate(_PLAIN).lower().split())
    text = _TOGETHER.sub(lambda found: _JOINED[found[1]], text)
    text = _NOT.sub(r"\1 n't", text)
    found = (_BRACKETS.get(token, token) for token in _TOKEN.findall(text))
    return [_sign(token) for token in found]


def _sign(part: str) -> str:
    if part == '"':
        return "''"
    if set(part) == {"."}:
        return "..." if len(part) > 1 else "."
    return "--" if set(part) == {"-"} and len(part) > 1 else part
