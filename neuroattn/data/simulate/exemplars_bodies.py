"""Drawn human figures, seen from behind: bodies without a face, so that the two stay apart.

One figure, many poses. Angles are in degrees from straight down, positive to the right of the
picture; a pose gives those of the upper and lower arms and legs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from neuroattn.data.simulate.drawn import Canvas, Colour, Points, dim, pick

SKINS: tuple[Colour, ...] = (
    (0.93, 0.76, 0.64), (0.8, 0.58, 0.42), (0.6, 0.4, 0.27), (0.4, 0.26, 0.18), (0.87, 0.68, 0.5),
)  # fmt: skip
HAIRS: tuple[Colour, ...] = (
    (0.12, 0.09, 0.08), (0.35, 0.2, 0.1), (0.7, 0.52, 0.25), (0.55, 0.25, 0.12), (0.6, 0.6, 0.6),
)  # fmt: skip
CLOTHES: tuple[Colour, ...] = (
    (0.75, 0.2, 0.2), (0.2, 0.35, 0.65), (0.2, 0.5, 0.35), (0.9, 0.85, 0.78), (0.25, 0.25, 0.3),
    (0.85, 0.65, 0.2), (0.5, 0.3, 0.55),
)  # fmt: skip


@dataclass(frozen=True)
class Pose:
    """Angles (upper, lower) of the left and right limbs, and the lean of the trunk."""

    left_arm: tuple[float, float]
    right_arm: tuple[float, float]
    left_leg: tuple[float, float]
    right_leg: tuple[float, float]
    lean: float = 0.0


POSES = {
    "person": Pose((-12, -6), (12, 6), (-5, -4), (5, 4)),
    "runner": Pose((-55, 45), (50, 120), (-48, -95), (58, -5), 14),
    "walker": Pose((-28, -12), (28, 48), (-22, -34), (22, 12), 4),
    "dancer": Pose((-135, -165), (70, 110), (-8, -4), (75, -20), -8),
    "gymnast": Pose((-125, -135), (125, 135), (-40, -38), (40, 38)),
    "hiker": Pose((-20, 30), (30, 80), (-18, -30), (20, 4), 8),
}


def figure(canvas: Canvas, rng: np.random.Generator, kind: str) -> None:
    """A whole figure in the pose of its kind, mirrored by chance."""
    pose, side = POSES[kind], float(rng.choice([-1, 1]))
    skin, shirt, trousers = pick(rng, SKINS), pick(rng, CLOTHES), pick(rng, CLOTHES)
    hip = np.array([0.0, 0.1])
    lean = np.radians(pose.lean * side + rng.uniform(-4, 4))
    neck = hip + 0.5 * np.array([np.sin(lean), -np.cos(lean)])
    wide = rng.uniform(0.15, 0.21)
    across = np.array([np.cos(lean), np.sin(lean)])
    build: dict[str, Any] = {"skin": skin, "trousers": trousers, "short": rng.random() < 0.35}
    legs = (pose.left_leg, pose.right_leg)
    for sign, angles in sorted(zip((-1, 1), legs, strict=True), key=lambda leg: -leg[0] * side):
        _leg(canvas, hip + sign * side * 0.09 * across, _bend(rng, angles, side), **build)
    _arm(
        canvas, neck - side * wide * across, _bend(rng, pose.left_arm, side), skin, dim(shirt, 0.8)
    )
    _trunk(canvas, rng, (neck, hip, across * wide), shirt, trousers)
    if kind == "hiker":
        pack = (neck + hip) / 2 - (0, 0.03)
        canvas.ellipse(tuple(pack), (0.19, 0.23), pick(rng, CLOTHES))
        canvas.ellipse((pack[0], pack[1] + 0.08), (0.11, 0.09), dim(pick(rng, CLOTHES), 0.8))
    hand = _arm(canvas, neck + side * wide * across, _bend(rng, pose.right_arm, side), skin, shirt)
    if kind == "hiker":
        canvas.limb(
            [(hand[0], hand[1] - 0.12), (hand[0] + side * 0.05, 0.84)],
            (0.035, 0.03),
            (0.4, 0.27, 0.15),
        )
    _head(canvas, rng, neck + 0.17 * np.array([np.sin(lean), -np.cos(lean)]), skin)


def _bend(
    rng: np.random.Generator, angles: tuple[float, float], side: float
) -> tuple[float, float]:
    upper, lower = np.radians(np.array(angles) * side + rng.uniform(-9, 9, size=2))
    return float(upper), float(lower)


def _reach(start: Points, angle: float, length: float) -> Points:
    return start + length * np.array([np.sin(angle), np.cos(angle)])


def _leg(
    canvas: Canvas,
    hip: Points,
    angles: tuple[float, float],
    *,
    skin: Colour,
    trousers: Colour,
    short: bool,
) -> None:
    knee = _reach(hip, angles[0], 0.34)
    ankle = _reach(knee, angles[1], 0.32)
    canvas.limb([hip, knee, ankle], (0.19, 0.15, 0.1), skin if short else trousers)
    if short:
        canvas.limb([hip, (hip + 2 * knee) / 3], (0.21, 0.2), trousers)
    foot = ankle + np.array([0.05 * np.sign(angles[0] + 1e-3), 0.03])
    canvas.limb([ankle, foot], (0.1, 0.1), (0.15, 0.13, 0.13))


def _arm(
    canvas: Canvas, shoulder: Points, angles: tuple[float, float], skin: Colour, shirt: Colour
) -> Points:
    elbow = _reach(shoulder, angles[0], 0.25)
    hand = _reach(elbow, angles[1], 0.24)
    canvas.limb([shoulder, elbow, hand], (0.12, 0.1, 0.08), skin)
    canvas.limb([shoulder, (shoulder + 2 * elbow) / 3], (0.14, 0.13), shirt)
    return hand


def _trunk(
    canvas: Canvas,
    rng: np.random.Generator,
    frame: tuple[Points, Points, Points],
    shirt: Colour,
    trousers: Colour,
) -> None:
    neck, hip, half = frame
    down = (0, 0.06)
    canvas.blob(
        [neck - 1.15 * half, neck + 1.15 * half, hip + 0.95 * half, hip - 0.95 * half], shirt
    )
    if rng.random() < 0.3:  # a skirt
        hem = hip + np.array([0, rng.uniform(0.24, 0.34)])
        canvas.polygon([hip - half, hip + half, hem + 1.7 * half, hem - 1.7 * half], trousers)
    else:
        canvas.limb([hip - 0.6 * half + down, hip + 0.6 * half + down], (0.17, 0.17), trousers)


def _head(canvas: Canvas, rng: np.random.Generator, centre: Points, skin: Colour) -> None:
    hair, x, y = pick(rng, HAIRS), float(centre[0]), float(centre[1])
    canvas.limb([(x, y + 0.05), (x, y + 0.16)], (0.1, 0.12), dim(skin, 0.85))
    for sign in (-1, 1):
        canvas.ellipse((x + sign * 0.115, y + 0.02), (0.03, 0.045), skin)
    canvas.ellipse((x, y), (0.115, 0.135), skin)
    canvas.ellipse((x, y - 0.035), (0.125, 0.12), hair)
    if rng.random() < 0.4:
        canvas.blob(
            [(x - 0.13, y), (x, y - 0.12), (x + 0.13, y), (x + 0.11, y + 0.2), (x - 0.11, y + 0.2)],
            hair,
        )


DRAWINGS: dict[str, Callable[[Canvas, np.random.Generator], None]] = {
    kind: partial(figure, kind=kind) for kind in POSES
}
