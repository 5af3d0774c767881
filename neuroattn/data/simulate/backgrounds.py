"""The catalogue of places behind the things, drawn and photographed, in the same groups."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate import exemplars_photographs
from neuroattn.data.simulate.backgrounds_drawn import DRAWINGS, SIDE
from neuroattn.data.simulate.drawn import Floats
from neuroattn.data.simulate.exemplars import APART_GROUPS, GROUPS, counted, even, photographs_of
from neuroattn.data.simulate.exemplars_photographs import PHOTOGRAPHS, VIEWS
from neuroattn.data.simulate.scene import PLACES

PER_GROUP: Final = 2  # drawn places of a category in each group
_MEAN, _DEVIATION = 0.48, 0.19


@dataclass(frozen=True, eq=False)
class Background:
    """One picture of one place; the parameters are those of an `Exemplar`."""

    id: str
    place: str
    source: str
    group: int
    make: Callable[[], Floats]
    photograph: bool = False


@functools.cache
def catalogue() -> tuple[Background, ...]:
    """Every background of a dataset, in a fixed order."""
    return (*_drawn(range(GROUPS)), *_views())


@functools.cache
def backgrounds(place: str, group: int) -> tuple[Background, ...]:
    """The backgrounds of a place in one group."""
    members = _apart(group) if group in APART_GROUPS else catalogue()
    return tuple(one for one in members if (one.place, one.group) == (place, group))


@functools.cache
def _apart(group: int) -> tuple[Background, ...]:
    """The backgrounds of a group that is set apart, see `exemplars.APART_GROUPS`."""
    lent = [one for one in _views() if one.group == photographs_of(group)]
    return (*_drawn([group]), *(replace(one, group=group) for one in lent))


def counts() -> pd.DataFrame:
    """Sources and backgrounds by place and pool, see `exemplars.counted`."""
    return counted(catalogue(), PLACES, lambda one: one.place)


@functools.lru_cache(maxsize=2048)  # all of them, and all set apart: 130 kB each
def view(background: Background) -> NDArray[np.uint8]:
    """The place's picture with a common mean and spread of light: (side, side, 3)."""
    everywhere = np.ones((SIDE, SIDE), dtype=np.bool_)
    return even(background.make(), everywhere, _MEAN, _DEVIATION)


def _draw(place: str, name: str) -> Floats:
    return DRAWINGS[place](generator(0, "shape", name))


def _drawn(groups: Sequence[int]) -> list[Background]:
    return [
        Background(
            name := f"place/{place}-{group * PER_GROUP + number:02d}", place, name, group,
            functools.partial(_draw, place, name),
        )
        for place in PLACES
        for group, number in itertools.product(groups, range(PER_GROUP))
    ]  # fmt: skip


def _views() -> list[Background]:
    return [
        Background(
            f"place/{source}-{number:02d}", place, f"photograph/{source}",
            PHOTOGRAPHS[source].group,
            functools.partial(exemplars_photographs.cut, source, square, SIDE),
            photograph=True,
        )
        for number, (source, place, square) in enumerate(VIEWS)
    ]  # fmt: skip
