"""Drawn vehicles: one function per kind, every proportion and colour from the shape seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuroattn.data.simulate.drawn import Canvas, Colour, dim, facing, pick, vary

PAINTS: tuple[Colour, ...] = (
    (0.78, 0.16, 0.14), (0.18, 0.35, 0.7), (0.92, 0.75, 0.18), (0.2, 0.5, 0.35), (0.9, 0.9, 0.9),
    (0.35, 0.36, 0.4),
)  # fmt: skip
GLASS: Colour = (0.6, 0.78, 0.88)
HUB: Colour = (0.75, 0.75, 0.77)
LAMP: Colour = (1.0, 0.92, 0.6)
DARK: Colour = (0.14, 0.14, 0.15)
WOOD: Colour = (0.55, 0.36, 0.2)


def car(canvas: Canvas, rng: np.random.Generator) -> None:
    """A car from the side."""
    side, paint = float(rng.choice([-1, 1])), pick(rng, PAINTS)
    roof, back, front = rng.uniform(-0.5, -0.32), rng.uniform(-0.6, -0.45), rng.uniform(0.25, 0.42)
    at = facing(side)
    canvas.ellipse((0, 0.48), (0.82, 0.07), DARK, shade=0)
    canvas.polygon(
        at((back, 0.02), (back + 0.16, roof), (front - 0.26, roof), (front, 0.02)), paint
    )
    canvas.polygon(
        at((back + 0.09, 0.0), (back + 0.2, roof + 0.07), (-0.12, roof + 0.07), (-0.12, 0.0)), GLASS
    )
    canvas.polygon(
        at((-0.05, 0.0), (-0.05, roof + 0.07), (front - 0.3, roof + 0.07), (front - 0.09, 0.0)),
        GLASS,
    )
    canvas.blob(
        at(
            (-0.85, 0.1),
            (-0.6, -0.02),
            (0.5, -0.02),
            (0.82, 0.1),
            (0.84, 0.36),
            (0, 0.42),
            (-0.86, 0.36),
        ),
        paint,
        shade=0.45,
    )
    canvas.limb(at((-0.08, 0.02), (-0.08, 0.34)), (0.015, 0.015), dim(paint, 0.6), shade=0)
    canvas.limb(at((0.0, 0.1), (0.1, 0.1)), (0.03, 0.03), dim(paint, 0.6), shade=0)
    canvas.ellipse((side * 0.8, 0.15), (0.05, 0.06), LAMP, shade=0)
    for x in (-0.5, 0.5):
        canvas.wheel((x, 0.36), 0.18, HUB)


def bus(canvas: Canvas, rng: np.random.Generator) -> None:
    """A bus from the side, with one deck or two."""
    side, paint = float(rng.choice([-1, 1])), pick(rng, PAINTS)
    decks = int(rng.integers(1, 3))
    top = -0.35 if decks == 1 else -0.66
    canvas.ellipse((0, 0.6), (0.85, 0.06), DARK, shade=0)
    canvas.round_box(-0.82, top, 0.82, 0.54, paint, shade=0.3)
    count = int(rng.integers(4, 6))
    for deck in range(decks):
        y = top + 0.1 + 0.44 * deck
        for x in np.linspace(-0.72, 0.72, count + 1)[:-1]:
            canvas.box(x, y, x + 1.44 / count - 0.06, y + 0.27, GLASS, shade=0.3)
    canvas.box(-0.8, 0.2, 0.8, 0.27, dim(paint, 0.6), shade=0)
    door = side * 0.62
    canvas.box(door - 0.1, 0.0, door + 0.1, 0.5, dim(GLASS, 0.7))
    canvas.ellipse((side * 0.79, 0.38), (0.04, 0.05), LAMP, shade=0)
    for x in (-0.48, 0.38):
        canvas.wheel((side * x, 0.54), 0.16, HUB)


def truck(canvas: Canvas, rng: np.random.Generator) -> None:
    """A lorry from the side, its load a box or a heap."""
    side, paint, load = float(rng.choice([-1, 1])), pick(rng, PAINTS), pick(rng, PAINTS)
    at = facing(side)
    cab = rng.uniform(-0.3, -0.15)
    canvas.ellipse((0, 0.56), (0.85, 0.06), DARK, shade=0)
    canvas.polygon(at((-0.84, 0.3), (0.8, 0.3), (0.8, 0.42), (-0.84, 0.42)), DARK)
    if rng.random() < 0.6:
        canvas.polygon(at((-0.84, -0.5), (0.26, -0.5), (0.26, 0.32), (-0.84, 0.32)), load)
        for x in (-0.55, -0.28, 0.0):
            canvas.limb(at((x, -0.48), (x, 0.3)), (0.015, 0.015), dim(load, 0.75), shade=0)
    else:
        canvas.blob(at((-0.8, 0), (-0.3, -0.42), (0.2, 0.0)), (0.5, 0.4, 0.3))
        canvas.polygon(at((-0.88, -0.05), (0.28, -0.05), (0.2, 0.32), (-0.8, 0.32)), load)
    canvas.polygon(
        at((0.32, cab - 0.1), (0.62, cab - 0.1), (0.82, 0.12), (0.84, 0.36), (0.32, 0.36)), paint
    )
    canvas.polygon(at((0.42, cab - 0.02), (0.59, cab - 0.02), (0.72, 0.1), (0.42, 0.1)), GLASS)
    canvas.ellipse((side * 0.8, 0.24), (0.04, 0.05), LAMP, shade=0)
    for x in (-0.6, -0.28, 0.58):
        canvas.wheel((side * x, 0.44), 0.16, HUB)


def bicycle(canvas: Canvas, rng: np.random.Generator) -> None:
    """A bicycle from the side."""
    side, paint = float(rng.choice([-1, 1])), pick(rng, PAINTS)
    big, apart = rng.uniform(0.32, 0.38), rng.uniform(0.44, 0.5)
    at = facing(side)
    angle = np.linspace(0, 2 * np.pi, 25)
    for x in (-apart, apart):
        ring = np.stack([x + big * np.cos(angle), 0.28 + big * np.sin(angle)], axis=1)
        for turn in np.arange(4) * np.pi / 4:
            across, down = big * float(np.cos(turn)), big * float(np.sin(turn))
            spoke = [(x - across, 0.28 - down), (x + across, 0.28 + down)]
            canvas.limb(spoke, (0.014, 0.014), HUB, shade=0)
        canvas.limb(ring, (0.07, 0.07), DARK)
    seat, crank, head = (-0.22, -0.2), (-0.05, 0.3), (0.32, -0.22)
    canvas.limb(at((-apart, 0.28), seat, head, crank, (-apart, 0.28)), (0.07, 0.07), paint)
    canvas.limb(at(crank, (-0.25, -0.32)), (0.07, 0.06), paint)
    canvas.limb(at((apart, 0.28), head, (0.29, -0.42)), (0.07, 0.06), paint)
    canvas.limb(
        at((0.2, -0.46), (0.3, -0.44), (0.42, -0.5 + rng.uniform(0, 0.2))), (0.06, 0.06), DARK
    )
    canvas.limb(at((-0.36, -0.36), (-0.14, -0.34)), (0.1, 0.06), DARK)
    canvas.ellipse((side * crank[0], crank[1]), (0.09, 0.09), HUB)


def boat(canvas: Canvas, rng: np.random.Generator) -> None:
    """A sailing boat on water."""
    side, hull, sail = (
        float(rng.choice([-1, 1])),
        pick(rng, (*PAINTS, WOOD)),
        vary(rng, (0.93, 0.9, 0.85), 0.07),
    )
    at = facing(side)
    mast, top = rng.uniform(-0.05, 0.1), rng.uniform(-0.85, -0.7)
    for index in range(4):
        y = 0.55 + 0.12 * index
        wave = [(x, y + 0.03 * np.sin(9 * x + index)) for x in np.linspace(-1, 1, 24)]
        canvas.limb(wave, (0.14, 0.14), vary(rng, (0.3, 0.5, 0.65), 0.05), shade=0)
    canvas.limb(at((mast, 0.35), (mast, top)), (0.045, 0.035), WOOD)
    canvas.polygon(at((mast - 0.03, top + 0.05), (mast - 0.03, 0.2), (-0.6, 0.2)), sail, shade=0.3)
    canvas.polygon(
        at((mast + 0.04, top + 0.12), (mast + 0.04, 0.2), (0.55, 0.2)), dim(pick(rng, PAINTS), 0.95)
    )
    canvas.polygon(at((-0.72, 0.3), (0.82, 0.3), (0.56, 0.6), (-0.52, 0.6)), hull, shade=0.4)
    canvas.limb(at((-0.68, 0.36), (0.76, 0.36)), (0.04, 0.04), dim(hull, 0.6), shade=0)


def aeroplane(canvas: Canvas, rng: np.random.Generator) -> None:
    """An airliner from the side."""
    side, paint = float(rng.choice([-1, 1])), pick(rng, PAINTS)
    body, fat = vary(rng, (0.9, 0.9, 0.92), 0.06), rng.uniform(0.14, 0.2)
    at = facing(side)
    canvas.polygon(at((-0.05, -0.08), (-0.3, -0.48), (-0.18, -0.48), (0.22, -0.08)), dim(body, 0.7))
    tail = rng.uniform(-0.6, -0.45)
    canvas.polygon(at((-0.84, tail), (-0.68, tail), (-0.45, -0.05), (-0.78, 0.0)), paint)
    canvas.blob(
        at((-0.88, -0.06), (-0.5, -fat), (0.55, -fat), (0.88, 0.03), (0.55, fat), (-0.45, fat)),
        body,
        shade=0.5,
    )
    canvas.limb(at((-0.7, 0.05), (0.8, 0.06)), (0.05, 0.05), paint, shade=0)
    for x in np.linspace(-0.45, 0.52, int(rng.integers(7, 11))):
        canvas.ellipse((side * x, -0.04), (0.03, 0.035), (0.25, 0.35, 0.45), shade=0)
    canvas.polygon(at((0.66, -0.1), (0.76, -0.08), (0.8, -0.01), (0.66, -0.02)), (0.25, 0.35, 0.45))
    canvas.polygon(
        at((0.2, 0.05), (-0.08, 0.05), (-0.42, 0.55), (-0.28, 0.55)), dim(body, 0.8), shade=0.4
    )
    canvas.ellipse((side * 0.03, 0.24), (0.13, 0.07), dim(paint, 0.8))
    canvas.polygon(at((-0.62, 0.0), (-0.8, 0.0), (-0.9, 0.22), (-0.82, 0.22)), dim(body, 0.75))


def train(canvas: Canvas, rng: np.random.Generator) -> None:
    """A steam engine from the side."""
    side, paint, trim = float(rng.choice([-1, 1])), pick(rng, PAINTS), pick(rng, PAINTS)
    at = facing(side)
    canvas.limb([(-0.95, 0.66), (0.95, 0.66)], (0.05, 0.05), (0.4, 0.38, 0.36))
    for puff in range(3):
        grey = vary(rng, (0.85, 0.85, 0.86), 0.05)
        canvas.ellipse(
            (side * (0.5 - 0.22 * puff), -0.62 - 0.05 * puff), (0.13 + 0.03 * puff, 0.1), grey
        )
    roof = rng.uniform(-0.5, -0.4)
    canvas.polygon(at((-0.78, roof), (-0.22, roof), (-0.22, 0.35), (-0.78, 0.35)), paint)
    canvas.polygon(
        at((-0.86, roof - 0.08), (-0.14, roof - 0.08), (-0.18, roof + 0.03), (-0.82, roof + 0.03)),
        trim,
    )
    canvas.polygon(
        at((-0.66, roof + 0.12), (-0.34, roof + 0.12), (-0.34, -0.05), (-0.66, -0.05)), GLASS
    )
    canvas.limb(at((-0.2, 0.1), (0.6, 0.1)), (0.44, 0.44), paint, shade=0.5)
    for x in (0.0, 0.3, 0.62):
        canvas.limb(at((x, -0.1), (x, 0.3)), (0.04, 0.04), trim, shade=0.4)
    canvas.polygon(
        at((0.42, -0.1), (0.46, -0.35), (0.38, -0.5), (0.66, -0.5), (0.58, -0.35), (0.62, -0.1)),
        DARK,
    )
    canvas.ellipse((side * 0.1, -0.14), (0.09, 0.1), trim)
    canvas.polygon(at((0.72, 0.36), (0.92, 0.62), (0.6, 0.62)), trim)
    canvas.box(-0.8, 0.3, 0.8, 0.42, DARK)
    for x, size in ((-0.52, 0.2), (-0.08, 0.2), (0.3, 0.14), (0.6, 0.14)):
        canvas.wheel((side * x, 0.64 - size), size, dim(trim, 0.9))


DRAWINGS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "aeroplane": aeroplane,
    "bicycle": bicycle,
    "boat": boat,
    "bus": bus,
    "car": car,
    "train": train,
    "truck": truck,
}
