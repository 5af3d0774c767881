"""Objectives as they are written: which responses are raised, which lowered, which left alone.

::

    FFA-1                    the mean over a region's targets (lh.FFA-1: over one hemisphere's)
    FFA-1|FFA-2              one mean over the targets of both, each target once
    - FFA-1                  the same, lowered
    FFA-1 - PPA              a difference of means; any sum, with factors: FFA-1 - 0.5 * PPA
    FFA-1 and not PPA        raised, while the other may not rise above its usual response
    target:12                one target, by its row in targets.tsv
    parcel:lh.FFA-1          the targets that read an attention query
    cluster:1/3@FFA-1        the first of three clusters of a region's targets
    direction:NAME           weights for all targets, from a file

Signs and words stand between blanks, since names of regions hold hyphens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from neuroattn.core.errors import ConfigError

UNION = "|"
KINDS = ("target", "parcel", "cluster", "direction")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.]+")
_SIGNS = {"+": "plus", "-": "minus", "*": "times"}


@dataclass(frozen=True)
class Part:
    """A mean over some targets and its factor.

    Parameters
    ----------
    kind : region, target, parcel, cluster or direction.
    """

    factor: float
    kind: str
    name: str

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions whose targets it is about; none for targets, parcels and directions."""
        name = self.name.partition("@")[2] if self.kind == "cluster" else self.name
        return tuple(name.split(UNION)) if self.kind in ("region", "cluster") else ()


@dataclass(frozen=True)
class Wish:
    """An objective as it was written.

    Parameters
    ----------
    raised : parts whose sum is raised.
    spared : parts, of factor 1, that may not rise above their usual response.
    """

    text: str
    raised: tuple[Part, ...]
    spared: tuple[Part, ...] = ()

    @property
    def slug(self) -> str:
        """A name for files."""
        words = [_SIGNS.get(word, word) for word in self.text.split()]
        return _UNSAFE.sub("-", "-".join(words)).strip("-.")


def parse(text: str) -> Wish:
    """An objective from its words.

    Raises
    ------
    ConfigError : they say nothing that can be raised.
    """
    first, *others = re.split(r"\s+and\s+not\s+", text.strip())
    spared = tuple(_part(1.0, other.strip(), text) for other in others)
    return Wish(text, tuple(_sum(first.split(), text)), spared)


def _sum(words: list[str], text: str) -> list[Part]:
    """Parts of ``[sign] [factor *] name`` one after the other."""
    parts: list[Part] = []
    rest = list(words)
    while rest:
        sign = rest.pop(0) if rest[0] in ("+", "-") else ("+" if not parts else "")
        if not sign or not rest:
            raise _unclear(text)
        factor = 1.0
        if len(rest) > 1 and rest[1] == "*":
            factor = _number(rest[0], text)
            rest = rest[2:]
        if not rest:
            raise _unclear(text)
        parts.append(_part(-factor if sign == "-" else factor, rest.pop(0), text))
    if not parts:
        raise _unclear(text)
    return parts


def _part(factor: float, word: str, text: str) -> Part:
    kind, colon, name = word.partition(":")
    if not word or " " in word or word in _SIGNS:
        raise _unclear(text)
    if not colon:
        return Part(factor, "region", word)
    if kind not in KINDS or not name:
        raise _unclear(text)
    return Part(factor, kind, name)


def _number(word: str, text: str) -> float:
    try:
        return float(word)
    except ValueError as error:
        raise _unclear(text) from error


def _unclear(text: str) -> ConfigError:
    return ConfigError(
        f"the objective {text!r} cannot be read",
        expected="REGION, target:N, parcel:NAME, cluster:K/N@REGION or direction:NAME; joined by"
        " + and - between blanks, with '0.5 * ' before a name, and 'and not NAME' at the end",
        found=text,
        fix="write for example synthesis.objectives=['FFA-1 - PPA']",
    )
