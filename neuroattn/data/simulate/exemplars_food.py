"""Drawn food: one function per kind, every proportion and colour from the shape seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuroattn.data.simulate.drawn import Canvas, Colour, bow, dim, pick, vary

WHITE: Colour = (0.96, 0.95, 0.92)
CRUST: Colour = (0.82, 0.58, 0.3)
GREEN: Colour = (0.35, 0.58, 0.22)
STEM: Colour = (0.36, 0.24, 0.12)
ICES: tuple[Colour, ...] = (
    (0.95, 0.7, 0.75), (0.97, 0.92, 0.78), (0.45, 0.28, 0.2), (0.65, 0.85, 0.65), (0.9, 0.6, 0.3),
)  # fmt: skip


def plate(canvas: Canvas, y: float = 0.5, wide: float = 0.8) -> None:
    """A plate seen from the front above."""
    canvas.ellipse((0, y + 0.04), (wide, 0.26), (0.35, 0.33, 0.32), shade=0)
    canvas.ellipse((0, y), (wide, 0.25), WHITE, shade=0.15)
    canvas.ellipse((0, y - 0.01), (0.74 * wide, 0.17), dim(WHITE, 0.9), shade=0.1)


def apple(canvas: Canvas, rng: np.random.Generator) -> None:
    """An apple with stem and leaf."""
    skin = pick(rng, ((0.8, 0.15, 0.13), (0.6, 0.75, 0.25), (0.9, 0.7, 0.25)))
    wide, low = rng.uniform(0.52, 0.64), rng.uniform(0.3, 0.45)
    shape = [(0, -0.38), (0.3, -0.48), (wide, -0.2), (low + 0.1, 0.45), (0.15, 0.62)]
    canvas.blob(shape + [(-x, y) for x, y in reversed(shape[1:])], skin, shade=0.5)
    canvas.ellipse((0, -0.38), (0.16, 0.05), dim(skin, 0.5), shade=0)
    lean = rng.uniform(-0.12, 0.12)
    canvas.limb([(0, -0.36), (lean, -0.72)], (0.05, 0.07), STEM)
    canvas.blob([(0.5 * lean, -0.55), (0.25, -0.75), (0.45, -0.66), (0.25, -0.52)], GREEN)
    canvas.ellipse(
        (-0.3 * wide - 0.05, -0.2), (0.09, 0.14), vary(rng, WHITE, 0.03), turn=25, shade=0
    )


def banana(canvas: Canvas, rng: np.random.Generator) -> None:
    """One to three bananas."""
    peel, bend = pick(rng, ((0.95, 0.82, 0.25), (0.85, 0.8, 0.35))), rng.uniform(0.2, 0.36)
    side = float(rng.choice([-1, 1]))
    count = int(rng.integers(1, 4))
    for index in range(count):
        shift = 0.2 * (index - (count - 1) / 2)
        path = bow((-0.6 * side, -0.38), (0.0, bend + 0.02), (0.62 * side, -0.2))
        path[:, 1] += shift
        shaded = dim(peel, 1 - 0.12 * (count - 1 - index))
        canvas.limb(path, (0.1, 0.28, 0.34, 0.28, 0.08), shaded, shade=0.5)
        canvas.limb(np.add(path[2:7], (0, 0.03)), (0.02, 0.03, 0.02), dim(peel, 0.75), shade=0)
        canvas.limb([path[0], path[0] - (0.02 * side, 0.12)], (0.1, 0.08), STEM)
        canvas.limb([path[-1], path[-1] + (0.02 * side, -0.03)], (0.09, 0.07), STEM)


def burger(canvas: Canvas, rng: np.random.Generator) -> None:
    """A burger with layers."""
    wide, bun = rng.uniform(0.58, 0.7), vary(rng, CRUST)
    canvas.round_box(-wide, 0.25, wide, 0.58, bun)
    layers = [(0.42, 0.2, 0.12), (0.95, 0.75, 0.2), GREEN, (0.8, 0.2, 0.15)]
    y = 0.3
    for index in (0, *(1 + rng.permutation(3))):
        deep = 0.16 if index == 0 else 0.09
        edge = wide + rng.uniform(0.0, 0.1)
        canvas.round_box(-edge, y - deep, edge, y + 0.04, vary(rng, layers[index]))
        y -= deep
    high = rng.uniform(0.38, 0.5)
    canvas.blob(
        [
            (-wide, y),
            (-0.85 * wide, y - 0.7 * high),
            (0, y - high),
            (0.85 * wide, y - 0.7 * high),
            (wide, y),
            (0, y + 0.06),
        ],
        bun,
        shade=0.45,
    )
    for x, up in rng.uniform((-0.6, 0.35), (0.6, 0.85), size=(12, 2)):
        canvas.ellipse(
            (x * wide, y - up * high * (1 - 0.5 * x * x)), (0.035, 0.022), (0.97, 0.9, 0.7)
        )


def cake(canvas: Canvas, rng: np.random.Generator) -> None:
    """A layered cake with icing and a cherry or candles."""
    plate(canvas, 0.56)
    sponge, cream = pick(rng, ((0.85, 0.65, 0.38), (0.4, 0.24, 0.15))), pick(rng, ICES)
    wide, top = rng.uniform(0.45, 0.58), rng.uniform(-0.25, -0.05)
    canvas.ellipse((0, 0.5), (wide, 0.14), dim(sponge, 0.85))
    canvas.box(-wide, top, wide, 0.5, sponge, shade=0.3)
    middle = (top + 0.5) / 2
    canvas.limb([(-wide, middle), (0, middle + 0.1), (wide, middle)], (0.08, 0.08), cream)
    for x in np.linspace(-0.85, 0.85, 6):
        drip = top + rng.uniform(0.12, 0.28)
        canvas.limb(
            [(x * wide, top), (x * wide, drip)], (0.19 * wide / 0.5, 0.14), cream, shade=0.2
        )
    canvas.ellipse((0, top), (1.04 * wide, 0.17), cream)
    if rng.random() < 0.5:
        canvas.ellipse((0, top - 0.13), (0.13, 0.13), (0.8, 0.1, 0.15), shade=0.5)
        return
    for x in np.linspace(-0.6, 0.6, int(rng.integers(2, 5))):
        canvas.limb([(x * wide, top - 0.02), (x * wide, top - 0.3)], (0.05, 0.05), pick(rng, ICES))
        canvas.ellipse((x * wide, top - 0.37), (0.04, 0.07), (1, 0.75, 0.2), shade=0)


def cherries(canvas: Canvas, rng: np.random.Generator) -> None:
    """Two or three cherries on their stems."""
    skin, big = pick(rng, ((0.75, 0.08, 0.14), (0.5, 0.05, 0.15))), rng.uniform(0.24, 0.31)
    top = (rng.uniform(-0.1, 0.2), -0.7)
    places = [(-0.36, 0.32), (0.34, 0.4), (0.02, 0.1)][: int(rng.integers(2, 4))]
    for x, y in reversed(places):
        canvas.limb([(x, y - 0.2), (0.6 * x + 0.05, -0.3), top], (0.04, 0.035, 0.05), GREEN)
        canvas.ellipse((x, y), (big, 0.95 * big), skin, shade=0.6)
        canvas.ellipse((x - 0.35 * big, y - 0.4 * big), (0.05, 0.04), WHITE, shade=0)
    canvas.blob([top, (top[0] + 0.25, -0.84), (top[0] + 0.5, -0.62), (top[0] + 0.2, -0.55)], GREEN)


def ice_cream(canvas: Canvas, rng: np.random.Generator) -> None:
    """Scoops on a cone."""
    count, wide = int(rng.integers(1, 4)), rng.uniform(0.28, 0.36)
    canvas.polygon([(-wide, 0.1), (wide, 0.1), (0, 0.86)], CRUST, shade=0.4)
    for step in (0.2, 0.45, 0.7):
        left, right = (
            (-wide * (1 - step), 0.1 + 0.76 * step),
            (wide * (1 - step), 0.1 + 0.76 * step),
        )
        canvas.limb(
            [left, (0.3 * wide * (1 - step), left[1] - 0.12)], (0.025, 0.025), dim(CRUST, 0.7)
        )
        canvas.limb(
            [right, (-0.3 * wide * (1 - step), right[1] - 0.12)], (0.025, 0.025), dim(CRUST, 0.7)
        )
    low, top = ((-0.22, -0.05), (0.22, -0.05)), -0.42 if count > 1 else -0.12
    below = {1: (), 2: ((0.0, -0.05),), 3: low}[count]
    for x, y in (*below, (0.0, top)):
        colour, size = pick(rng, ICES), 0.31 if count > 1 else 0.4
        canvas.ellipse((x, y), (size, size), colour, shade=0.4)
        for at in np.linspace(-0.8, 0.8, 4):
            canvas.ellipse(
                (x + at * size, y + 0.8 * size * (1 - 0.5 * at * at)), (0.08, 0.07), colour
            )
    canvas.round_box(-wide - 0.06, 0.06, wide + 0.06, 0.2, dim(CRUST, 0.85))


def pizza(canvas: Canvas, rng: np.random.Generator) -> None:
    """A whole pizza from above, with toppings and cuts."""
    big = rng.uniform(0.68, 0.78)
    crust, cheese = vary(rng, CRUST), pick(rng, ((0.95, 0.78, 0.35), (0.9, 0.5, 0.25)))
    canvas.ellipse((0, 0), (big, big), crust)
    canvas.ellipse((0, 0), (0.87 * big,) * 2, (0.75, 0.25, 0.12))
    canvas.ellipse((0, 0), (0.82 * big,) * 2, cheese, shade=0.2)
    tops: tuple[Colour, ...] = ((0.7, 0.15, 0.12), (0.25, 0.2, 0.18), GREEN, WHITE)
    chosen = rng.permutation(4)[:2]
    for index, angle in enumerate(np.linspace(0, 2 * np.pi, 13)[:-1] + rng.uniform(0, 1)):
        far = rng.uniform(0.15, 0.62) * big
        size = rng.uniform(0.06, 0.1)
        at = (far * float(np.cos(angle)), far * float(np.sin(angle)))
        canvas.ellipse(at, (size, 0.85 * size), vary(rng, tops[chosen[index % 2]]))
    for angle in np.arange(3) * np.pi / 3 + rng.uniform(0, 1):
        x, y = big * np.cos(angle), big * np.sin(angle)
        canvas.limb([(-x, -y), (x, y)], (0.02, 0.02), dim(crust, 0.6), shade=0)


def egg(canvas: Canvas, rng: np.random.Generator) -> None:
    """A fried egg, or two, in a pan."""
    pan = rng.uniform(0.58, 0.66)
    turn = rng.uniform(-0.6, 0.6)
    canvas.limb(
        [(0, 0), (0.95 * np.cos(turn), 0.95 * np.sin(turn))], (0.14, 0.12), (0.2, 0.17, 0.16)
    )
    canvas.ellipse((-0.08, 0), (pan, pan), (0.24, 0.24, 0.26))
    canvas.ellipse((-0.08, 0), (0.88 * pan,) * 2, (0.13, 0.13, 0.14))
    places = [(-0.08, 0.0)] if rng.random() < 0.5 else [(-0.28, -0.12), (0.12, 0.12)]
    for x, y in places:
        angle = np.linspace(0, 2 * np.pi, 9)[:-1]
        far = (0.42 if len(places) == 1 else 0.28) * rng.uniform(0.75, 1.1, size=8)
        white = np.stack([x + far * np.cos(angle), y + far * np.sin(angle)], axis=1)
        canvas.blob(white, WHITE, shade=0.1)
        yolk = (0.17 if len(places) == 1 else 0.13) * rng.uniform(0.9, 1.15)
        canvas.ellipse((x, y), (yolk, yolk), (0.97, 0.7, 0.15), shade=0.5)
        canvas.ellipse((x - 0.06, y - 0.06), (0.035, 0.03), WHITE, shade=0)


DRAWINGS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    "apple": apple,
    "banana": banana,
    "burger": burger,
    "cake": cake,
    "cherries": cherries,
    "fried egg": egg,
    "ice cream": ice_cream,
    "pizza": pizza,
}
