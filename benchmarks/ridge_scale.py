"""The streamed Gram matrix of all tokens: its cost law, its memory, and NSD by extrapolation.

For n images of D features, stored as fp16, `Design.gram` takes

    seconds = a n^2 D + b n D passes,    passes = (tiles + 1) / 2,

the first for multiply-adds (half of n^2, whole tiles on the diagonal), the second for reading and
standardising tiles. a and b are fitted by least squares to three sizes, each in small tiles and in
one: at one size of tiles the passes grow as n does, and the two terms could not be told apart.
Memory is a few (n, n) matrices and ``tile_mib``, whatever D is. Eigendecompositions cost c n^3
each, folds + 1 of them.

Floor: n^2 D multiply-adds (half of the symmetric product is left out, so n^2 D operations) at the
speed of a float32 matrix product on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import torch

from benchmarks.harness import Table, milliseconds, peak_mib, ratio, take_turns
from neuroattn.encoding.design import Design, Reader, Scaler

Array = np.ndarray[Any, Any]
NSD = (9000, 738_048)  # training images of a subject; 961 tokens of 768 channels
SIZES = {True: (20, 40, 60), False: (300, 600, 1200)}
WIDTH = {True: (4, 32), False: (64, 768)}
TILE_MIB = 64  # small, so that small sizes have several tiles
WHOLE_MIB = 1024  # all of them in one
NSD_TILE_MIB = 4096
FOLDS = 5


class OnDisk:
    """Features of one layer in a file, image id = row."""

    layers = ["all"]  # noqa: RUF012

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self.values = np.memmap(path, dtype=np.float16, mode="r", shape=shape)

    def shape(self, layer: str) -> tuple[int, int, int]:  # noqa: ARG002
        """(images, tokens, dim)."""
        images, tokens, dim = self.values.shape
        return images, tokens, dim

    def read(self, layer: str, images: Any = None) -> Array:  # noqa: ARG002
        """Rows, copied into memory."""
        return np.array(self.values[images])


def written(images: int, tokens: int, dim: int) -> OnDisk:
    """Random features in a file."""
    path, rng = Path(mkdtemp()) / "features", np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, images, 100):
            count = min(100, images - start)
            file.write(rng.normal(size=(count, tokens, dim)).astype(np.float16).tobytes())
    return OnDisk(path, (images, tokens, dim))


def design_of(store: OnDisk, tile_mib: int = TILE_MIB) -> Design:
    """A design in float32 blocks with float64 sums between them."""
    width = store.values[0].size
    scaler = Scaler(np.zeros(width), np.ones(width))
    reader = Reader(store, tile_mib)
    return Design(reader, {"all": scaler}, torch.float32, torch.device("cpu"))


def memory_of(images: int) -> Callable[[], object]:
    """For `peak_mib`: the Gram matrix of so many images, ready to run."""
    design = design_of(written(images, *WIDTH[False]))
    design.gram(np.arange(2))
    return lambda: design.gram(np.arange(images))


def run(tiny: bool) -> Table:
    """Measure three sizes, fit the law, say what NSD would take."""
    tokens, dim = WIDTH[tiny]
    store, width = written(max(SIZES[tiny]), tokens, dim), tokens * dim
    cases = [(n, tile) for n in SIZES[tiny] for tile in (TILE_MIB, WHOLE_MIB)]
    designs = {tile: design_of(store, tile) for tile in (TILE_MIB, WHOLE_MIB)}
    jobs = {str(c): (lambda c=c: designs[c[1]].gram(np.arange(c[0]))) for c in cases}
    seconds = take_turns(jobs, 1 if tiny else 3, warmups=0 if tiny else 1)
    times = np.array([seconds[str(case)] for case in cases])
    terms = np.array([_terms(n, width, tile) for n, tile in cases])
    law = _fitted(terms, times)
    eigen = _eigen(SIZES[tiny])
    speed = _speed()
    rows = [
        (
            f"Gram, {n} x {width:,}, tiles of {tile} MiB", milliseconds(t),
            milliseconds(float(term @ law)),
            f"{peak_mib('benchmarks.ridge_scale:memory_of', n):.0f} MiB"
            if tile == TILE_MIB and not tiny else "",
            f"{8 * n * n / 2**20:.0f} MiB",
        )
        for (n, tile), t, term in zip(cases, times, terms, strict=True)
    ]  # fmt: skip
    large = float(_terms(*NSD, NSD_TILE_MIB) @ law)
    floor = NSD[0] ** 2 * NSD[1] / speed
    rows += [
        (f"Gram, {NSD[0]:,} x {NSD[1]:,}", "extrapolated", _hours(large), "", "618 MiB"),
        ("floor of the last row", "", _hours(floor), "", ""),
        (f"{FOLDS + 1} decompositions, {NSD[0]:,}", "extrapolated", _hours(eigen), "", ""),
    ]
    return Table(
        title="Exact ridge on all tokens: cost law of the streamed Gram matrix",
        columns=("work", "measured", "by the law", "memory added", "one Gram matrix"),
        rows=rows,
        notes=(
            (
                f"seconds = {law[0]:.2e} n^2 D + {law[1]:.2e} n D passes; worst misfit"
                f" {np.abs(terms @ law / times - 1).max():.0%} of a measured time; share of the"
                f" floor at NSD's size {ratio(floor, large)}."
            ),
            (
                f"fp16 features in a file (tiles at NSD's size: {NSD_TILE_MIB} MiB), float32"
                " blocks, float64 sums; medians of three runs."
            ),
            (
                "Memory counts the result and copies of it while it is mirrored; what is left does"
                " not grow with images."
            ),
            (
                "An extrapolation by 800 times in images x features: a disk slower than the page"
                " cache adds its own time, 13.3 GB a pass."
            ),
        ),
    )


def _terms(images: int, width: int, tile_mib: int = TILE_MIB) -> Array:
    tile = 2 * (2 * width + 8 * min(width, 4096))
    tiles = -(-images // max(1, (tile_mib << 20) // tile))
    return np.array([images**2 * width, images * width * (tiles + 1) / 2], dtype=float)


def _fitted(terms: Array, times: Array) -> Array:
    """Least squares on relative errors, neither term negative."""
    from scipy.optimize import nnls

    scale = terms.max(0)
    weighted = terms / scale / times[:, None]
    found: Array = nnls(weighted, np.ones(len(times)))[0] / scale
    return found


def _eigen(sizes: tuple[int, ...]) -> float:
    """Seconds of all decompositions at NSD's size, from the cubes of three smaller ones."""
    jobs = {}
    for n in sizes:
        x = torch.randn(n, n, dtype=torch.float64)
        jobs[str(n)] = lambda a=x @ x.T: torch.linalg.eigh(a)
    seconds = take_turns(jobs, 1, warmups=1)
    rate = seconds[str(max(sizes))] / max(sizes) ** 3
    inner = (FOLDS - 1) / FOLDS
    return float(rate * NSD[0] ** 3 * (1 + FOLDS * inner**3))


def _speed() -> float:
    a = torch.randn(1500, 1500)
    return 2 * 1500**3 / take_turns({"product": lambda: a @ a}, 3)["product"]


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h"
