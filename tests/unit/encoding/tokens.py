"""Synthetic tokens with planted routing, of which the right readout and the oracle are known.

Background tokens are normal. Every region has a category direction u; in each picture one token,
at a random place, carries it (+4 u). What a region's targets respond to are the other channels
of *that* token: content routes, and no fixed place or average can know where to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import pandas as pd

Array = np.ndarray[Any, Any]

SIDE, DIM, PER_REGION = 6, 16, 20
TOKENS = SIDE * SIDE
CEILING = 0.6  # share of the variance of the averaged responses that is signal


class Truth(Enum):
    """What routes."""

    content = "content"
    place = "place"
    both = "both"  # content, among the tokens of one half of the field


@dataclass(frozen=True, eq=False)
class World:
    """Tokens (images, tokens, dim), responses, the noiseless responses, and where each reads."""

    values: Array
    responses: Array
    signal: Array
    targets: pd.DataFrame
    directions: Array  # (regions, dim)
    where: Array  # (images, regions) token that each region reads

    @property
    def layers(self) -> list[str]:
        return ["tokens"]

    def shape(self, layer: str) -> tuple[int, int, int]:
        images, tokens, dim = self.values.shape
        return images, tokens, dim

    def grid(self, layer: str) -> tuple[int, int]:
        return SIDE, SIDE

    def read(self, layer: str, images: Any = None) -> Array:
        return self.values[slice(None) if images is None else np.asarray(images)]


def world(truth: Truth, *, images: int, regions: int = 4, seed: int = 0) -> World:
    """A world of ``images`` pictures in which ``truth`` routes."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(DIM, DIM)))[0][:regions]
    values = rng.normal(size=(images, TOKENS, DIM))
    where = _where(truth, values, directions, rng)
    rows = np.arange(images)[:, None]
    if truth is Truth.content:
        for region in range(regions):
            values[np.arange(images), where[:, region]] += 4 * directions[region]
    read = values[rows, where]  # (images, regions, dim)
    free = np.eye(DIM) - directions.T @ directions
    weights = rng.normal(size=(regions, PER_REGION, DIM)) @ free
    signal = np.einsum("ird,rvd->irv", read, weights).reshape(images, -1)
    signal /= signal.std(0)
    noise = rng.normal(size=signal.shape) * np.sqrt((1 - CEILING) / CEILING)
    targets = pd.DataFrame(
        {
            "target": range(signal.shape[1]),
            "hemisphere": "lh",
            "rois": np.repeat([f"R{region}" for region in range(regions)], PER_REGION),
        }
    )
    return World(
        values.astype(np.float16), (signal + noise).astype(np.float32), signal, targets,
        directions, where,
    )  # fmt: skip


def _where(truth: Truth, values: Array, directions: Array, rng: np.random.Generator) -> Array:
    images, regions = len(values), len(directions)
    if truth is Truth.place:
        return np.tile(rng.choice(TOKENS, regions, replace=False), (images, 1))
    if truth is Truth.content:
        # No two regions share a token, so that each object is one thing.
        return np.argsort(rng.random((images, TOKENS)), axis=1)[:, :regions]
    where = np.empty((images, regions), dtype=np.int64)
    for region in range(regions):
        inside = np.arange(TOKENS) % SIDE < SIDE // 2
        inside = inside if region % 2 else ~inside
        here, there = np.flatnonzero(inside), np.flatnonzero(~inside)
        where[:, region] = rng.choice(here, images)
        lure = rng.choice(there, images)  # the same object in the other half, to be ignored
        values[np.arange(images), where[:, region]] += 4 * directions[region]
        values[np.arange(images), lure] += 4 * directions[region]
    return where
