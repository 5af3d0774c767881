"""Large JSON files, an element at a time.

COCO's instances are one object of 450 MB, mostly outlines; parsed at once they take
gigabytes. Here no more than one element, and the piece of text around it, is held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from neuroattn.core.errors import DataError

_PIECE = 1 << 20
_LONGEST = 64 << 20  # characters of one element; what is longer is no element
_SPACE = " \t\n\r"
_AFTER = frozenset(",:]}" + _SPACE)


def json_items(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield (key, element) of every array in the outermost object of a file.

    Elements stand in the order of the file; keys with anything but an array are passed over.

    Raises
    ------
    DataError : the file is no such object.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield from _Text(file).items()
    except (ValueError, RecursionError) as error:
        raise DataError(
            "the file is not a JSON object",
            file=path,
            expected='{"key": [...], …}, UTF-8',
            found=error,
            fix="fetch it again; `python -m json.tool FILE` shows the place",
        ) from error


class _Text:
    """The text that is not parsed yet, refilled as it is used up."""

    def __init__(self, file: IO[str]) -> None:
        self._file, self._text, self._at = file, "", 0
        self._decoder = json.JSONDecoder()

    def items(self) -> Iterator[tuple[str, Any]]:
        self._expect("{")
        while self._next() != "}":
            key = self._value()
            self._expect(":")
            if self._next() == "[":
                yield from ((str(key), element) for element in self._elements())
            else:
                self._value()
            self._separated("}")
        self._expect("}")

    def _elements(self) -> Iterator[Any]:
        self._expect("[")
        while self._next() != "]":
            yield self._value()
            self._separated("]")
        self._expect("]")

    def _separated(self, end: str) -> None:
        if self._next() != end:
            self._expect(",")
            if self._next() == end:
                raise ValueError("a comma before the end")

    def _expect(self, wanted: str) -> None:
        found = self._next()
        if found != wanted:
            raise ValueError(f"{wanted} expected, not {found!r}")
        self._at += 1

    def _next(self) -> str:
        """The next character that is no space, which stays."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                raise ValueError("the file ends too early")

    def _value(self) -> Any:
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError:
                if len(self._text) - self._at > _LONGEST or not self._more():
                    raise
                continue
            # A number may go on beyond the text: 1 of 1e3, -2 of -2.5.
            if self._text[end : end + 1] in _AFTER or not self._more():
                self._at = end
                return value

    def _more(self) -> bool:
        piece = self._file.read(_PIECE)
        self._text, self._at = self._text[self._at :] + piece, 0
        return bool(piece)
