"""Scenes made of plain discs, for tests of what is planted in them: fast, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from neuroattn.core.seeding import generator
from neuroattn.data.simulate.gallery import Compose
from neuroattn.data.simulate.scene import (
    ATTRIBUTES,
    CATEGORIES,
    PLACE_ATTRIBUTES,
    PLACES,
    Scene,
    Thing,
)
from neuroattn.data.simulate.sizes import Size

# The files and designs of `tiny` with vertices few enough for tests, and every format.
POCKET = Size(
    "pocket", sessions=2, shared=100, own=400, unseen=20, vertices=642, side=32,
    all_formats=True, algonauts_sessions=1,
)  # fmt: skip

# One session, few vertices, and everything else that a dataset can hold.
MINI = replace(
    POCKET, name="mini", sessions=1, shared=50, own=200, unseen=10, vertices=162,
    algonauts_sessions=0, versions=("b1", "b2", "b3"), experiments=("synthetic", "imagery"),
)  # fmt: skip
DISPLAY = (64, 122)  # in place of 714 x 1360 pixels


def composer(seed: int, side: int) -> Compose:
    """Stands in for `write.composer`."""

    def compose(number: int, unseen: bool) -> Scene:
        return plain_scene(number, seed=seed, side=side, unseen=unseen)

    return compose


def plain_scene(number: int, *, seed: int = 0, side: int = 32, unseen: bool = False) -> Scene:
    """One to three discs of random colour on coloured squares."""
    random = generator(seed, "plain", number)
    cells = random.integers(0, 256, (side // 4, side // 4, 3), dtype=np.uint8)
    pixels = cells.repeat(4, axis=0).repeat(4, axis=1)
    chosen = random.choice(CATEGORIES, random.integers(1, 4), replace=False)
    things = tuple(_thing(str(name), random, pixels) for name in chosen)
    place = str(random.choice(PLACES))
    captions = tuple(f"{things[0].kind}, {place} {n}" for n in range(5))
    return Scene(
        image=number,
        pixels=pixels,
        things=things,
        background=place,
        background_source=f"place/{place}-1",
        caption=captions[0],
        captions=captions,
        unseen=unseen,
        group=f"sources-{number % 5}",
        place_attributes={name: float(random.uniform(-1, 1)) for name in PLACE_ATTRIBUTES},
    )


def _thing(category: str, random: np.random.Generator, pixels: np.ndarray) -> Thing:
    side = len(pixels)
    x, y = random.uniform(0.3, 0.7, 2)
    size = random.uniform(0.2, 0.5)
    grid = (np.arange(side) + 0.5) / side
    mask = (np.hypot(grid[None] - x, grid[:, None] - y) < size / 2).astype(np.float32)
    pixels[mask > 0] = random.integers(0, 256, 3)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = (int(rows[0]), int(columns[0]), len(rows), len(columns))
    looks = {name: float(random.uniform(-1, 1)) for name in ATTRIBUTES}
    if category == "face" and random.random() < 0.5:
        looks["expression"] = float(random.choice([-1.0, 1.0]))
    return Thing(category, f"{category}/e1", box, (x, y), size, looks, mask, category)


def moved(scene: Scene) -> Scene:
    """The same scene with every thing elsewhere, and other pixels."""
    things = [
        replace(thing, centre=(0.1, 0.9), box=(0, 0, 3, 3), mask=thing.mask[::-1])
        for thing in scene.things
    ]
    return replace(scene, things=tuple(things), pixels=scene.pixels[::-1])
