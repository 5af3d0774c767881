"""Written words: real text in the fonts that ship with matplotlib.

A word belongs to one source group with all its renderings, so that a held-out word was never
read before in any font.
"""

from __future__ import annotations

import functools
from typing import Final

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from neuroattn.data.simulate.drawn import PATCH, Colour, Floats, ground, pick

#: Ten groups of eight; none is a kind of thing or a place, which captions name.
TEXTS: Final = (
    ("milk", "north", "quiet", "seven", "open", "lucky", "paper", "east"),
    ("hello", "salt", "west", "maybe", "zero", "piano", "fast", "gold"),
    ("exit", "music", "south", "rain", "eight", "honey", "vote", "plan"),
    ("stop", "radio", "sugar", "young", "hotel", "mint", "away", "five"),
    ("sale", "metro", "under", "joy", "night", "left", "wind", "basic"),
    ("taxi", "polar", "right", "opera", "silk", "three", "help", "novel"),
    ("news", "today", "jazz", "river", "above", "soap", "nine", "ultra"),
    ("gate", "cinema", "nova", "only", "winter", "post", "kilo", "two"),
    ("bank", "hope", "magic", "four", "lemon", "quick", "below", "yes"),
    ("free", "ocean", "toys", "never", "six", "media", "warm", "zone"),
)
RENDERINGS: Final = 2
#: Of the groups that are set apart, two for each; no dataset shows them.
APART_TEXTS: Final = (
    "about", "after", "again", "alarm", "album", "alive", "amber", "angle", "answer",
    "april", "arena", "around", "atlas", "autumn", "bacon", "badge", "ballet", "bargain",
    "battery", "before", "best", "bingo", "bitter", "bold", "bonus", "border", "bottle",
    "bravo", "brief", "budget", "button", "cable", "calm", "camera", "candle", "canvas",
    "carbon", "castle", "chance", "change", "chapel", "choice", "circle", "clean", "clever",
    "closed", "cobalt", "code", "copper", "corner", "cotton", "credit", "custom", "daily",
    "deluxe", "design", "desk", "detour", "diesel", "dinner", "disco", "domino", "double",
    "dream", "early", "echo", "eleven", "energy", "engine", "enter", "every", "evening",
    "extra", "famous", "fancy", "fiesta", "final", "first", "flash", "focus", "formula",
    "frozen", "future", "garage", "gentle", "giant", "ginger", "global", "grand", "green",
    "guest", "guitar", "handle", "happy", "harbor", "heavy", "hidden", "hollow", "humble",
    "inside", "island", "ivory", "jungle", "junior", "kettle", "ladder", "large", "later",
    "ledger", "letter", "limit", "linen", "little", "lobby", "local", "loud", "market",
    "master", "matter", "mellow", "metal", "mild", "minor", "modern", "motel", "motion",
    "narrow", "neon",
)  # fmt: skip

FONTS: Final = (
    "DejaVuSans-Bold", "DejaVuSerif-Bold", "DejaVuSansMono-Bold", "STIXGeneralBol", "DejaVuSans",
    "DejaVuSerif-BoldItalic", "DejaVuSans-BoldOblique", "STIXGeneralBolIta", "cmb10", "cmss10",
)  # fmt: skip
_INKS: Final[tuple[Colour, ...]] = (
    (0.08, 0.08, 0.1), (0.1, 0.15, 0.45), (0.5, 0.08, 0.08), (0.05, 0.3, 0.18), (0.28, 0.12, 0.3),
)  # fmt: skip
_BOARDS: Final[tuple[Colour, ...]] = (
    (0.97, 0.95, 0.88), (0.93, 0.93, 0.95), (0.98, 0.9, 0.55), (0.75, 0.88, 0.85),
)  # fmt: skip
_ROOM: Final = (1.62, 0.9)  # width and height of the text, of a patch 2 wide


def apart(group: int) -> tuple[tuple[str, ...], int]:
    """Words of a group that is set apart, and the number of the first rendering of each.

    Numbers below stand in `TEXTS`; beyond, all words come again, rendered anew.
    """
    again, first = divmod(2 * (group - len(TEXTS)), len(APART_TEXTS))
    return tuple(APART_TEXTS[first : first + 2]), again * RENDERINGS


def render(text: str, rng: np.random.Generator) -> Floats:
    """The word on a board or on paper, dark on light or light on dark: (patch, patch, 3)."""
    ink, board = pick(rng, _INKS), pick(rng, _BOARDS)
    if rng.random() < 0.4:
        ink, board = board, ink
    shown = text.upper() if rng.random() < 0.6 else text.capitalize()
    font = FONTS[int(rng.integers(len(FONTS)))]
    side = 2 * PATCH
    picture = Image.fromarray((ground(rng) * 255).astype(np.uint8)).resize((side, side))
    draw = ImageDraw.Draw(picture)
    size = _fitting(font, shown, side)
    if rng.random() < 0.7:
        high = 0.62 * size + 0.06 * side
        place = (0.02 * side, side / 2 - high, 0.98 * side, side / 2 + high)
        draw.rounded_rectangle(place, 0.06 * side, fill=_bytes(board), outline=_bytes(ink), width=5)
    else:
        draw.rectangle((0, 0, side, side), fill=_bytes(board))
    middle = (side / 2, side / 2)
    draw.text(middle, shown, fill=_bytes(ink), font=_font(font, size), anchor="mm")
    reduced = picture.resize((PATCH, PATCH), Image.Resampling.BOX)
    return np.asarray(reduced, dtype=np.float32) / np.float32(255)


def _fitting(font: str, text: str, side: int) -> int:
    """The size at which ``text`` fills the room that the disc leaves."""
    left, top, right, bottom = _font(font, 100).getbbox(text)
    share = min(_ROOM[0] / (right - left), _ROOM[1] / (bottom - top))
    return int(100 * share * side / 2)


@functools.lru_cache(maxsize=256)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(f"{mpl.get_data_path()}/fonts/ttf/{name}.ttf", size)


def _bytes(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (round(255 * share) for share in colour)
    return red, green, blue
