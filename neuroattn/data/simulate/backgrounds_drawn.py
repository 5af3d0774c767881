"""Drawn places: landscapes, streets and rooms from a shape seed, in noise, layers and light.

Every function returns (`SIDE`, `SIDE`, 3) float32 in [0, 1], the whole of it a place: scenes
crop and mirror it, and lay things on top.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

from neuroattn.data.simulate.drawn import Colour, Floats, clouds, dim, pick, rgb, skyline, vary

SIDE: Final = 208
_ROWS: Final = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None]
_COLUMNS: Final = np.linspace(0, 1, SIDE, dtype=np.float32)[None, :]

Corners = Sequence[tuple[float, float]]


class Sheet:
    """A picture in layers; coordinates are fractions, x from the left and y from the top."""

    def __init__(self, base: Floats) -> None:
        self.pixels = np.array(np.broadcast_to(base, (SIDE, SIDE, 3)), dtype=np.float32)

    def lay(self, mask: ArrayLike, colour: ArrayLike) -> None:
        """Cover (side, side) ``mask`` in [0, 1] with a colour or a picture."""
        weight = np.asarray(mask, dtype=np.float32)[..., None]
        self.pixels += weight * (np.asarray(colour, dtype=np.float32) - self.pixels)

    def shape(self, corners: Corners, colour: Colour) -> None:
        """A polygon."""
        self._fill("polygon", corners, colour)

    def oval(self, x: float, y: float, wide: float, high: float, colour: Colour) -> None:
        """An ellipse around (x, y)."""
        self._fill("ellipse", [(x - wide, y - high), (x + wide, y + high)], colour)

    def box(self, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
        """A rectangle."""
        x0, x1, y0, y1 = (max(round(edge * (SIDE - 1)), 0) for edge in (left, right, top, bottom))
        if right > left and bottom > top:
            self.pixels[y0 : y1 + 1, x0 : x1 + 1] = rgb(colour)

    def speckle(self, rng: np.random.Generator, strength: float, coarse: int = 64) -> None:
        """Light and dark grain over all of it, so that no surface is flat."""
        self.pixels *= 1 + strength * clouds(rng, SIDE, coarse)[..., None]

    def finish(self, rng: np.random.Generator) -> Floats:
        """The picture with grain, in [0, 1]."""
        self.speckle(rng, 0.025, 100)
        return np.clip(self.pixels, 0, 1)

    def _fill(self, form: str, corners: Corners, colour: Colour) -> None:
        at = np.array(corners) * (SIDE - 1)
        low = np.clip(np.floor(at.min(axis=0)).astype(int), 0, SIDE - 1)
        high = np.clip(np.ceil(at.max(axis=0)).astype(int) + 1, low + 1, SIDE)
        mask = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])))
        getattr(ImageDraw.Draw(mask), form)([tuple(corner) for corner in at - low], fill=1)
        inside = np.asarray(mask, dtype=bool)[..., None]
        part = self.pixels[low[1] : high[1], low[0] : high[0]]
        np.copyto(part, rgb(colour), where=inside)


def blend(top: Colour, bottom: Colour, start: float = 0.0, end: float = 1.0) -> Floats:
    """A vertical gradient between two heights: (side, 1, 3)."""
    share = np.clip((_ROWS - start) / max(end - start, 1e-3), 0, 1)[..., None]
    return np.asarray((1 - share) * rgb(top) + share * rgb(bottom), dtype=np.float32)


def sky(rng: np.random.Generator, horizon: float) -> Sheet:
    """Sky down to ``horizon``: clear, clouded, or at dusk."""
    skies: tuple[tuple[Colour, Colour], ...] = (
        ((0.25, 0.5, 0.85), (0.75, 0.87, 0.95)),
        ((0.45, 0.6, 0.78), (0.88, 0.9, 0.9)),
        ((0.35, 0.4, 0.6), (0.95, 0.7, 0.5)),
        ((0.55, 0.6, 0.66), (0.8, 0.82, 0.83)),
    )
    top, bottom = skies[int(rng.integers(len(skies)))]
    sheet = Sheet(blend(vary(rng, top, 0.06), vary(rng, bottom, 0.05), 0, horizon))
    wisps = np.clip(clouds(rng, SIDE, 3, octaves=3) * 0.5 - rng.uniform(-0.1, 0.5), 0, 1)
    sheet.lay(np.clip(1.4 * wisps, 0, 0.9) * (horizon + 0.1 > _ROWS), (0.96, 0.96, 0.97))
    return sheet


def ridge(rng: np.random.Generator, level: float, rough: float, coarse: int = 3) -> Floats:
    """Whether a pixel lies below a jagged line around the height ``level``: (side, side)."""
    line = level + rough * skyline(rng, SIDE, coarse)
    return np.clip((_ROWS - line[None]) * SIDE + 0.5, 0, 1)


def tree(sheet: Sheet, rng: np.random.Generator, x: float, foot: float, high: float) -> None:
    """A leafy tree or a fir that stands at (x, foot)."""
    leaf = pick(rng, ((0.2, 0.4, 0.16), (0.3, 0.45, 0.15), (0.16, 0.33, 0.2)))
    bark: Colour = (0.3, 0.22, 0.15)
    sheet.box(x - 0.04 * high, foot - 0.4 * high, x + 0.04 * high, foot, bark)
    if rng.random() < 0.4:
        for step in range(4):
            y, wide = foot - high * (0.15 + 0.2 * step), high * (0.3 - 0.06 * step)
            sheet.shape([(x - wide, y), (x + wide, y), (x, y - 0.36 * high)], vary(rng, leaf, 0.04))
        return
    for dx, dy in rng.normal(0, 0.13, size=(7, 2)) * high:
        size = high * rng.uniform(0.12, 0.22)
        shade = dim(leaf, 1.15 - 1.2 * dy / high)
        sheet.oval(x + dx, foot - 0.65 * high + dy, size, 0.85 * size, shade)


def beach(rng: np.random.Generator) -> Floats:
    """Sea under the sky, foam, sand, and at times a palm or a parasol."""
    horizon, shore = rng.uniform(0.28, 0.42), rng.uniform(0.55, 0.68)
    sheet = sky(rng, horizon)
    sea = pick(rng, ((0.1, 0.35, 0.55), (0.12, 0.5, 0.55), (0.25, 0.4, 0.5)))
    waves = 1 + 0.09 * np.sin(
        clouds(rng, SIDE, 6) * 2 + 160 * np.sqrt(np.clip(_ROWS - horizon, 0, 1))
    )
    sheet.lay(
        horizon + 0 * _COLUMNS < _ROWS,
        blend(dim(sea, 0.85), dim(sea, 1.5), horizon, shore) * waves[..., None],
    )
    edge = (
        shore + rng.uniform(-0.15, 0.15) * (_COLUMNS - 0.5) + 0.02 * skyline(rng, SIDE, 5, 1)[None]
    )
    sand = vary(rng, (0.88, 0.77, 0.56), 0.06)
    grain = (1 + 0.06 * clouds(rng, SIDE, 50) + 0.04 * clouds(rng, SIDE, 6))[..., None]
    sheet.lay(np.clip((_ROWS - edge + 0.045) * 60, 0, 1), (0.95, 0.97, 0.97))
    sheet.lay(np.clip((_ROWS - edge) * 60, 0, 1), dim(sand, 0.75))
    sheet.lay(np.clip((_ROWS - edge - 0.05) * 30, 0, 1), rgb(sand) * grain)
    if rng.random() < 0.5:
        _palm(sheet, rng, float(rng.choice([0.12, 0.85])) + rng.uniform(-0.06, 0.06))
    if rng.random() < 0.5:
        x, y = rng.uniform(0.2, 0.8), rng.uniform(0.72, 0.85)
        sheet.box(x - 0.006, y - 0.05, x + 0.006, y + 0.1, (0.9, 0.9, 0.88))
        stripe = pick(rng, ((0.85, 0.25, 0.2), (0.2, 0.45, 0.7), (0.95, 0.75, 0.2)))
        for step, wide in enumerate((0.13, 0.08, 0.03)):
            colour = stripe if step % 2 == 0 else (0.95, 0.94, 0.9)
            sheet.shape([(x - wide, y), (x, y - 0.1), (x + wide, y)], colour)
    return sheet.finish(rng)


def _palm(sheet: Sheet, rng: np.random.Generator, x: float) -> None:
    top, lean = rng.uniform(0.15, 0.3), rng.uniform(-0.1, 0.1)
    trunk = [(x + lean, top), (x + lean + 0.02, top), (x + 0.035, 0.9), (x - 0.02, 0.9)]
    sheet.shape(trunk, (0.42, 0.31, 0.2))
    for angle in np.linspace(np.pi * 0.9, np.pi * 2.1, 8) + rng.uniform(-0.1, 0.1):
        reach = rng.uniform(0.17, 0.24)
        tip = (x + lean + reach * np.cos(angle), top + 0.55 * reach * np.sin(angle) + 0.08)
        middle = ((tip[0] + x + lean) / 2, (tip[1] + top) / 2 - 0.06)
        low = (middle[0], middle[1] + 0.035)
        sheet.shape([(x + lean + 0.01, top), middle, tip, low], vary(rng, (0.2, 0.45, 0.18), 0.06))


def mountain(rng: np.random.Generator) -> Floats:
    """Ridges one behind the other, snow on the far ones, a lake or a meadow in front."""
    sheet = sky(rng, 0.6)
    rock = pick(rng, ((0.38, 0.4, 0.46), (0.45, 0.38, 0.34), (0.32, 0.38, 0.42)))
    count = int(rng.integers(2, 5))
    for index in range(count):
        near = (index + 1) / count
        level = 0.3 + 0.3 * index / count
        mask = ridge(rng, level, 0.12 * (1.3 - near), 3 + index)
        light = 1 + 0.22 * clouds(rng, SIDE, 7, octaves=3) * near
        haze = rgb(rock) * near + rgb((0.68, 0.74, 0.82)) * (1 - near)
        sheet.lay(mask, haze * light[..., None])
        if index == 0 or (index == 1 and rng.random() < 0.6):
            low = ridge(rng, level + 0.06, 0.04, 12)
            sheet.lay(
                np.clip(mask - low, 0, 1),
                rgb((0.93, 0.95, 0.98)) * (0.5 + 0.5 * light[..., None]),
            )
    shore = rng.uniform(0.66, 0.76)
    if rng.random() < 0.5:  # a lake mirrors what stands above it
        mirrored = sheet.pixels[: int(shore * SIDE)][::-1]
        depth = SIDE - int(shore * SIDE)
        sheet.pixels[SIDE - depth :] = 0.65 * mirrored[:depth] + rgb((0.06, 0.13, 0.17))
        return sheet.finish(rng)
    meadow = vary(rng, (0.36, 0.5, 0.24), 0.06)
    sheet.lay(
        ridge(rng, shore, 0.02, 3),
        rgb(meadow) * (1 + 0.14 * clouds(rng, SIDE, 30, 2))[..., None],
    )
    for x in rng.uniform(0, 1, size=int(rng.integers(3, 9))):
        tree(sheet, rng, float(x), shore + rng.uniform(0.02, 0.1), rng.uniform(0.1, 0.2))
    return sheet.finish(rng)


def field(rng: np.random.Generator) -> Floats:
    """Rolling farmland with furrows that meet at the horizon, hedges, and at times a fence."""
    horizon = rng.uniform(0.35, 0.48)
    sheet = sky(rng, horizon)
    crop = pick(rng, ((0.8, 0.7, 0.3), (0.45, 0.6, 0.22), (0.6, 0.62, 0.25), (0.5, 0.36, 0.2)))
    sheet.lay(ridge(rng, horizon - 0.05, 0.02, 2), vary(rng, (0.4, 0.52, 0.34), 0.05))
    depth = np.clip(_ROWS - horizon, 1e-3, 1)
    across = (_COLUMNS - rng.uniform(0.2, 0.8)) / (depth + 0.02)
    rows = 0.5 + 0.5 * np.sin(across * rng.uniform(5, 9))
    light = 0.72 + 0.4 * rows * np.clip(6 * depth, 0, 1) + 0.12 * clouds(rng, SIDE, 60)
    sheet.lay(ridge(rng, horizon, 0.012, 2), rgb(crop) * light[..., None])
    for x in rng.uniform(0, 1, size=int(rng.integers(3, 8))):
        tree(sheet, rng, float(x), horizon + rng.uniform(0, 0.03), rng.uniform(0.06, 0.16))
    if rng.random() < 0.5:
        y, wood = rng.uniform(0.72, 0.85), vary(rng, (0.6, 0.5, 0.38), 0.1)
        for rail in (0.0, 0.06):
            sheet.box(0, y + rail, 1, y + rail + 0.018, wood)
        for x in np.arange(0.05, 1, 0.18):
            sheet.box(x, y - 0.04, x + 0.025, y + 0.13, dim(wood, 0.85))
    if rng.random() < 0.4:
        flower = pick(rng, ((0.85, 0.2, 0.2), (0.95, 0.9, 0.4), (0.75, 0.5, 0.85)))
        for x, y in rng.uniform((0, horizon + 0.08), (1, 1), size=(90, 2)):
            sheet.oval(x, y, 0.012 * y, 0.009 * y, vary(rng, flower, 0.08))
    return sheet.finish(rng)


def forest(rng: np.random.Generator) -> Floats:
    """Trunks in depth, leaves above, a floor of litter with patches of light."""
    leaf = pick(rng, ((0.22, 0.38, 0.16), (0.36, 0.42, 0.14), (0.14, 0.3, 0.2), (0.55, 0.38, 0.14)))
    far = vary(rng, (0.66, 0.76, 0.58), 0.08)
    texture = 1 + 0.22 * clouds(rng, SIDE, 10, octaves=3)
    sheet = Sheet(
        np.asarray(blend(dim(leaf, 1.3), far, 0, 0.6) * texture[..., None], dtype=np.float32)
    )
    floor = vary(rng, (0.36, 0.32, 0.17), 0.06)
    litter = 1 + 0.2 * clouds(rng, SIDE, 25, 3) + 0.12 * clouds(rng, SIDE, 3)
    sheet.lay(ridge(rng, rng.uniform(0.62, 0.7), 0.012), rgb(floor) * litter[..., None])
    bark = pick(rng, ((0.26, 0.19, 0.13), (0.4, 0.36, 0.32), (0.82, 0.8, 0.75), (0.36, 0.24, 0.16)))
    for near in np.sort(rng.uniform(0.1, 1, size=int(rng.integers(11, 20)))):
        x, wide = rng.uniform(0, 1), 0.012 + 0.045 * near**2
        colour = rgb(far) * (1 - near) * 0.8 + rgb(bark) * near
        foot, lean = 0.62 + 0.3 * near, rng.uniform(-0.03, 0.03)
        tone = (float(colour[0]), float(colour[1]), float(colour[2]))
        left = [(x - wide, foot), (x - 0.7 * wide + lean, 0), (x + lean, 0), (x, foot)]
        right = [(x, foot), (x + lean, 0), (x + 0.7 * wide + lean, 0), (x + wide, foot)]
        sheet.shape(left, tone)
        sheet.shape(right, dim(tone, 0.72))
    crown = clouds(rng, SIDE, 7, octaves=3) * 0.12 + 0.2 - _ROWS
    light = 1 + 0.35 * clouds(rng, SIDE, 35, 2)
    sheet.lay(np.clip(crown * 20, 0, 1), rgb(leaf) * light[..., None])
    bush = clouds(rng, SIDE, 6, octaves=3) * 0.07 - 1.0 + _ROWS
    sheet.lay(np.clip(bush * 20, 0, 1), rgb(dim(leaf, 0.75)) * light[..., None])
    return sheet.finish(rng)


def city(rng: np.random.Generator) -> Floats:
    """Rows of houses with windows behind a street."""
    sheet = sky(rng, 0.7)
    kerb = rng.uniform(0.7, 0.78)
    for far, low, high in ((True, 0.08, 0.4), (False, 0.2, 0.5)):
        x = rng.uniform(-0.15, 0.0)
        while x < 1:
            wide = rng.uniform(0.11, 0.2) if far else rng.uniform(0.17, 0.32)
            _house(sheet, rng, (x, rng.uniform(low, high), x + wide, kerb), far=far)
            x += wide + (rng.uniform(0, 0.1) if rng.random() < 0.3 else 0)
    sheet.box(0, kerb, 1, kerb + 0.05, vary(rng, (0.66, 0.64, 0.6), 0.05))
    road = rgb(vary(rng, (0.33, 0.33, 0.35), 0.05))
    sheet.lay(
        kerb + 0.05 + 0 * _COLUMNS < _ROWS, road * (1 + 0.07 * clouds(rng, SIDE, 60))[..., None]
    )
    middle = (kerb + 1.05) / 2
    for x in np.arange(rng.uniform(-0.1, 0.0), 1, 0.22):
        sheet.shape(
            [(x, middle), (x + 0.12, middle), (x + 0.11, middle + 0.02), (x - 0.01, middle + 0.02)],
            (0.9, 0.9, 0.85),
        )
    for x in rng.uniform(0, 1, size=int(rng.integers(0, 4))):
        tree(sheet, rng, float(x), kerb + 0.03, rng.uniform(0.2, 0.3))
    return sheet.finish(rng)


def _house(
    sheet: Sheet, rng: np.random.Generator, box: tuple[float, float, float, float], *, far: bool
) -> None:
    left, top, right, bottom = box
    walls: tuple[Colour, ...] = (
        (0.68, 0.4, 0.3), (0.8, 0.74, 0.62), (0.6, 0.62, 0.66), (0.75, 0.58, 0.4),
        (0.48, 0.5, 0.56),
    )  # fmt: skip
    wall = pick(rng, walls, 0.08)
    if far:
        wall = (0.5 * wall[0] + 0.33, 0.5 * wall[1] + 0.36, 0.5 * wall[2] + 0.4)
    sheet.box(left, top, right, bottom, wall)
    sheet.box(right - 0.012, top, right, bottom, dim(wall, 0.75))
    roof = rng.random()
    if roof < 0.4 and not far:
        slope = [(left - 0.01, top), ((left + right) / 2, top - 0.12), (right + 0.01, top)]
        sheet.shape(slope, vary(rng, (0.45, 0.25, 0.2), 0.08))
    elif roof < 0.7:
        sheet.box(left - 0.008, top, right + 0.008, top + 0.018, dim(wall, 0.65))
    glass = (
        dim((0.45, 0.55, 0.65), rng.uniform(0.5, 1.2)) if rng.random() < 0.7 else (0.95, 0.85, 0.5)
    )
    columns, step = max(int((right - left) / 0.06), 1), rng.uniform(0.065, 0.09)
    pitch = (right - left) / columns
    for y in np.arange(top + 0.04, bottom - 0.09, step):
        for column in range(columns):
            x = left + (column + 0.25) * pitch
            sheet.box(x, y, x + 0.5 * pitch, y + 0.6 * step, glass)
    if not far:
        x = left + rng.uniform(0.2, 0.7) * (right - left)
        sheet.box(
            x, bottom - 0.085, x + 0.045, bottom, pick(rng, ((0.35, 0.2, 0.15), (0.15, 0.3, 0.3)))
        )


def room(rng: np.random.Generator) -> Floats:
    """A room in perspective: walls, floor, a window or a picture, and furniture."""
    wall = pick(rng, ((0.85, 0.8, 0.7), (0.65, 0.75, 0.75), (0.8, 0.68, 0.6), (0.72, 0.72, 0.78)))
    left, right = rng.uniform(0.1, 0.24), rng.uniform(0.76, 0.9)
    top, foot = rng.uniform(0.08, 0.16), rng.uniform(0.6, 0.68)
    sheet = Sheet(np.asarray(blend(wall, dim(wall, 0.9)), dtype=np.float32))
    sheet.shape([(0, 0), (1, 0), (right, top), (left, top)], dim((0.95, 0.95, 0.93), 0.97))
    sheet.shape([(0, 0), (left, top), (left, foot), (0, 1)], dim(wall, 0.76))
    sheet.shape([(1, 0), (right, top), (right, foot), (1, 1)], dim(wall, 0.88))
    _floor(sheet, rng, (left, right, foot))
    sheet.box(left, foot - 0.02, right, foot, (0.93, 0.92, 0.9))
    x = rng.uniform(left + 0.06, (left + right) / 2 - 0.05)
    _window(sheet, rng, (x, top + 0.08, x + rng.uniform(0.18, 0.28), foot - 0.2))
    if rng.random() < 0.6:
        x = (left + right) / 2 + rng.uniform(0.06, 0.14)
        sheet.box(x, top + 0.1, x + 0.15, top + 0.27, (0.35, 0.25, 0.15))
        for share in (0.0, 0.5):
            tone = vary(rng, (0.55, 0.6, 0.5), 0.25)
            sheet.box(x + 0.015, top + 0.115 + 0.14 * share, x + 0.135, top + 0.255, tone)
    furniture = (_sofa, _table, _bed)
    furniture[int(rng.integers(3))](sheet, rng, foot)
    if rng.random() < 0.6:
        x = float(rng.choice([left + 0.02, right - 0.02]))
        sheet.box(x - 0.006, foot - 0.28, x + 0.006, foot + 0.05, (0.3, 0.28, 0.26))
        shade = vary(rng, (0.95, 0.85, 0.6), 0.06)
        sheet.shape(
            [
                (x - 0.035, foot - 0.38),
                (x + 0.035, foot - 0.38),
                (x + 0.065, foot - 0.26),
                (x - 0.065, foot - 0.26),
            ],
            shade,
        )
    return sheet.finish(rng)


def _floor(sheet: Sheet, rng: np.random.Generator, frame: tuple[float, float, float]) -> None:
    left, right, foot = frame
    wood = rgb(pick(rng, ((0.62, 0.44, 0.28), (0.45, 0.32, 0.22), (0.72, 0.68, 0.62))))
    depth = np.clip(_ROWS - foot, 1e-3, 1)
    boards = np.floor((_COLUMNS - 0.5) / (depth + 0.35) * 9)
    tone = 0.9 + 0.1 * np.sin(boards * 12.9) + 0.05 * clouds(rng, SIDE, 20)
    slope = depth / (1 - foot)
    inside = (
        (foot < _ROWS) & (left * (1 - slope) < _COLUMNS) & (right + (1 - right) * slope > _COLUMNS)
    )
    sheet.lay(inside, wood * tone[..., None])
    if rng.random() < 0.5:
        sheet.oval(
            0.5, (foot + 1) / 2 + 0.06, 0.32, 0.1, pick(rng, ((0.6, 0.25, 0.22), (0.3, 0.4, 0.55)))
        )


def _window(sheet: Sheet, rng: np.random.Generator, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    sheet.box(left - 0.015, top - 0.015, right + 0.015, bottom + 0.02, (0.95, 0.94, 0.92))
    sheet.box(left, top, right, bottom, vary(rng, (0.7, 0.85, 0.95), 0.06))
    sheet.box(left, bottom - 0.06, right, bottom, vary(rng, (0.4, 0.55, 0.35), 0.06))
    middle, height = (left + right) / 2, (top + bottom) / 2
    sheet.box(middle - 0.006, top, middle + 0.006, bottom, (0.95, 0.94, 0.92))
    sheet.box(left, height - 0.006, right, height + 0.006, (0.95, 0.94, 0.92))
    cloth = pick(rng, ((0.7, 0.3, 0.28), (0.35, 0.45, 0.6), (0.85, 0.8, 0.6)))
    for x, sign in ((left, -1), (right, 1)):
        edge = (x + sign * 0.05, x - sign * 0.02)
        sheet.box(min(edge), top - 0.03, max(edge), bottom + 0.05, cloth)


def _sofa(sheet: Sheet, rng: np.random.Generator, foot: float) -> None:
    cloth = pick(rng, ((0.55, 0.25, 0.25), (0.3, 0.4, 0.5), (0.45, 0.45, 0.35), (0.75, 0.65, 0.5)))
    x, y = rng.uniform(0.25, 0.4), foot + 0.12
    sheet.box(x, y - 0.24, x + 0.44, y, dim(cloth, 0.85))
    sheet.box(x + 0.03, y - 0.12, x + 0.41, y - 0.03, cloth)
    for edge in (x - 0.04, x + 0.4):
        sheet.box(edge, y - 0.17, edge + 0.08, y + 0.02, dim(cloth, 0.95))
    for share in (0.07, 0.25):
        sheet.box(x + share, y - 0.21, x + share + 0.12, y - 0.1, vary(rng, cloth, 0.25))


def _table(sheet: Sheet, rng: np.random.Generator, foot: float) -> None:
    wood = pick(rng, ((0.5, 0.33, 0.2), (0.36, 0.22, 0.14), (0.8, 0.78, 0.72)))
    x, y = rng.uniform(0.22, 0.36), foot + 0.03
    sheet.shape([(x + 0.04, y - 0.06), (x + 0.42, y - 0.06), (x + 0.48, y), (x - 0.02, y)], wood)
    sheet.box(x - 0.02, y, x + 0.48, y + 0.025, dim(wood, 0.7))
    for leg in (x, x + 0.43):
        sheet.box(leg, y + 0.02, leg + 0.03, y + 0.22, dim(wood, 0.8))
    seat = x + rng.choice([-0.14, 0.5])
    sheet.box(seat, y - 0.16, seat + 0.02, y + 0.2, dim(wood, 0.6))
    sheet.box(seat, y + 0.03, seat + 0.13, y + 0.06, dim(wood, 0.65))
    sheet.box(seat + 0.11, y + 0.05, seat + 0.13, y + 0.2, dim(wood, 0.6))


def _bed(sheet: Sheet, rng: np.random.Generator, foot: float) -> None:
    cloth = pick(rng, ((0.35, 0.45, 0.6), (0.7, 0.35, 0.35), (0.55, 0.6, 0.45)))
    x = rng.uniform(0.25, 0.4)
    sheet.box(x, foot - 0.2, x + 0.42, foot + 0.05, (0.42, 0.28, 0.18))
    sheet.shape(
        [(x, foot), (x + 0.42, foot), (x + 0.5, foot + 0.24), (x - 0.08, foot + 0.24)], cloth
    )
    sheet.box(x - 0.08, foot + 0.24, x + 0.5, foot + 0.3, dim(cloth, 0.75))
    for share in (0.03, 0.23):
        sheet.box(x + share, foot - 0.05, x + share + 0.16, foot + 0.04, (0.94, 0.93, 0.9))


DRAWINGS: dict[str, Callable[[np.random.Generator], Floats]] = {
    "beach": beach,
    "city": city,
    "field": field,
    "forest": forest,
    "mountain": mountain,
    "room": room,
}
