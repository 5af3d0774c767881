"""Names beside what they name, moved apart where they would cover each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib import patheffects
from matplotlib.axes import Axes

from neuroattn.figures.theme import INK, legible

SIZE = 4.8  # points
_WIDE, _HIGH = 0.64, 1.3  # of a letter, in units of the size
_STEPS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (0, 2), (0, -2), (1, 1), (-1, -1), (1, -1),
          (-1, 1), (0, 3), (0, -3), (2, 0), (-2, 0), (1, 2), (-1, -2), (0, 4), (0, -4))  # fmt: skip


@dataclass(frozen=True)
class Label:
    """A name, the point (x, y) that it belongs to, and where it stands, in the same units."""

    name: str
    point: tuple[float, float]
    place: tuple[float, float]


def arrange(
    names: Sequence[str],
    points: Sequence[tuple[float, float]],
    unit: float,
    sides: tuple[float, float],
) -> list[Label]:
    """Give every name a place near its point, the first ones first.

    Parameters
    ----------
    unit : one point of type, in units of ``points``.
    sides : x of the left and the right edge, between which all names stay.
    """
    placed: list[Label] = []
    for name, point in zip(names, points, strict=True):
        wide, high = _extent(name, unit)
        low, up = sides[0] + wide / 2, sides[1] - wide / 2
        tries = [
            Label(
                name,
                point,
                (max(low, min(up, point[0] + 0.6 * wide * x)), point[1] + high * y),
            )
            for x, y in _STEPS
        ]
        free = (
            label for label in tries if not any(_overlap(label, other, unit) for other in placed)
        )
        placed.append(next(free, tries[0]))
    return placed


def write_labels(axes: Axes, labels: Sequence[Label], unit: float) -> None:
    """Write names in dark letters with a pale rim, and a line to those that had to move away."""
    for label in labels:
        if abs(label.place[1] - label.point[1]) > _extent(label.name, unit)[1]:
            axes.plot(*zip(label.point, label.place, strict=True), color=INK, linewidth=0.5)
        text = axes.text(
            *label.place, label.name, fontsize=SIZE, ha="center", va="center", color=INK
        )
        text.set_path_effects([patheffects.withStroke(linewidth=1.2, foreground="white")])


def short(name: str) -> str:
    """A name as it stands on a map."""
    return legible(name, 14)


def _extent(name: str, unit: float) -> tuple[float, float]:
    return len(name) * _WIDE * SIZE * unit, _HIGH * SIZE * unit


def _overlap(label: Label, other: Label, unit: float) -> bool:
    sizes = [_extent(each.name, unit) for each in (label, other)]
    return all(
        abs(label.place[axis] - other.place[axis]) < sum(size[axis] for size in sizes) / 2
        for axis in (0, 1)
    )
