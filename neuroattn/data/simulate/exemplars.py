"""The catalogue of what scenes are made of: exemplars, their sources, and who holds them out.

Every source (a photograph, a shape seed, a word) lies in one of ten groups, and a scene takes
all it shows from one group. Groups 8 and 9 are the unseen pool. Each group holds every drawn
kind equally often, so that pools differ in exemplars and not in kinds. Beside the catalogue there
are groups set apart, from which a judge learns: other shape seeds and words, and, since installed
packages hold no further photographs, those of the unseen pool, whose few faces are mixed too.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
APART_GROUPS: Final = tuple(range(GROUPS, GROUPS + 128))  # many, so that none is learned by heart
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
_MIXED: Final = 10  # faces for each group that is set apart
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
    if pool is Pool.apart:
        return APART_GROUPS
    held_out = pool is Pool.unseen
    return tuple(group for group in range(GROUPS) if (group in UNSEEN_GROUPS) is held_out)


@functools.cache
def catalogue() -> tuple[Exemplar, ...]:
    """Every exemplar of a dataset, in a fixed order."""
    return (*_drawn(range(GROUPS)), *_faces(), *_crops(), *_words())


@functools.cache
def exemplars(category: str, group: int) -> tuple[Exemplar, ...]:
    """The exemplars of a category in one group."""
    members = _apart(group) if group in APART_GROUPS else catalogue()
    return tuple(one for one in members if (one.category, one.group) == (category, group))


@functools.cache
def _apart(group: int) -> tuple[Exemplar, ...]:
    """The exemplars of a group that is set apart."""
    lender = photographs_of(group)
    lent = [one for one in catalogue() if one.photograph and one.group == lender]
    drawn = (*_drawn([group]), *_written(*words.apart(group), group))
    return (*drawn, *(replace(one, group=group) for one in lent), *_mixed_faces(group))


def photographs_of(group: int) -> int:
    """The unseen group whose photographs a group that is set apart shares."""
    return UNSEEN_GROUPS[group % len(UNSEEN_GROUPS)]


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
        for pool in (Pool.seen, Pool.unseen):
            groups = pool_groups(pool)
            kept = [one for one in members if category_of(one) == category and one.group in groups]
            photographs = {one.source for one in kept if one.photograph}
            sources = {one.source for one in kept}
            rows.append((category, pool.value, len(sources), len(kept), len(photographs)))
    columns = ["category", "pool", "sources", "exemplars", "photographs"]
    return pd.DataFrame(rows, columns=columns)


@functools.lru_cache(maxsize=8192)  # all of them, and those set apart: 49 kB each
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


def _drawn(groups: Sequence[int]) -> list[Exemplar]:
    found = []
    for category, drawings in DRAWINGS.items():
        for kind in drawings:
            per_group = _PER_GROUP.get(category, 1)
            for group, number in itertools.product(groups, range(per_group)):
                name = f"{category}/{kind.replace(' ', '-')}-{group * per_group + number:02d}"
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


def _mixed_faces(group: int) -> list[Exemplar]:
    """Faces made of one to three of the held-out ones: those are only twenty."""
    lent = [n for n in range(exemplars_photographs.FACES) if n % GROUPS in UNSEEN_GROUPS]
    found = []
    for number in range(_MIXED):
        rng = generator(_SHAPES, "mixture", name := f"face/mixed-{group}-{number}")
        chosen = rng.choice(lent, size=int(rng.integers(1, 4)), replace=False).tolist()
        make = functools.partial(_mix, chosen, name)
        found.append(Exemplar(name, "face", "face", name, group, make, photograph=True))
    return found


def _mix(chosen: Sequence[int], name: str) -> Floats:
    return exemplars_photographs.mixed_face(chosen, generator(_SHAPES, "shape", name))


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
    return [one for group, texts in enumerate(words.TEXTS) for one in _written(texts, 0, group)]


def _written(texts: Sequence[str], first: int, group: int) -> list[Exemplar]:
    """Renderings of words, numbered from ``first``."""
    found = []
    for text in texts:
        for index in range(first, first + words.RENDERINGS):
            name = f"word/{text}-{index}"
            make = functools.partial(_write, text, name)
            found.append(Exemplar(name, "word", "word", f"word/{text}", group, make, text=text))
    return found


def _write(text: str, name: str) -> Floats:
    return words.render(text, generator(_SHAPES, "shape", name))
