"""What a composed scene is: pixels, and everything that is true of them.

The simulator's rules (`rules.py`) read these types and never pixels' features from a network:
a response that were planted through a backbone would reward that backbone. Positions are
fractions of the side, ``x`` from the left and ``y`` from the top; boxes are whole pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

#: Of the simulator: a new one where the same seed would give other scenes or responses.
VERSION_NUMBER: Final = 2


class Pool(StrEnum):
    """Which source exemplars a scene may use.

    A judge of what others fitted to the seen ones learns from those set apart: drawings and words
    that stand in no dataset, and the few photographs of the held-out ones.
    """

    seen = "seen"  # for fitting
    unseen = "unseen"  # held out
    apart = "apart"  # for a judge alone


CATEGORIES: Final = ("animal", "body", "face", "food", "vehicle", "word")
PLACES: Final = ("beach", "city", "field", "forest", "mountain", "room")

#: Attributes of every thing, whatever its category, each in [-1, 1] and independent of it:
#: ``tint_red`` and ``tint_yellow`` are the opponent axes red-green and yellow-blue of the tint
#: (cosine and sine of the hue times the strength), ``luminance`` and ``contrast`` run from dark
#: and flat to bright and strong, ``orientation`` from 35 degrees anticlockwise to 35 clockwise,
#: ``size`` over the range of sizes asked for.
ATTRIBUTES: Final = (
    "tint_red",
    "tint_yellow",
    "luminance",
    "contrast",
    "orientation",
    "size",
)

#: Attributes of the place, each in [-1, 1]: the background's tint and light as a whole.
PLACE_ATTRIBUTES: Final = ("tint_red", "tint_yellow", "luminance", "contrast")


@dataclass(frozen=True, eq=False)
class Thing:
    """One thing in a scene, seen through a soft disc.

    Parameters
    ----------
    category : one of `CATEGORIES`.
    exemplar : stable id of what it was made from, as in ``face/lfw-017``.
    box : top, left, height, width in pixels of the smallest box that holds the mask.
    centre : x from the left and y from the top, fractions of the side.
    size : diameter of the disc, fraction of the side.
    attributes : every name of `ATTRIBUTES`, and ``expression`` (sad -1 to smiling 1) for the
        drawn faces, whose expression is known.
    mask : (side, side) float32 in [0, 1], the weight of the thing at each pixel; what another
        thing covers is already taken away.
    kind : the noun that captions use, as in ``cat``; a word's text stands in ``text``.
    source : what the exemplar was made from; crops of one photograph, and renderings of one
        word, share it. Reports count these.
    """

    category: str
    exemplar: str
    box: tuple[int, int, int, int]
    centre: tuple[float, float]
    size: float
    attributes: Mapping[str, float]
    mask: NDArray[np.float32]
    kind: str
    text: str = ""
    source: str = ""


@dataclass(frozen=True, eq=False)
class Scene:
    """One composed picture and its truth.

    Parameters
    ----------
    image : its index; a scene depends on the seed, the layout and this number alone.
    pixels : (side, side, 3) uint8.
    things : one to three, of distinct categories, in the order in which they were laid.
    background : one of `PLACES`.
    background_source : the drawing or photograph behind, as in ``place/beach-07`` or
        ``photograph/china``.
    place_attributes : every name of `PLACE_ATTRIBUTES`.
    captions : five sentences; ``caption`` is the first and names every thing and the place.
    unseen : whether everything in it, the background too, is from the held-out sources.
    group : the source group from which all of it was taken. Groups share no photograph, no
        shape seed and no word, so folds over groups are folds over exemplars.
    """

    image: int
    pixels: NDArray[np.uint8]
    things: tuple[Thing, ...]
    background: str
    background_source: str
    caption: str
    captions: tuple[str, ...]
    unseen: bool
    group: str
    place_attributes: Mapping[str, float] = field(default_factory=dict)
