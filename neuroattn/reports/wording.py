"""Numbers and foreign text as they stand on the page."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable
from typing import Any

ABSENT = "n/a"
LONGEST_TEXT = 20_000  # characters; longer text is cut, so that a page stays a page
LONGEST_CELL = 240
# Embeddings, overrides and isolates reorder what follows them; plain right-to-left text does not
# need them.
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_PLACEHOLDER = "\N{REPLACEMENT CHARACTER}"


def score(value: Any) -> str:
    """A correlation or another score, to three decimals."""
    if value is None or not math.isfinite(value):
        return ABSENT
    text = f"{value:.3f}"
    return "0.000" if text == "-0.000" else text.replace("-", "\N{MINUS SIGN}")


def span(low: float, high: float) -> str:
    """An interval."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ABSENT
    return f"{score(low)} to {score(high)}"


def count(value: Any) -> str:
    """A whole number with separated thousands; what is no number stands as it is."""
    try:
        return f"{int(value):,}"
    except (TypeError, ValueError, OverflowError):
        return ABSENT if value is None else str(value)


def plural(number: int, what: str) -> str:
    """``3 folds``, ``1 fold``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def spread(values: Iterable[int]) -> str:
    """``3`` where all are equal, else ``2 to 10``."""
    known = sorted({int(value) for value in values})
    if not known:
        return ABSENT
    return count(known[0]) if len(known) == 1 else f"{count(known[0])} to {count(known[-1])}"


def size(number: Any) -> str:
    """Bytes in a unit a person can compare."""
    if not isinstance(number, int | float) or not math.isfinite(number):
        return ""
    amount = float(number)
    for unit in ("B", "KiB", "MiB"):
        if abs(amount) < 1024:
            return f"{amount:,.0f} {unit}" if unit == "B" else f"{amount:,.1f} {unit}"
        amount /= 1024
    return f"{amount:,.2f} GiB"


def said(value: Any) -> str:
    """Any value of a foreign file as text; absent is empty."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(said(item) for item in value)
    return str(value)


def cell(value: Any) -> str:
    """Foreign text short enough for a table."""
    text = said(value)
    return (
        text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def harmless(text: str) -> str:
    """Text that can stand in a page: no control or reordering characters, not endless.

    HTML has no way to write most control characters, and lone surrogates (from file names
    in another encoding) cannot be written as UTF-8 at all.
    """
    if len(text) > LONGEST_TEXT:
        text = text[:LONGEST_TEXT] + " \N{HORIZONTAL ELLIPSIS} [cut]"
    if text.isascii() and text.isprintable():
        return text
    return "".join(_PLACEHOLDER if _is_harmful(character) else character for character in text)


def _is_harmful(character: str) -> bool:
    if character in "\n\t":
        return False
    noncharacter = (ord(character) & 0xFFFE) == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return (
        character in _REORDERING or noncharacter or unicodedata.category(character) in ("Cc", "Cs")
    )
