"""Drawn animals: one function per kind, every proportion and colour from the shape seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuroattn.data.simulate.drawn import Canvas, Colour, dim, facing, pick, vary

FURS: tuple[Colour, ...] = (
    (0.62, 0.42, 0.24), (0.85, 0.66, 0.42), (0.42, 0.4, 0.4), (0.93, 0.9, 0.85), (0.3, 0.2, 0.14),
)  # fmt: skip
BRIGHT: tuple[Colour, ...] = (
    (0.9, 0.35, 0.2), (0.95, 0.75, 0.2), (0.25, 0.5, 0.85), (0.35, 0.65, 0.35), (0.75, 0.35, 0.65),
)  # fmt: skip
BLACK: Colour = (0.07, 0.06, 0.06)
WHITE: Colour = (0.97, 0.97, 0.95)
PINK: Colour = (0.85, 0.5, 0.5)


def eye(canvas: Canvas, x: float, y: float, size: float, iris: Colour = BLACK) -> None:
    """A round eye with a glint."""
    canvas.ellipse((x, y), (size, size), iris, shade=0.1)
    canvas.ellipse((x, y), (0.62 * size, 0.8 * size), BLACK, shade=0)
    canvas.ellipse((x - 0.3 * size, y - 0.35 * size), (0.28 * size,) * 2, WHITE, shade=0)


def cat(canvas: Canvas, rng: np.random.Generator) -> None:
    """A sitting cat from the front."""
    fur, wide = pick(rng, FURS), rng.uniform(0.3, 0.42)
    side = float(rng.choice([-1, 1]))
    tail = [(side * 0.25, 0.68), (side * 0.62, 0.62), (side * 0.66, rng.uniform(0.05, 0.35))]
    canvas.limb(tail, (0.13, 0.1, 0.08), dim(fur, 0.85))
    canvas.blob(
        [(0, -0.1), (wide, 0.4), (0.8 * wide, 0.74), (-0.8 * wide, 0.74), (-wide, 0.4)], fur
    )
    canvas.blob([(0, 0.1), (0.14, 0.4), (0, 0.6), (-0.14, 0.4)], vary(rng, WHITE, 0.1), shade=0.1)
    for x in (-0.13, 0.13):
        canvas.ellipse((x, 0.7), (0.13, 0.09), vary(rng, fur, 0.04))
    _cat_head(canvas, rng, fur)


def _cat_head(canvas: Canvas, rng: np.random.Generator, fur: Colour) -> None:
    ear, wide = rng.uniform(0.24, 0.36), rng.uniform(0.38, 0.46)
    for x in (-1, 1):
        tip = (x * wide * 0.85, -0.46 - ear)
        canvas.polygon([(x * 0.08, -0.5), tip, (x * wide * 0.98, -0.3)], fur)
        inner = (tip[0] * 0.93, tip[1] + 0.09)
        canvas.polygon([(x * 0.16, -0.5), inner, (x * wide * 0.85, -0.38)], PINK)
    canvas.ellipse((0, -0.26), (wide, 0.33), fur)
    if rng.random() < 0.5:
        for stripe in (-0.14, 0, 0.14):
            canvas.limb([(stripe, -0.58), (stripe * 0.8, -0.42)], (0.06, 0.02), dim(fur, 0.55))
    iris = pick(rng, ((0.55, 0.7, 0.25), (0.85, 0.7, 0.2), (0.4, 0.65, 0.8)))
    for x in (-1, 1):
        eye(canvas, x * 0.42 * wide, -0.3, 0.085, iris)
        canvas.ellipse((x * 0.08, -0.08), (0.1, 0.075), vary(rng, WHITE, 0.06), shade=0.2)
    canvas.polygon([(-0.05, -0.18), (0.05, -0.18), (0, -0.11)], PINK)
    for x in (-1, 1):
        for rise in (-0.07, 0.02, 0.1):
            canvas.limb([(x * 0.14, -0.09), (x * 0.5, -0.1 + rise)], (0.014, 0.008), WHITE, shade=0)


def dog(canvas: Canvas, rng: np.random.Generator) -> None:
    """A dog's head and chest from the front, with hanging ears."""
    fur, patch = pick(rng, FURS), pick(rng, FURS)
    wide, long = rng.uniform(0.32, 0.42), rng.uniform(0.28, 0.5)
    canvas.blob([(-0.3, 0.1), (0.3, 0.1), (0.5, 0.85), (-0.5, 0.85)], dim(fur, 0.9))
    canvas.blob([(0, 0.25), (0.16, 0.5), (0, 0.8), (-0.16, 0.5)], WHITE, shade=0.15)
    canvas.blob(
        [(-wide, -0.45), (0, -0.68), (wide, -0.45), (wide, -0.05), (0, 0.2), (-wide, -0.05)], fur
    )
    for x in (-1, 1):
        ear = [(x * wide * 0.7, -0.58), (x * (wide + 0.2), -0.4), (x * (wide + 0.16), -0.4 + long)]
        canvas.blob([*ear, (x * wide * 0.95, -0.25)], dim(patch, 0.75))
    if rng.random() < 0.5:
        canvas.ellipse((0.45 * wide, -0.3), (0.17, 0.2), patch)
    canvas.ellipse((0, 0.02), (0.25, 0.22), vary(rng, WHITE, 0.1))
    canvas.limb([(0, 0.0), (0, 0.14)], (0.03, 0.03), BLACK, shade=0)
    canvas.limb([(-0.13, 0.13), (0, 0.17), (0.13, 0.13)], (0.03, 0.03), BLACK, shade=0)
    if rng.random() < 0.5:
        canvas.ellipse((0.02, 0.25), (0.075, 0.12), (0.9, 0.4, 0.45))
    canvas.ellipse((0, -0.08), (0.11, 0.08), BLACK)
    for x in (-1, 1):
        eye(canvas, x * 0.5 * wide, -0.3, 0.075, (0.35, 0.2, 0.1))
    canvas.limb([(-0.3, 0.33), (0, 0.42), (0.3, 0.33)], (0.08, 0.08), pick(rng, BRIGHT))


def rabbit(canvas: Canvas, rng: np.random.Generator) -> None:
    """A rabbit from the front."""
    fur, lean = pick(rng, FURS), rng.uniform(-0.12, 0.2)
    long = rng.uniform(0.24, 0.34)
    for x in (-1, 1):
        at = (x * 0.15 + lean * x, -0.56)
        canvas.ellipse(at, (0.1, long), fur, turn=x * (6 + 60 * lean))
        canvas.ellipse(at, (0.05, 0.75 * long), PINK, turn=x * (6 + 60 * lean))
    canvas.ellipse((0, 0.42), (rng.uniform(0.32, 0.42), 0.36), fur)
    canvas.ellipse((0, 0.46), (0.2, 0.25), vary(rng, WHITE, 0.05), shade=0.2)
    canvas.ellipse((0, -0.12), (0.31, 0.27), fur)
    for x in (-1, 1):
        eye(canvas, x * 0.15, -0.17, 0.065)
        canvas.ellipse((x * 0.07, 0.0), (0.09, 0.07), WHITE, shade=0.2)
        canvas.ellipse((x * 0.2, 0.74), (0.17, 0.08), vary(rng, fur, 0.05))
        canvas.ellipse((x * 0.15, 0.3), (0.07, 0.13), dim(fur, 0.9))
    canvas.ellipse((0, -0.06), (0.04, 0.03), PINK)
    canvas.box(-0.035, 0.05, 0.035, 0.12, WHITE, shade=0)


def bird(canvas: Canvas, rng: np.random.Generator) -> None:
    """A songbird on a branch, from the side."""
    side, coat, breast = float(rng.choice([-1, 1])), pick(rng, BRIGHT), pick(rng, BRIGHT)
    rise, fat = rng.uniform(-0.1, 0.1), rng.uniform(0.9, 1.15)
    at = facing(side)
    canvas.limb(at((-0.9, 0.62), (0.9, 0.5)), (0.09, 0.06), (0.4, 0.28, 0.18))
    canvas.blob(
        at((-0.3, 0.15), (-0.85, 0.42 + rise), (-0.8, 0.6 + rise), (-0.2, 0.4)), dim(coat, 0.7)
    )
    for x in (0.02, 0.16):
        canvas.limb(at((x, 0.4), (x + 0.03, 0.58)), (0.04, 0.04), (0.5, 0.35, 0.2))
    body = at((-0.45, 0.22), (-0.1, -0.16), (0.2, -0.5), (0.5, -0.4), (0.48, 0.1), (0.1, 0.45))
    canvas.blob(np.array(body) * (1, fat), coat)
    canvas.blob(at((0.5, -0.15), (0.46, 0.14), (0.12, 0.42), (0.2, 0.05)), breast, shade=0.3)
    canvas.blob(at((-0.62, 0.4), (-0.25, -0.02), (0.12, 0.02), (0.05, 0.3)), dim(coat, 0.6))
    canvas.ellipse((side * 0.34, -0.42 * fat), (0.23, 0.2), coat)
    beak = rng.uniform(0.14, 0.26)
    canvas.polygon(at((0.53, -0.5), (0.54 + beak, -0.38), (0.52, -0.32)), (0.95, 0.65, 0.15))
    eye(canvas, side * 0.4, -0.46, 0.055)


def fish(canvas: Canvas, rng: np.random.Generator) -> None:
    """A fish from the side."""
    side, scales, fins = float(rng.choice([-1, 1])), pick(rng, BRIGHT), pick(rng, BRIGHT)
    high = rng.uniform(0.28, 0.46)
    at = facing(side)
    spread = rng.uniform(0.26, 0.45)
    canvas.blob(at((-0.42, 0), (-0.82, -spread), (-0.68, 0), (-0.82, spread)), fins)
    canvas.blob(
        at((-0.3, -0.2), (-0.1, -high - 0.22), (0.3, -high - 0.08), (0.35, -0.2)), dim(fins, 0.85)
    )
    canvas.blob(at((-0.15, 0.2), (-0.1, high + 0.2), (0.2, 0.2)), dim(fins, 0.85))
    canvas.blob(
        at(
            (-0.55, 0),
            (-0.05, -high),
            (0.5, -0.6 * high),
            (0.78, 0.02),
            (0.5, 0.6 * high),
            (-0.05, high),
        ),
        scales,
    )
    if rng.random() < 0.6:
        for x in (-0.15, 0.15):
            reach = high * rng.uniform(0.7, 0.85)
            canvas.limb(
                at((x, -reach), (x + 0.07, 0), (x, reach)),
                (0.05, 0.11, 0.05),
                vary(rng, WHITE, 0.1),
            )
    canvas.limb(
        at((0.4, -0.3 * high), (0.34, 0.05), (0.4, 0.4 * high)),
        (0.02, 0.03, 0.02),
        dim(scales, 0.5),
    )
    canvas.blob(at((0.2, 0.05), (-0.1, 0.02), (-0.08, 0.22)), fins)
    canvas.ellipse((side * 0.55, -0.1), (0.1, 0.1), WHITE, shade=0.1)
    eye(canvas, side * 0.56, -0.1, 0.065)
    canvas.limb(at((0.76, 0.08), (0.64, 0.13)), (0.03, 0.03), dim(scales, 0.4), shade=0)


def butterfly(canvas: Canvas, rng: np.random.Generator) -> None:
    """A butterfly from above."""
    wing, inner = pick(rng, BRIGHT), pick(rng, BRIGHT)
    top, low = rng.uniform(0.5, 0.72), rng.uniform(0.35, 0.6)
    for x in (-1, 1):
        lower = np.array([(0.03, 0.02), (low * 0.9, 0.16), (low, 0.55), (0.22, 0.66)]) * (x, 1)
        upper = np.array([(0.03, 0.1), (0.2, -0.55), (top, -0.68), (top + 0.05, -0.15)]) * (x, 1)
        for shape, colour in ((lower, dim(wing, 0.85)), (upper, wing)):
            canvas.blob(shape, BLACK, shade=0)
            middle = shape.mean(axis=0)
            canvas.blob(middle + 0.84 * (shape - middle), colour)
            canvas.blob(middle + 0.35 * (shape - middle), inner)
    for x in (-1, 1):
        canvas.limb([(0, -0.4), (x * 0.12, -0.6), (x * 0.22, -0.74)], (0.025, 0.02), BLACK)
    canvas.limb([(0, -0.38), (0, 0.45)], (0.11, 0.13, 0.06), (0.2, 0.15, 0.12))


def elephant(canvas: Canvas, rng: np.random.Generator) -> None:
    """An elephant from the side."""
    side = float(rng.choice([-1, 1]))
    hide = pick(rng, ((0.55, 0.55, 0.58), (0.62, 0.57, 0.53), (0.45, 0.47, 0.52)))
    at = facing(side)
    for x in (-0.5, 0.12):
        canvas.limb(at((x + 0.14, 0.15), (x + 0.16, 0.66)), (0.22, 0.2), dim(hide, 0.65))
    canvas.limb(at((-0.66, -0.1), (-0.78, 0.25)), (0.05, 0.03), dim(hide, 0.7))
    canvas.blob(
        at((-0.68, 0), (-0.45, -0.42), (0.1, -0.46), (0.38, -0.1), (0.3, 0.32), (-0.55, 0.32)), hide
    )
    for x in (-0.52, 0.1):
        canvas.limb(at((x, 0.15), (x, 0.68)), (0.25, 0.21), hide)
        canvas.limb(at((x - 0.06, 0.72), (x + 0.06, 0.72)), (0.06, 0.06), dim(hide, 1.3), shade=0)
    curl = rng.uniform(-0.25, 0.35)
    canvas.limb(
        at((0.62, -0.2), (0.76, 0.15), (0.72 + curl * 0.3, 0.5), (0.8, 0.5 - curl)),
        (0.27, 0.17, 0.1),
        hide,
    )
    canvas.ellipse((side * 0.48, -0.3), (0.3, 0.29), hide)
    canvas.limb(at((0.6, -0.05), (0.72, 0.12), (0.86, 0.1)), (0.07, 0.03), WHITE)
    big = rng.uniform(0.24, 0.34)
    canvas.blob(
        at((0.36, -0.5), (0.36 - big, -0.48), (0.3 - big, -0.1), (0.28, 0.12), (0.42, -0.15)),
        dim(hide, 0.82),
    )
    eye(canvas, side * 0.62, -0.33, 0.045)


def horse(canvas: Canvas, rng: np.random.Generator) -> None:
    """A standing or trotting horse from the side."""
    side, coat = float(rng.choice([-1, 1])), pick(rng, FURS)
    mane = dim(pick(rng, FURS), 0.6)
    at = facing(side)
    step = rng.uniform(0, 0.16)
    for x, lift in ((-0.36, step), (0.28, -step)):
        canvas.limb(
            at((x, 0.1), (x + lift, 0.42), (x + 0.4 * lift, 0.74)),
            (0.15, 0.08, 0.07),
            dim(coat, 0.65),
        )
    canvas.limb(at((-0.55, -0.12), (-0.74, 0.12), (-0.72, 0.48)), (0.1, 0.14, 0.05), mane)
    canvas.blob(
        at(
            (-0.58, -0.12),
            (-0.3, -0.25),
            (0.1, -0.2),
            (0.4, -0.3),
            (0.42, 0.08),
            (0, 0.22),
            (-0.45, 0.2),
        ),
        coat,
    )
    for x, lift in ((-0.48, -step), (0.36, step)):
        canvas.limb(
            at((x, 0.05), (x + lift, 0.42), (x + 0.4 * lift, 0.74)), (0.2, 0.09, 0.08), coat
        )
        canvas.ellipse((side * (x + 0.4 * lift), 0.76), (0.06, 0.05), BLACK)
    low = rng.uniform(0, 0.12)
    canvas.limb(at((0.32, -0.08), (0.56, -0.55 + low)), (0.38, 0.22), coat)
    canvas.limb(at((0.25, -0.25), (0.42, -0.45), (0.52, -0.7 + low)), (0.1, 0.12, 0.06), mane)
    canvas.limb(at((0.55, -0.58 + low), (0.82, -0.33 + low)), (0.22, 0.13), coat)
    canvas.polygon(at((0.48, -0.64 + low), (0.53, -0.82 + low), (0.6, -0.64 + low)), coat)
    eye(canvas, side * 0.6, -0.57 + low, 0.035)
    canvas.ellipse((side * 0.83, -0.33 + low), (0.02, 0.02), BLACK, shade=0)


DRAWINGS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "bird": bird,
    "butterfly": butterfly,
    "cat": cat,
    "dog": dog,
    "elephant": elephant,
    "fish": fish,
    "horse": horse,
    "rabbit": rabbit,
}
