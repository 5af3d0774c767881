"""Captions in the manner of COCO: a small grammar over things, tints, sizes, places and positions.

Every caption names every thing and the place. The first says most; the others leave out, in
turn, tints and sizes, or positions, as human annotators do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from neuroattn.core.phrases import with_article
from neuroattn.data.simulate.scene import PLACES, Thing

COUNT: Final = 5
#: Names of the four ends of the tint axes, by the quarter in which the hue lies.
TINTS: Final = ("red", "yellow", "green", "blue")
_PLACES: Final = dict(
    zip(
        PLACES,
        ("on a beach", "in a city", "in a field", "in a forest", "by a mountain", "in a room"),
        strict=True,
    )
)
_VIEWS: Final = ("a view of", "a picture of", "a scene with")


def captions(things: Sequence[Thing], place: str, rng: np.random.Generator) -> tuple[str, ...]:
    """Five sentences about the scene; the first names tint, size and position of every thing.

    The order in which the others name the things is drawn from ``rng``.
    """
    where = _PLACES[place]
    orders = [list(rng.permutation(len(things))) for _ in range(COUNT)]
    told = [[things[index] for index in order] for order in orders]
    view = _VIEWS[int(rng.integers(len(_VIEWS)))]
    verb = "are" if told[3][0].kind == "cherries" else "is"  # agrees with the first it names
    sentences = (
        f"{_list(things, _full)} {where}",
        f"{_list(told[1], _plain)} {where}",
        f"{with_article(place)} with {_list(told[2], _tinted)}",
        f"there {verb} {_list(told[3], _placed)}, {where}",
        f"{view} {_list(told[4], _sized)} {where}",
    )
    return tuple(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


def tint_name(thing: Thing) -> str:
    """The nearest of `TINTS`."""
    red, yellow = thing.attributes["tint_red"], thing.attributes["tint_yellow"]
    quarter = round(float(np.degrees(np.arctan2(yellow, red))) / 90) % 4
    return TINTS[quarter]


def size_name(thing: Thing) -> str:
    """``small`` or ``large`` in the outer thirds of the range, otherwise nothing."""
    size = thing.attributes["size"]
    return "small" if size < -1 / 3 else "large" if size > 1 / 3 else ""


def position_name(thing: Thing) -> str:
    """One of nine positions, as in ``at the top left``."""
    x, y = thing.centre
    across = "left" if x < 0.4 else "right" if x > 0.6 else ""
    down = "top" if y < 0.4 else "bottom" if y > 0.6 else ""
    if not across and not down:
        return "in the middle"
    return f"at the {down} {across}".rstrip() if down else f"on the {across}"


def _full(thing: Thing) -> str:
    words = f'word "{thing.text}"' if thing.text else thing.kind
    return f"{_noun(size_name(thing), tint_name(thing), words)} {position_name(thing)}"


def _plain(thing: Thing) -> str:
    return _noun(thing.kind)


def _tinted(thing: Thing) -> str:
    return _noun(tint_name(thing), thing.kind)


def _sized(thing: Thing) -> str:
    return _noun(size_name(thing), tint_name(thing), thing.kind)


def _placed(thing: Thing) -> str:
    return f"{_noun(thing.kind)} {position_name(thing)}"


def _noun(*parts: str) -> str:
    """The parts that are there as one phrase, with its article."""
    return with_article(" ".join(part for part in parts if part))


def _list(things: Sequence[Thing], phrase: Callable[[Thing], str]) -> str:
    *first, last = (phrase(thing) for thing in things)
    return f"{', '.join(first)} and {last}" if first else last
