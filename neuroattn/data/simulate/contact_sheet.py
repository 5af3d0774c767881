"""Contact sheets: scenes and exemplars as pictures, for reports, docs and a critical eye."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from neuroattn.data.simulate import backgrounds, exemplars
from neuroattn.data.simulate.scene import CATEGORIES, PLACES, Pool, Scene
from neuroattn.figures.theme import BOTTOM, MUTED, TOP, WIDTH, Stamp, frame, legible, themed

Picture = NDArray[np.uint8]
T = TypeVar("T")


@themed
def scene_sheet(scenes: Sequence[Scene], stamp: Stamp, columns: int = 6) -> Figure:
    """Scenes in a grid, each over the things that are in it."""
    labels = [
        f"{', '.join(thing.kind for thing in scene.things)} | {scene.background}"
        for scene in scenes
    ]
    unseen = sum(scene.unseen for scene in scenes)
    subtitle = f"{len(scenes)} composed scenes, {unseen} of them of held-out exemplars only"
    pictures = [scene.pixels for scene in scenes]
    return _grid(pictures, labels, columns, ("Simulated scenes", subtitle), stamp)


@themed
def exemplar_sheet(stamp: Stamp, pool: Pool = Pool.seen, columns: int = 10) -> Figure:
    """A row of exemplars of every category and of every place, spread over the pool's."""
    pictures, labels = [], []
    groups = exemplars.pool_groups(pool)
    for category in CATEGORIES:
        kept = [one for one in exemplars.catalogue() if one.category == category]
        held = [one for one in kept if one.group in groups]
        pictures += [exemplars.patch(one) for one in _spread(held, columns)]
        labels += [category] + [""] * (columns - 1)
    for place in PLACES:
        views = [one for one in backgrounds.catalogue() if one.place == place]
        held_views = [one for one in views if one.group in groups]
        shown = [backgrounds.view(one) for one in _spread(held_views, columns)]
        pictures += shown + [np.full_like(shown[0], 255)] * (columns - len(shown))
        labels += [place] + [""] * (columns - 1)
    title = ("What the scenes are made of", f"exemplars of the {pool.value} pool")
    return _grid(pictures, labels, columns, title, stamp)


@themed
def picture_sheet(
    pictures: Sequence[Picture],
    labels: Sequence[str],
    columns: int,
    title: tuple[str, str],
    stamp: Stamp,
) -> Figure:
    """Pictures in a grid, each under its label; ``title`` is the title and what is below it."""
    return _grid(pictures, labels, columns, title, stamp)


def _spread(items: Sequence[T], count: int) -> list[T]:
    chosen = np.unique(np.linspace(0, len(items) - 1, count).round().astype(int))
    return [items[index] for index in chosen]


def _grid(
    pictures: Sequence[Picture],
    labels: Sequence[str],
    columns: int,
    title: tuple[str, str],
    stamp: Stamp,
) -> Figure:
    rows = -(-len(pictures) // columns)
    edge = WIDTH / columns
    figure = frame(TOP + BOTTOM + rows * (edge + 0.12), *title, stamp)
    axes = figure.subplots(rows, columns, squeeze=False)
    for index, panel in enumerate(axes.flat):
        panel.set_axis_off()
        if index < len(pictures):
            _show(panel, pictures[index], labels[index], int(170 / columns))
    return figure


def _show(panel: Axes, picture: Picture, label: str, limit: int) -> None:
    panel.imshow(picture, interpolation="antialiased")
    panel.set_title(legible(label, limit), fontsize=5.5, color=MUTED, pad=1.5, loc="left")
