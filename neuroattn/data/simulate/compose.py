"""Scenes from exemplars: who is in them, where, how tinted, and the pixels that follow.

Everything about scene ``i`` is drawn from a stream named by the seed, the pool and ``i``: it
depends neither on how many scenes are asked for nor on their order. Tint, light, contrast,
tilt, size and position are drawn before anything is known of the category.

Cost: a scene of 160 pixels moves about 1 MB; scaling and turning the patches is most of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import generator
from neuroattn.data.simulate import backgrounds as places_behind
from neuroattn.data.simulate import exemplars as sources
from neuroattn.data.simulate.backgrounds import Background
from neuroattn.data.simulate.captions import captions
from neuroattn.data.simulate.exemplars import Exemplar
from neuroattn.data.simulate.scene import (
    CATEGORIES,
    PLACE_ATTRIBUTES,
    PLACES,
    Pool,
    Scene,
    Thing,
)

Floats64 = NDArray[np.float64]
T = TypeVar("T")

TILT: Final = 35.0  # degrees at orientation 1
_THING_TINT, _PLACE_TINT = 0.85, 0.28  # share of the colour that a full tint replaces
_CONTRAST, _LIFT = 0.42, 0.12  # octaves of contrast, and light, at the ends of their scales
_SOFT: Final = 0.76  # share of the disc's radius inside which it hides nothing
_APART: Final = 0.93  # of the sum of two radii; discs are soft at the rim
_TRIES: Final = 200
_HUES: Final = np.array(
    [(0.95, 0.22, 0.18), (0.9, 0.72, 0.05), (0.2, 0.75, 0.25), (0.25, 0.42, 1.0)]
)
#: Red, yellow, green and blue, the ends of the tint axes, at luminance 1.
_ENDS: Final = _HUES / (_HUES @ sources.LUMINANCE)[:, None]


@dataclass(frozen=True)
class Layout:
    """Size of the picture and of what is in it.

    Parameters
    ----------
    side : pixels.
    things : fewest and most things.
    sizes : smallest and largest diameter of a disc, fractions of the side.
    centred : the only thing stands in the middle.
    """

    side: int = 160
    things: tuple[int, int] = (1, 3)
    sizes: tuple[float, float] = (0.3, 0.48)
    centred: bool = False


ENCODER: Final = Layout()
#: Small pictures with large things, for the generator.
GENERATOR: Final = Layout(side=64, things=(1, 2), sizes=(0.4, 0.6))
#: One thing that fills the picture: what a generator of few weights can learn to draw.
NEAR: Final = Layout(side=64, things=(1, 1), sizes=(0.7, 0.8), centred=True)


@dataclass(frozen=True)
class _Plan:
    """What is drawn by chance of one scene; ``looks`` ends with that of the place."""

    group: int
    sizes: Floats64
    centres: Floats64
    looks: list[dict[str, float]]
    shown: list[Exemplar]
    place: str
    behind: Background


def scenes(
    count: int,
    *,
    seed: int,
    side: int = 160,
    things: tuple[int, int] = (1, 3),
    sizes: tuple[float, float] = (0.3, 0.48),
    pool: Pool = Pool.seen,
    first: int = 0,
) -> Iterator[Scene]:
    """Scenes ``first`` to ``first + count - 1`` of the pool, made one at a time.

    Raises
    ------
    ConfigError : the layout cannot be drawn.
    """
    layout = Layout(side, things, sizes)
    check_layout(layout)
    numbers = range(first, first + count)
    return (compose(image, seed=seed, layout=layout, pool=pool) for image in numbers)


def compose(image: int, *, seed: int, layout: Layout = ENCODER, pool: Pool = Pool.seen) -> Scene:
    """Scene number ``image``; see `Scene`."""
    rng = generator(seed, "scene", pool.value, image)
    plan = _plan(rng, layout, pool)
    *looks, place_look = plan.looks
    behind = _crop(places_behind.view(plan.behind), layout.side, rng)
    picture = relight(behind, place_look, _PLACE_TINT)
    discs = [disc(layout.side, *at) for at in zip(plan.centres, plan.sizes, strict=True)]
    for mask, exemplar, look in zip(discs, plan.shown, looks, strict=True):
        _lay(picture, mask, exemplar, look)
    things = tuple(_thing(plan, layout, discs, index) for index in range(len(discs)))
    told = captions(things, plan.place, rng)
    return Scene(
        image=image,
        pixels=np.array(picture, dtype=np.uint8),
        things=things,
        background=plan.place,
        background_source=plan.behind.source,
        caption=told[0],
        captions=told,
        unseen=pool is Pool.unseen,
        group=f"sources-{plan.group}",
        place_attributes={name: place_look[name] for name in PLACE_ATTRIBUTES},
    )


def counts() -> pd.DataFrame:
    """Sources and exemplars of things and places by pool.

    Columns: category pool sources exemplars photographs (those of the sources that are
    photographs; the others are drawn, or words).
    """
    return pd.concat([sources.counts(), places_behind.counts()], ignore_index=True)


def categories() -> tuple[str, ...]:
    """Categories of things."""
    return CATEGORIES


def places() -> tuple[str, ...]:
    """Categories of places."""
    return PLACES


def check_layout(layout: Layout) -> None:
    """Raise `ConfigError` unless the layout can be drawn."""
    fewest, most = layout.things
    small, large = layout.sizes
    counted = 1 <= fewest <= most <= (1 if layout.centred else 3)
    if layout.side < 16 or not counted or not 0.05 <= small <= large <= 0.8:
        raise ConfigError(
            "scenes cannot be composed in this layout",
            expected="16 pixels or more, 1 to 3 things (1 if centred), discs of 0.05 to 0.8 of the"
            " side",
            found=layout,
            fix="change side, things or sizes; smallest comes before largest",
        )


def place_discs(sizes: Floats64, rng: np.random.Generator) -> Floats64:
    """Centres (things, 2) as x, y of discs inside the unit square that hardly overlap.

    The first of `_TRIES` uniform draws in which no two come nearer than `_APART` of the sum of
    their radii; where none does, the draw that comes nearest to it.
    """
    radii = sizes[:, None] / 2
    tried = radii + rng.random((_TRIES, len(sizes), 2)) * (1 - 2 * radii)
    first, second = np.triu_indices(len(sizes), 1)
    if not len(first):
        return np.asarray(tried[0])
    distance = np.linalg.norm(tried[:, first] - tried[:, second], axis=2)
    room = (distance / (radii[first, 0] + radii[second, 0])).min(axis=1)
    good = room >= _APART
    return np.asarray(tried[good.argmax() if good.any() else room.argmax()])


def disc(side: int, centre: Floats64, size: float) -> NDArray[np.float32]:
    """The soft disc through which a thing is seen: (side, side) in [0, 1].

    It knows the place and the size, and nothing of what it shows.
    """
    mask = np.zeros((side, side), dtype=np.float32)
    low = np.maximum(np.floor((np.asarray(centre) - size / 2) * side), 0).astype(int)
    high = np.ceil((np.asarray(centre) + size / 2) * side).astype(int)
    x, y = ((np.arange(low[axis], high[axis]) + 0.5) / side - centre[axis] for axis in (0, 1))
    far = np.hypot(x[None, :], y[:, None]) / (size / 2)
    edge = np.clip((1 - far) / (1 - _SOFT), 0, 1)
    mask[low[1] : high[1], low[0] : high[0]] = edge * edge * (3 - 2 * edge)
    return mask


def bounds(mask: NDArray[np.float32]) -> tuple[int, int, int, int]:
    """Top, left, height, width of the smallest box around what is not zero."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return 0, 0, 0, 0
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) - top + 1, int(columns[-1]) - left + 1


def relight(picture: Image.Image, look: Mapping[str, float], strength: float) -> Image.Image:
    """``picture`` under the tint, light and contrast of ``look``.

    The tint replaces colour at equal luminance, in proportion to ``strength``. All of it is
    one affine map of the colours, clipped to 8 bits.
    """
    hue = _hue(look["tint_red"], look["tint_yellow"])
    share = strength * float(np.hypot(look["tint_red"], look["tint_yellow"]))
    gain = 2.0 ** (_CONTRAST * look["contrast"])
    mixed = gain * ((1 - share) * np.eye(3) + share * np.outer(hue, sources.LUMINANCE))
    lift = 255 * (0.5 - 0.5 * gain + _LIFT * look["luminance"])
    matrix = np.column_stack([mixed, np.full(3, lift)])
    return picture.convert("RGB", tuple(matrix.ravel().tolist()))


def _hue(red: float, yellow: float) -> Floats64:
    """Colour of luminance 1 at an angle of the opponent axes."""
    turn = (np.arctan2(yellow, red) / (np.pi / 2)) % 4
    low = int(turn)
    colour = (1 - (turn - low)) * _ENDS[low % 4] + (turn - low) * _ENDS[(low + 1) % 4]
    return np.asarray(colour)


def _plan(rng: np.random.Generator, layout: Layout, pool: Pool) -> _Plan:
    groups = sources.pool_groups(pool)
    group = groups[int(rng.integers(len(groups)))]
    number = int(rng.integers(layout.things[0], layout.things[1] + 1))
    sizes = rng.uniform(*layout.sizes, size=number)
    centres = np.full((1, 2), 0.5) if layout.centred else place_discs(sizes, rng)
    looks = [_look(rng) for _ in range(number + 1)]
    chosen = [CATEGORIES[index] for index in rng.permutation(len(CATEGORIES))[:number]]
    place = PLACES[int(rng.integers(len(PLACES)))]
    return _Plan(
        group=group,
        sizes=sizes,
        centres=centres,
        looks=looks,
        shown=[_one(rng, sources.exemplars(category, group)) for category in chosen],
        place=place,
        behind=_one(rng, places_behind.backgrounds(place, group)),
    )


def _look(rng: np.random.Generator) -> dict[str, float]:
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.4, 1)
    luminance, contrast, orientation = (float(value) for value in rng.uniform(-1, 1, size=3))
    return {
        "tint_red": float(strength * np.cos(angle)),
        "tint_yellow": float(strength * np.sin(angle)),
        "luminance": luminance,
        "contrast": contrast,
        "orientation": orientation,
    }


def _one(rng: np.random.Generator, among: Sequence[T]) -> T:
    return among[int(rng.integers(len(among)))]


def _crop(view: NDArray[np.uint8], side: int, rng: np.random.Generator) -> Image.Image:
    """A part of a place at the scene's size, mirrored by chance."""
    whole = view.shape[0]
    edge = whole * rng.uniform(0.78, 1)
    left, top = rng.uniform(0, whole - edge, size=2)
    picture = Image.fromarray(view).resize(
        (side, side), Image.Resampling.BILINEAR, (left, top, left + edge, top + edge)
    )
    mirrored = rng.random() < 0.5
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else picture


def _lay(
    picture: Image.Image,
    mask: NDArray[np.float32],
    exemplar: Exemplar,
    look: Mapping[str, float],
) -> None:
    top, left, height, width = bounds(mask)
    edge = max(height, width) + 1
    patch = Image.fromarray(sources.patch(exemplar))
    scaled = patch.resize((edge, edge), Image.Resampling.BICUBIC)
    turned = scaled.rotate(-TILT * look["orientation"], Image.Resampling.BICUBIC)
    weight = (255 * mask[top : top + height, left : left + width] + 0.5).astype(np.uint8)
    shown = relight(turned, look, _THING_TINT).crop((0, 0, width, height))
    picture.paste(shown, (left, top), Image.fromarray(weight))


def _thing(plan: _Plan, layout: Layout, discs: list[NDArray[np.float32]], index: int) -> Thing:
    exemplar, mask = plan.shown[index], discs[index].copy()
    for later in discs[index + 1 :]:
        mask *= 1 - later
    small, large = layout.sizes
    size = float(plan.sizes[index])
    relative = 2 * (size - small) / (large - small) - 1 if large > small else 0.0
    return Thing(
        category=exemplar.category,
        exemplar=exemplar.id,
        source=exemplar.source,
        box=bounds(mask),
        centre=(float(plan.centres[index, 0]), float(plan.centres[index, 1])),
        size=size,
        attributes={**plan.looks[index], "size": relative, **exemplar.known},
        mask=mask,
        kind=exemplar.kind,
        text=exemplar.text,
    )
