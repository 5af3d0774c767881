"""Nouns of a caption and their classes, with no model and no download; spaCy where it is there.

The rule: nouns of the `lexicon`, the longest first, in any place; beside them the last word of a
phrase that a determiner or a number opens (``a shiny gizmo on``), unless it is known to be no noun.
spaCy (an extra) tags every word instead; classes come from the lexicon in both cases.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from neuroattn.captioning.lexicon import ABOUT, OTHER, lexicon, longest, singular
from neuroattn.core.errors import MissingDataError

_QUOTED: Final = re.compile(r'"[^"]*"')
_PART: Final = re.compile(r"[a-z]+(?:[-'][a-z]+)*|[^\sa-z]")


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SEVERAL: Final = _listed("""
    these those some several many few two three four five six seven eight nine ten any both no
    """)
_OPENS: Final = _SEVERAL | _listed("""
    a an the this that his her its their my your our each every another
    """)
_ENDS: Final = _listed("""
    about above across after against along among and are around as at be before behind being below
    beneath beside between but by do down during for from has have he her him holding in inside into
    is it its near next of off on onto or out outside over past she sitting standing than that there
    they through to toward towards under up upon was were wearing where which while who with within
    without you
    """)
# Words that are nouns in the list but mostly not in captions, where one of these stands before.
_AFTER: Final = {"orange": frozenset(("a", "an", "the", "of", "and", "with")),
                 "back": frozenset(), "light": frozenset(("a", "the", "of"))}  # fmt: skip
# Nouns of the list that say what a thing does where they stand right behind it.
_DONE: Final = _listed("""
    bats bikes boards brushes cooks drinks faces fishes hands heads jumps paddles parks pitches
    races rolls sails shops skates skis smiles swings watches
    """)
NO_NOUNS: Final = _listed("""
    almost alone appear bad beige bend big black blue bright brown built climb close cloudy cold
    colorful comfortable crouch curious cut cute dark dirty done double downhill drive eat empty
    flat float fly forward full gather gaze graze gray green grey half hang happy high hold hot huge
    itself kneel lay laid lean lie lit little large long look many medium modern nearby new old open
    orange other outdoor perch pink play pose prepare pretty purple ready red rest ride run same see
    seem short sit sleep small sort stand stare stop surf swim talk tall tan tiny together top
    travel turn underneath various very wait walk well wet white wide wild wooden yellow young
    """)
_PARTICIPLE: Final = re.compile(r".{2,}(?:ing|ed|ly)$")
_IN_S: Final = re.compile(r".+[^su]s$")


@dataclass(frozen=True, order=True)
class Noun:
    """A noun in the singular and its class."""

    word: str
    kind: str


Finder = Callable[[str], list[Noun]]


def nouns_of(caption: str) -> list[Noun]:
    """Nouns in the order in which they stand, each once; quoted text is left out."""
    words = _PART.findall(_QUOTED.sub(" , ", caption.lower()))
    found: list[str] = []
    start = 0
    while start < len(words):
        known = _known(words, start)
        if known:
            found.append(known[0])
            start += known[1]
            continue
        if _is_head(words, start):
            found.append(singular(words[start]))
        start += 1
    return [Noun(word, kind_of(word)) for word in dict.fromkeys(found)]


def kind_of(noun: str) -> str:
    """Class of a noun in the singular; that of its last word where it is not in the list."""
    known = lexicon()
    return known.get(noun) or known.get(noun.rpartition(" ")[2], OTHER)


def _known(words: Sequence[str], start: int) -> tuple[str, int] | None:
    """The longest noun of the list that begins here, and how many words it has."""
    for size in range(min(longest(), len(words) - start), 0, -1):
        run = words[start : start + size]
        noun = " ".join((*run[:-1], singular(run[-1])))
        if noun in lexicon() and noun not in ABOUT:
            return (noun, size) if size > 1 or _stands_for_a_thing(words, start) else None
    return None


def _stands_for_a_thing(words: Sequence[str], start: int) -> bool:
    """Whether a word of several uses is a noun here: ``an orange``, not ``orange cat``."""
    word = words[start]
    if word in _DONE:
        return not _says_what_it_does(words, start)
    if word not in _AFTER:
        return True
    before = words[start - 1] if start else "a"
    follows = words[start + 1] if start + 1 < len(words) else "."
    return before in _AFTER[word] and (follows in _ENDS or not follows[0].isalpha())


def _is_head(words: Sequence[str], at: int) -> bool:
    """Whether a word outside the list closes a phrase that a determiner opens."""
    follows = words[at + 1] if at + 1 < len(words) else "."
    closes = follows in _ENDS or not follows[0].isalpha() or bool(_PARTICIPLE.match(follows))
    if not closes or not _may_be_noun(words[at]) or _says_what_it_does(words, at):
        return False
    return _opener(words, at) is not None


def _may_be_noun(word: str) -> bool:
    closed = word in _ENDS or word in _OPENS or word in ABOUT
    closed = closed or not NO_NOUNS.isdisjoint((word, singular(word)))  # ``stands`` as ``stand``
    return word[0].isalpha() and not closed and not _PARTICIPLE.match(word)


def _says_what_it_does(words: Sequence[str], at: int) -> bool:
    """Whether a word in -s is the verb of the noun before it: ``a cat yawns``, no ``two cat toys``.

    No plural stands right behind another noun, but where it is one of several.
    """
    if not at or not _IN_S.match(words[at]) or words[at - 1] not in lexicon():
        return False
    return _opener(words, at) not in _SEVERAL


def _opener(words: Sequence[str], at: int) -> str | None:
    """The determiner or number that opens the phrase of a word; None without one."""
    for before in reversed(words[max(0, at - 4) : at]):
        if before in _OPENS:
            return before
        if before in _ENDS or not before[0].isalpha():
            return None
    return None


def spacy_nouns(model: str) -> Finder:
    """A finder that lets spaCy tag words.

    Parameters
    ----------
    model : an installed pipeline of spaCy, by name or by folder.

    Raises
    ------
    MissingDataError : spaCy or the pipeline is not there.
    """
    try:
        pipeline: Any = importlib.import_module("spacy").load(model)
    except (ImportError, OSError) as problem:
        raise MissingDataError(
            "nouns cannot be tagged by spaCy",
            expected=f"spaCy with its pipeline {model}",
            found=str(problem).splitlines()[0],
            fix="install the extra neuroattn[spacy] and the pipeline, or use the built-in lexicon",
        ) from problem

    def find(caption: str) -> list[Noun]:
        tagged = pipeline(_QUOTED.sub(" , ", caption))
        lemmas = (token.lemma_.lower() for token in tagged if token.pos_ in ("NOUN", "PROPN"))
        kept = (word for word in lemmas if word not in ABOUT)
        return [Noun(word, kind_of(word)) for word in dict.fromkeys(kept)]

    return find


def words_of(captions: Iterable[str], find: Finder = nouns_of) -> list[set[str]]:
    """The nouns of each caption."""
    return [{noun.word for noun in find(caption)} for caption in captions]
