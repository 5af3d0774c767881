"""Does a caption name what is there, and nothing else? Counted in nouns, by whole words."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from neuroattn.data.simulate.exemplars import catalogue


@functools.cache
def nouns() -> Mapping[str, str]:
    """Every noun of the simulator's captions, and its category."""
    found = {one.kind: one.category for one in catalogue()}
    return MappingProxyType(dict(sorted(found.items())))


@functools.cache
def _pattern() -> re.Pattern[str]:
    longest_first = sorted(nouns(), key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})\b")


def named(caption: str) -> list[str]:
    """Nouns in a caption, each once; of two that overlap, the longer."""
    return list(dict.fromkeys(_pattern().findall(re.sub(r'"[^"]*"', " ", caption.lower()))))


def caption_scores(captions: Sequence[str], kinds: Sequence[Sequence[str]]) -> dict[str, float]:
    """How well captions name the things of their scenes.

    Parameters
    ----------
    kinds : nouns of the things of each scene; empty ones are left out.

    Returns
    -------
    named : share of things whose noun is in the caption.
    named_category : share of things of whose category some noun is.
    false : share of the captions' nouns that are not in the scene, also by category.
    exact : share of captions that name every thing and nothing else.
    """
    told = [named(caption) for caption in captions]
    there = [[kind for kind in row if kind] for row in kinds]
    of = nouns()
    pairs = list(zip(told, there, strict=True))
    categories = [({of[x] for x in said}, {of[x] for x in shown}) for said, shown in pairs]
    things, words = sum(map(len, there)), sum(map(len, told))
    return {
        "named": sum(len(set(said) & set(shown)) for said, shown in pairs) / max(1, things),
        "named_category": sum(len(s & t) for s, t in categories) / max(1, things),
        "false": sum(len(set(said) - set(shown)) for said, shown in pairs) / max(1, words),
        "false_category": sum(len(s - t) for s, t in categories)
        / max(1, sum(len(s) for s, _ in categories)),
        "exact": sum(set(said) == set(shown) for said, shown in pairs) / max(1, len(pairs)),
    }
