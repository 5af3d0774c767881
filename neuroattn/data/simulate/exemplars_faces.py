"""Drawn faces with a known expression, beside the photographed ones, whose is unknown."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from neuroattn.data.simulate.drawn import Canvas, Colour, bow, dim, pick, vary
from neuroattn.data.simulate.exemplars_bodies import CLOTHES, HAIRS, SKINS

WHITE: Colour = (0.96, 0.95, 0.93)
BLACK: Colour = (0.08, 0.07, 0.07)


def face(canvas: Canvas, rng: np.random.Generator, expression: float) -> None:
    """A face from the front; ``expression`` runs from sad (-1) to smiling (1)."""
    skin, hair = pick(rng, SKINS), pick(rng, HAIRS)
    wide, high = rng.uniform(0.46, 0.58), rng.uniform(0.62, 0.72)
    long = rng.random() < 0.5
    if long:
        canvas.blob(
            [
                (-wide - 0.1, -0.3),
                (0, -0.9),
                (wide + 0.1, -0.3),
                (wide + 0.12, 0.7),
                (-wide - 0.12, 0.7),
            ],
            hair,
        )
    canvas.blob([(-0.2, 0.5), (0.2, 0.5), (0.75, 0.95), (-0.75, 0.95)], pick(rng, CLOTHES))
    canvas.limb([(0, 0.4), (0, 0.8)], (0.34, 0.36), dim(skin, 0.85))
    for x in (-1, 1):
        canvas.ellipse((x * wide, 0.02), (0.09, 0.14), dim(skin, 0.92))
    jaw = rng.uniform(0.62, 0.9)
    outline = [
        (0, -high),
        (wide, -0.28),
        (jaw * wide, 0.38),
        (0, high),
        (-jaw * wide, 0.38),
        (-wide, -0.28),
    ]
    canvas.blob(outline, skin, shade=0.22)
    _hair(canvas, rng, (wide, high), hair)
    _eyes(canvas, rng, wide, expression, dim(hair, 0.8))
    _nose_and_mouth(canvas, rng, skin, expression)
    if not long and rng.random() < 0.25:
        canvas.blob([(-0.24, 0.28), (0, 0.24), (0.24, 0.28), (0, 0.34)], dim(hair, 0.9), shade=0.1)


def _hair(
    canvas: Canvas, rng: np.random.Generator, size: tuple[float, float], hair: Colour
) -> None:
    wide, high = size
    line = rng.uniform(-0.5, -0.36)
    part = rng.uniform(-0.3, 0.3)
    canvas.blob(
        [(-wide - 0.04, -0.1), (-wide, -0.55), (0, -high - 0.16), (wide, -0.55),
         (wide + 0.04, -0.1), (0.82 * wide, line + 0.08), (part, line - 0.08),
         (-0.82 * wide, line + 0.08)],
        hair,
    )  # fmt: skip


def _eyes(
    canvas: Canvas, rng: np.random.Generator, wide: float, expression: float, brow: Colour
) -> None:
    apart, y = rng.uniform(0.4, 0.48) * wide, rng.uniform(-0.12, -0.04)
    big = rng.uniform(0.9, 1.15)
    iris = pick(rng, ((0.3, 0.2, 0.1), (0.3, 0.45, 0.65), (0.35, 0.45, 0.25)))
    for x in (-1, 1):
        at = (x * apart, y)
        canvas.ellipse(at, (0.125 * big, 0.068 * big), WHITE, shade=0.1)
        canvas.ellipse(at, (0.062 * big, 0.064 * big), iris, shade=0.1)
        canvas.ellipse(at, (0.034, 0.036), BLACK, shade=0)
        lid = [
            (x * (apart - 0.13), y - 0.02),
            (x * apart, y - 0.085),
            (x * (apart + 0.13), y - 0.01),
        ]
        canvas.limb(lid, (0.02, 0.035, 0.02), BLACK, shade=0)
        slope = 0.06 * -min(expression, 0.0)
        inner, outer = (x * (apart - 0.15), y - 0.2 - slope), (x * (apart + 0.15), y - 0.19 + slope)
        canvas.limb([inner, (x * apart, y - 0.225), outer], (0.05, 0.055, 0.03), brow)
        if x == 1 and rng.random() < 0.3:
            _glasses(canvas, apart, y)


def _glasses(canvas: Canvas, apart: float, y: float) -> None:
    for x in (-apart, apart):
        turn = np.linspace(0, 2 * np.pi, 20)
        ring = np.stack([x + 0.18 * np.cos(turn), y + 0.14 * np.sin(turn)], axis=1)
        canvas.limb(ring, (0.03, 0.03), BLACK, shade=0)
    canvas.limb([(-apart + 0.18, y), (apart - 0.18, y)], (0.03, 0.03), BLACK, shade=0)


def _nose_and_mouth(
    canvas: Canvas, rng: np.random.Generator, skin: Colour, expression: float
) -> None:
    broad = rng.uniform(0.07, 0.11)
    canvas.limb([(0.02, -0.06), (0.02, 0.16)], (0.04, 0.09), dim(skin, 0.9), shade=0.1)
    canvas.ellipse((0, 0.17), (broad, 0.06), dim(skin, 0.88), shade=0.3)
    for x in (-1, 1):
        canvas.ellipse((x * 0.5 * broad, 0.2), (0.022, 0.016), dim(skin, 0.45), shade=0)
    lips = vary(rng, (0.72, 0.3, 0.3), 0.08)
    y, reach, bend = 0.4, rng.uniform(0.17, 0.22) + 0.05 * max(expression, 0.0), 0.1 * expression
    if expression > 0.45:  # teeth show
        smile = [(-reach, y - bend), (0, y + 0.3 * bend), (reach, y - bend), (0, y + 1.7 * bend)]
        canvas.blob(smile, lips)
        middle = np.array([0.0, y + 0.2 * bend])
        canvas.blob(middle + 0.72 * (np.array(smile) - middle), WHITE, shade=0)
        return
    line = bow((-reach, y - bend), (0, y + bend), (reach, y - bend))
    canvas.limb(line, (0.035, 0.085, 0.035), lips)
    canvas.limb(line, (0.02, 0.02), dim(lips, 0.5), shade=0)


def expression_of(rng: np.random.Generator) -> float:
    """The expression of a shape seed: the first number that it draws."""
    return float(rng.uniform(-1, 1))


def drawn_face(canvas: Canvas, rng: np.random.Generator) -> None:
    """A face whose expression comes first from its shape seed, as `expression_of` reads it."""
    face(canvas, rng, expression_of(rng))


DRAWINGS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {"face": drawn_face}
