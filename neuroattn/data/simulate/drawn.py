"""A small canvas for drawn exemplars: smooth shapes with light on them, drawn large and reduced.

Coordinates run from -1 to 1 over the patch, x to the right and y down; the soft disc through
which a thing is seen has radius 1 and is clear up to about 0.8. A drawing is a function of a
generator: one shape seed, one exemplar.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw

PATCH: Final = 128  # pixels of a finished exemplar
_SIDE: Final = 2 * PATCH  # pixels of the canvas
_LIGHT: Final = (0.35, 0.65)  # share of left-right and of top-down in the shading

Colour = tuple[float, float, float]
Point = tuple[float, float]
Floats = NDArray[np.float32]
Points = NDArray[np.float64]


class Canvas:
    """An RGB picture on which shapes are laid one over the other, lit from the upper left.

    Parameters
    ----------
    ground : (patch, patch, 3) float in [0, 1], what is behind the drawing; see `ground`.
    """

    def __init__(self, ground: Floats) -> None:
        self.pixels = np.repeat(np.repeat(ground, 2, axis=0), 2, axis=1)

    def blob(self, points: ArrayLike, colour: Colour, *, shade: float = 0.35) -> None:
        """A closed smooth shape through ``points`` (points, 2)."""
        self.polygon(smooth(points), colour, shade=shade)

    def ellipse(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        colour: Colour,
        *,
        turn: float = 0.0,
        shade: float = 0.35,
    ) -> None:
        """An ellipse, turned clockwise by ``turn`` degrees."""
        self.polygon(oval(centre, radii, turn), colour, shade=shade)

    def limb(
        self,
        points: ArrayLike,
        widths: Sequence[float],
        colour: Colour,
        *,
        shade: float = 0.25,
    ) -> None:
        """A rounded line through ``points`` whose width runs over ``widths``."""
        path = np.asarray(points, dtype=np.float64)
        steps, at = np.linspace(0, 1, 20), np.linspace(0, 1, len(path))
        x, y = (_pixel(np.interp(steps, at, path[:, axis])) for axis in (0, 1))
        radius = np.interp(steps, np.linspace(0, 1, len(widths)), widths) * (_SIDE - 1) / 4
        mask = Image.new("L", (_SIDE, _SIDE))
        draw = ImageDraw.Draw(mask)
        joints = list(zip(x.tolist(), y.tolist(), radius.tolist(), strict=True))
        for (x0, y0, _), (x1, y1, r) in itertools.pairwise(joints):
            draw.line([x0, y0, x1, y1], fill=255, width=max(round(2 * r), 1))
        for cx, cy, r in joints:
            draw.ellipse([cx - r, cy - r, cx + r, cy + r], fill=255)
        self._paint(mask, colour, shade)

    def polygon(self, points: ArrayLike, colour: Colour, *, shade: float = 0.35) -> None:
        """A closed shape with straight edges through ``points`` (points, 2)."""
        mask = Image.new("L", (_SIDE, _SIDE))
        corners = _pixel(np.asarray(points, dtype=np.float64))
        ImageDraw.Draw(mask).polygon([tuple(corner) for corner in corners], fill=255)
        self._paint(mask, colour, shade)

    def box(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, **how: float
    ) -> None:
        """A rectangle with sharp corners."""
        self.polygon([(left, top), (right, top), (right, bottom), (left, bottom)], colour, **how)

    def round_box(
        self, left: float, top: float, right: float, bottom: float, colour: Colour, **how: float
    ) -> None:
        """A rectangle whose corners are rounded, by a superellipse."""
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        x, y = np.cos(angle), np.sin(angle)
        across = np.sign(x) * np.abs(x) ** 0.4
        down = np.sign(y) * np.abs(y) ** 0.4
        x, y = (
            (left + right + (right - left) * across) / 2,
            (top + bottom + (bottom - top) * down) / 2,
        )
        self.polygon(np.stack([x, y], axis=1), colour, **how)

    def wheel(self, centre: tuple[float, float], radius: float, hub: Colour) -> None:
        """A tyre with a hub."""
        self.ellipse(centre, (radius, radius), (0.1, 0.1, 0.11))
        self.ellipse(centre, (0.52 * radius,) * 2, hub)
        self.ellipse(centre, (0.16 * radius,) * 2, (0.2, 0.2, 0.2))

    def finish(self) -> Floats:
        """The drawing reduced to (patch, patch, 3), in [0, 1]."""
        rows = self.pixels[::2] + self.pixels[1::2]
        total: Floats = rows[:, ::2] + rows[:, 1::2]
        return np.clip(total / 4, 0, 1)

    def _paint(self, mask: Image.Image, colour: Colour, shade: float) -> None:
        bounds = mask.getbbox()
        if bounds is None:
            return
        left, top, right, bottom = bounds
        inside = np.asarray(mask.crop(bounds)) > 0
        across = _ramp(right - left) * np.float32(shade * _LIGHT[0])
        down = _ramp(bottom - top)[:, None] * np.float32(shade * _LIGHT[1])
        light = 1 - across - down
        part = self.pixels[top:bottom, left:right]
        for channel, value in enumerate(colour):
            np.copyto(part[..., channel], light * np.float32(value), where=inside)


def smooth(points: ArrayLike, steps: int = 10) -> Points:
    """A closed Catmull-Rom curve through ``points`` (points, 2): (points x steps, 2)."""
    at = np.asarray(points, dtype=np.float64)
    before, after, beyond = np.roll(at, 1, 0), np.roll(at, -1, 0), np.roll(at, -2, 0)
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    b, a, c, d = at[:, None], before[:, None], after[:, None], beyond[:, None]
    curve = (
        2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3
    )
    return np.asarray(curve.reshape(-1, 2) / 2)


def oval(centre: tuple[float, float], radii: tuple[float, float], turn: float = 0.0) -> Points:
    """Points on an ellipse, turned clockwise by ``turn`` degrees: (40, 2)."""
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
    cosine, sine = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return np.stack([centre[0] + cosine * x - sine * y, centre[1] + sine * x + cosine * y], axis=1)


def facing(side: float) -> Callable[..., list[tuple[float, float]]]:
    """A function that mirrors its points where ``side`` is -1: a drawing faces left or right."""

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(side * x, y) for x, y in points]

    return at


def rgb(colour: ArrayLike) -> Floats:
    """A colour as an array (3,)."""
    return np.asarray(colour, dtype=np.float32)


def bow(start: ArrayLike, middle: ArrayLike, end: ArrayLike, steps: int = 9) -> Points:
    """A parabola from ``start`` to ``end`` that passes through ``middle``: (steps, 2)."""
    a, b, c = (np.asarray(point, dtype=np.float64) for point in (start, middle, end))
    t = np.linspace(0, 1, steps)[:, None]
    return np.asarray((1 - t) * (1 - 2 * t) * a + 4 * t * (1 - t) * b + t * (2 * t - 1) * c)


def ground(rng: np.random.Generator) -> Floats:
    """A blurred, muted surface behind a drawing, as behind a photograph: (patch, patch, 3)."""
    base = rng.uniform(0.45, 0.85) + rng.uniform(-0.08, 0.08, size=3)
    slope = np.linspace(-1, 1, PATCH) * rng.uniform(-0.12, 0.12)
    light = slope[:, None] + 0.1 * clouds(rng, PATCH, coarse=3) + 0.03 * clouds(rng, PATCH, 32)
    return np.asarray(np.clip(base + light[..., None], 0, 1), dtype=np.float32)


def clouds(rng: np.random.Generator, side: int, coarse: int = 4, octaves: int = 1) -> Floats:
    """Smooth noise of about unit deviation: (side, side); each octave halves scale and weight."""
    total = np.zeros((side, side), dtype=np.float32)
    for octave in range(octaves):
        cells = rng.normal(size=(coarse * 2**octave + 1,) * 2).astype(np.float32)
        layer = Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)
        total += np.asarray(layer) / 2**octave
    return total / max(float(total.std()), 1e-6)


def skyline(rng: np.random.Generator, side: int, coarse: int = 3, octaves: int = 5) -> Floats:
    """A smooth random line of about unit deviation, as `clouds` along one row: (side,)."""
    total = np.zeros(side, dtype=np.float32)
    for octave in range(octaves):
        cells = rng.normal(size=(1, coarse * 2**octave + 1)).astype(np.float32)
        layer = Image.fromarray(cells).resize((side, 1), Image.Resampling.BICUBIC)
        total += np.asarray(layer)[0] / 2**octave
    return total


def vary(rng: np.random.Generator, colour: Colour, by: float = 0.12) -> Colour:
    """A colour near ``colour``: mostly lighter or darker, less in hue."""
    shift = rng.uniform(-by, by) + rng.uniform(-by / 3, by / 3, size=3)
    red, green, blue = np.clip(np.array(colour) + shift, 0.03, 1)
    return float(red), float(green), float(blue)


def pick(rng: np.random.Generator, colours: Sequence[Colour], by: float = 0.06) -> Colour:
    """One of ``colours``, a little varied."""
    return vary(rng, colours[int(rng.integers(len(colours)))], by)


def dim(colour: Colour, by: float = 0.6) -> Colour:
    """``colour`` darkened to the share ``by``."""
    return colour[0] * by, colour[1] * by, colour[2] * by


def _ramp(count: int) -> Floats:
    """``count`` numbers from -1 to 1."""
    return np.arange(count, dtype=np.float32) * np.float32(2 / max(count - 1, 1)) - 1


def _pixel(value: ArrayLike) -> NDArray[np.float64]:
    return (np.asarray(value, dtype=np.float64) + 1) / 2 * (_SIDE - 1)
