"""The catalogue of places behind the things, drawn and photographed, in the same ten groups."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import generator
from neuroattn.data.simulate import exemplars_photographs
from neuroattn.data.simulate.backgrounds_drawn import DRAWINGS, SIDE
from neuroattn.data.simulate.drawn import Floats
from neuroattn.data.simulate.exemplars import GROUPS, counted, even
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
    """Every background, in a fixed order."""
    drawn = [
        Background(
            name := f"place/{place}-{index:02d}", place, name, index // PER_GROUP,
            functools.partial(_draw, place, name),
        )
        for place in PLACES
        for index in range(GROUPS * PER_GROUP)
    ]  # fmt: skip
    return (*drawn, *_views())


@functools.cache
def backgrounds(place: str, group: int) -> tuple[Background, ...]:
    """The backgrounds of a place in one group."""
    return tuple(one for one in catalogue() if (one.place, one.group) == (place, group))


def counts() -> pd.DataFrame:
    """Sources and backgrounds by place and pool, see `exemplars.counted`."""
    return counted(catalogue(), PLACES, lambda one: one.place)


@functools.lru_cache(maxsize=256)  # all of them: 130 kB each
def view(background: Background) -> NDArray[np.uint8]:
    """The place's picture with a common mean and spread of light: (side, side, 3)."""
    everywhere = np.ones((SIDE, SIDE), dtype=np.bool_)
    return even(background.make(), everywhere, _MEAN, _DEVIATION)


def _draw(place: str, name: str) -> Floats:
    return DRAWINGS[place](generator(0, "shape", name))


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
