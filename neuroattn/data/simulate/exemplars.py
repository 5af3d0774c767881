"""The catalogue of what scenes are made of: exemplars, their sources, and who holds them out.

Every source (a photograph, a shape seed, a word) lies in one of ten groups, and a scene takes
all it shows from one group. Groups 8 and 9 are the unseen pool. Each group holds every drawn
kind equally often, so that pools differ in exemplars and not in kinds.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate import (
    exemplars_animals,
    exemplars_bodies,
    exemplars_faces,
    exemplars_food,
    exemplars_photographs,
    exemplars_vehicles,
    words,
)
from neuroattn.data.simulate.drawn import PATCH, Canvas, Floats, ground
from neuroattn.data.simulate.exemplars_photographs import PHOTOGRAPHS
from neuroattn.data.simulate.scene import CATEGORIES, Pool

GROUPS: Final = 10
UNSEEN_GROUPS: Final = (8, 9)
DRAWINGS: Final = MappingProxyType(
    {
        "animal": exemplars_animals.DRAWINGS,
        "body": exemplars_bodies.DRAWINGS,
        "face": exemplars_faces.DRAWINGS,
        "food": exemplars_food.DRAWINGS,
        "vehicle": exemplars_vehicles.DRAWINGS,
    }
)
LUMINANCE: Final = (0.299, 0.587, 0.114)  # weights of red, green and blue
_PER_GROUP: Final = MappingProxyType({"body": 2, "face": 3})  # drawn, of a kind; others 1
_SHAPES: Final = 0  # the seed of every shape: exemplars are the same in every dataset
_MEAN, _DEVIATION = 0.5, 0.21  # of every exemplar's luminance inside the disc


@dataclass(frozen=True, eq=False)
class Exemplar:
    """One picture of one thing.

    Parameters
    ----------
    source : what it was made from; several crops of a photograph, or renderings of a word,
        share it.
    group : number of the group in which all its source's exemplars lie.
    known : attributes of this exemplar, such as the expression of a drawn face.
    make : returns (patch, patch, 3) in [0, 1].
    """

    id: str
    category: str
    kind: str
    source: str
    group: int
    make: Callable[[], Floats]
    text: str = ""
    photograph: bool = False
    known: Mapping[str, float] = field(default_factory=dict)


def pool_groups(pool: Pool) -> tuple[int, ...]:
    """Numbers of the groups that a pool may use."""
    held_out = pool is Pool.unseen
    return tuple(group for group in range(GROUPS) if (group in UNSEEN_GROUPS) is held_out)


@functools.cache
def catalogue() -> tuple[Exemplar, ...]:
    """Every exemplar, in a fixed order."""
    return (*_drawn(), *_faces(), *_crops(), *_words())


@functools.cache
def exemplars(category: str, group: int) -> tuple[Exemplar, ...]:
    """The exemplars of a category in one group."""
    return tuple(one for one in catalogue() if (one.category, one.group) == (category, group))


class Drawable(Protocol):
    """What an exemplar and a background have in common."""

    @property
    def source(self) -> str:
        """What it was made from."""

    @property
    def group(self) -> int:
        """Number of the group in which all its source's pictures lie."""

    @property
    def photograph(self) -> bool:
        """Whether it is one, and not drawn."""


Member = TypeVar("Member", bound=Drawable)


def counts() -> pd.DataFrame:
    """Sources and exemplars by category and pool, see `counted`."""
    return counted(catalogue(), CATEGORIES, lambda one: one.category)


def counted(
    members: Sequence[Member], categories: Iterable[str], category_of: Callable[[Member], str]
) -> pd.DataFrame:
    """Sizes of a catalogue by category and pool: category pool sources exemplars photographs."""
    rows = []
    for category in categories:
        for pool in Pool:
            groups = pool_groups(pool)
            kept = [one for one in members if category_of(one) == category and one.group in groups]
            photographs = {one.source for one in kept if one.photograph}
            sources = {one.source for one in kept}
            rows.append((category, pool.value, len(sources), len(kept), len(photographs)))
    columns = ["category", "pool", "sources", "exemplars", "photographs"]
    return pd.DataFrame(rows, columns=columns)


@functools.lru_cache(maxsize=1024)  # all of them: 49 kB each
def patch(exemplar: Exemplar) -> NDArray[np.uint8]:
    """The exemplar's picture with a common mean and spread of light: (patch, patch, 3).

    A response to local light or contrast must not betray the category, nor the kind.
    """
    at = np.linspace(-1, 1, PATCH)
    inside = at[:, None] ** 2 + at[None, :] ** 2 < 0.8
    return even(exemplar.make(), inside, _MEAN, _DEVIATION)


def even(
    pixels: Floats, inside: NDArray[np.bool_], mean: float, deviation: float
) -> NDArray[np.uint8]:
    """Give the luminance ``inside`` a mean and a deviation, as far as clipping lets it."""
    for _ in range(4):  # what is clipped takes some away, so that one pass falls short
        light = luminance(pixels)[inside]
        gain = np.float32(deviation / max(float(light.std()), 1e-3))
        pixels = np.clip(np.float32(mean) + (pixels - light.mean()) * gain, 0, 1)
    return np.asarray(255 * pixels + 0.5, dtype=np.uint8)


def luminance(pixels: Floats) -> Floats:
    """Weighted sum of red, green and blue: (height, width)."""
    weighted: Floats = pixels @ np.array(LUMINANCE, dtype=np.float32)
    return weighted


def _drawn() -> list[Exemplar]:
    found = []
    for category, drawings in DRAWINGS.items():
        for kind in drawings:
            per_group = _PER_GROUP.get(category, 1)
            for index in range(GROUPS * per_group):
                name = f"{category}/{kind.replace(' ', '-')}-{index:02d}"
                group = index // per_group
                make = functools.partial(_draw, category, kind, name)
                known = _expression(name) if category == "face" else {}
                found.append(Exemplar(name, category, kind, name, group, make, known=known))
    return found


def _expression(name: str) -> dict[str, float]:
    return {"expression": exemplars_faces.expression_of(generator(_SHAPES, "shape", name))}


def _draw(category: str, kind: str, name: str) -> Floats:
    canvas = Canvas(ground(generator(_SHAPES, "ground", name)))
    DRAWINGS[category][kind](canvas, generator(_SHAPES, "shape", name))
    return canvas.finish()


def _faces() -> list[Exemplar]:
    return [
        Exemplar(
            name := f"face/lfw-{index:03d}", "face", "face", name, index % GROUPS,
            functools.partial(exemplars_photographs.face, index), photograph=True,
        )
        for index in range(exemplars_photographs.FACES)
    ]  # fmt: skip


def _crops() -> list[Exemplar]:
    found = []
    for number, (source, category, kind, square) in enumerate(exemplars_photographs.CROPS):
        make = functools.partial(exemplars_photographs.cut, source, square, PATCH)
        name, group = f"{category}/{source}-{number:02d}", PHOTOGRAPHS[source].group
        found.append(
            Exemplar(name, category, kind, f"photograph/{source}", group, make, photograph=True)
        )
    return found


def _words() -> list[Exemplar]:
    found = []
    for group, texts in enumerate(words.TEXTS):
        for text in texts:
            for index in range(words.RENDERINGS):
                name = f"word/{text}-{index}"
                make = functools.partial(_write, text, name)
                found.append(Exemplar(name, "word", "word", f"word/{text}", group, make, text=text))
    return found


def _write(text: str, name: str) -> Floats:
    return words.render(text, generator(_SHAPES, "shape", name))
