"""Projection onto a bank: `neuroattn.captioning.projection` against four targets at a time.

The direct way (as BrainSCUBA was released) holds the whole bank as float32 and takes four targets
at a time: cosines with all items, a softmax, their mean. For each four targets it reads the bank
twice (8 b d bytes for b items of d numbers) and makes b numbers a target three times over; ours
reads a tile of the bank once for some hundred targets and keeps their cosines in a cache.

Both do 4 b d operations a target, and are held against double precision. The floor is those at the
speed of a float32 matrix product of the size of a tile (measured beside it). Memory of ours is that
of the running sums and of one tile, whatever the bank: two banks of different size show it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from benchmarks.harness import (
    AGAIN,
    Table,
    milliseconds,
    peak_mib,
    products,
    ratio,
    take_turns,
)
from neuroattn.captioning.projection import ITEMS, ROWS, project, unit_weights

Array = np.ndarray[Any, Any]
TEMPERATURE = 150.0
_TILE = 4


def run(tiny: bool) -> Table:
    """Time both for the same targets, after checking that they agree."""
    items, dim, targets, some, turns = (300, 16, 12, 8, 1) if tiny else (1_000_000, 512, 2048, 8, 5)
    bank, weights = _bank(items, dim), _weights(targets, dim)
    few = torch.from_numpy(weights[:some])
    unit = torch.from_numpy(bank).float()
    norms = unit.norm(dim=1)
    unit /= norms[:, None]
    wanted = exact(weights[:some], bank)
    off = _off(project(weights[:some], _tiles(bank)).embedding, wanted)
    theirs = _off(direct(few, unit, norms).numpy(), wanted)
    if off > 1e-5:
        raise RuntimeError(f"the projection is off by {off}")
    tile = min(ITEMS, items)
    seconds = take_turns(
        {
            "ours": lambda: project(weights, _tiles(bank)),
            "direct": lambda: direct(few, unit, norms),
            "floor": products(ROWS, dim, tile),
        },
        turns,
    )
    each = {
        "ours": seconds["ours"] / targets,
        "direct": seconds["direct"] / some,
        "floor": seconds["floor"] / AGAIN * 2 * items / (ROWS * tile),
    }
    names = {
        "ours": "neuroattn, streamed", "direct": "four targets at a time, bank in memory",
        "floor": "floor: two matrix products",
    }  # fmt: skip
    rows = [(names[k], milliseconds(s), ratio(s, each["ours"])) for k, s in each.items()]
    told = (
        f"Off from double precision by {off:.1e} of an embedding's length, the direct way by"
        f" {theirs:.1e}; {turns} turns."
    )
    small, large = (_peak(count, dim) for count in ((300, 600) if tiny else (50_000, 400_000)))
    return Table(
        title=f"Projection of {targets:,} targets onto {items:,} items of {dim} numbers",
        columns=("contender", "median time a target", "relative to ours"),
        rows=rows,
        notes=(
            told,
            f"Memory that 512 targets add: {small:.0f} MiB; eight times the bank: {large:.0f}.",
        ),
    )


def direct(
    weights: torch.Tensor, unit: torch.Tensor, norms: torch.Tensor, tile: int = _TILE
) -> torch.Tensor:
    """Embeddings (targets, dim), with all items of the bank at once."""
    parts = []
    for start in range(0, len(weights), tile):
        share = torch.softmax(TEMPERATURE * (weights[start : start + tile] @ unit.T), dim=1)
        mean = share @ unit
        length = (share @ norms)[:, None]
        parts.append(mean / mean.norm(dim=1, keepdim=True) * length)
    return torch.cat(parts)


def exact(weights: Array, bank: Array) -> Array:
    """Embeddings (targets, dim) by the definition, in double precision; cosines are below 1."""
    mean, mass, length = np.zeros(weights.shape), np.zeros(len(weights)), np.zeros(len(weights))
    for start in range(0, len(bank), ITEMS):
        items = bank[start : start + ITEMS].astype(np.float64)
        norms = np.linalg.norm(items, axis=1)
        unit = items / norms[:, None]
        share = np.exp(TEMPERATURE * (weights.astype(np.float64) @ unit.T - 1))
        mean, mass, length = mean + share @ unit, mass + share.sum(1), length + share @ norms
    return mean / np.linalg.norm(mean, axis=1, keepdims=True) * (length / mass)[:, None]


def _off(found: Array, wanted: Array) -> float:
    return float(np.abs(found - wanted).max() / np.linalg.norm(wanted, axis=1).max())


def _bank(items: int, dim: int) -> Array:
    rng = np.random.default_rng(0)
    cone = 2 * rng.standard_normal(dim)
    made = np.empty((items, dim), np.float16)
    for start in range(0, items, ITEMS):
        part = made[start : start + ITEMS]
        part[:] = cone + rng.standard_normal(part.shape)
    return made


def _weights(targets: int, dim: int) -> Array:
    return unit_weights(np.random.default_rng(1).standard_normal((targets, dim)))


def _tiles(bank: Array) -> Callable[[], Iterator[tuple[int, int, Array]]]:
    def tiles() -> Iterator[tuple[int, int, Array]]:
        for start in range(0, len(bank), ITEMS):
            yield 0, start, bank[start : start + ITEMS]

    return tiles


def _peak(items: int, dim: int) -> float:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bank.npy"
        np.save(path, _bank(items, dim))
        return peak_mib("benchmarks.projection:prepare", str(path), dim)


def prepare(path: str, dim: int) -> Callable[[], object]:
    """Projection of 512 targets onto the bank in a file, for `peak_mib`."""
    bank, weights = np.load(path, mmap_mode="r"), _weights(512, dim)
    project(weights[:2], lambda: iter([(0, 0, np.asarray(bank[:100]))]))
    return lambda: project(weights, _tiles(bank))
