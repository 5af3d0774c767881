"""From a target's weight to a natural embedding: a softmax-weighted mean over a bank of pictures.

A weight that was fitted to noisy responses lies off the cone in which embeddings of pictures lie
(its best cosine to any of them is about .5). BrainSCUBA (Luo et al. 2024, section 3.2) moves it
there, decoupled: with unit weight w, unit directions u_i and norms n_i of the bank's items,

    p_i = softmax_i(T w.u_i),   direction = normalise(sum_i p_i u_i),   norm = sum_i p_i n_i.

The mean of whole embeddings in place of directions (coupled) would shrink the norm; a captioner
that was trained on embeddings of one length then sees lengths that it never met.

The bank streams past once, tile by tile, under a running maximum (the online softmax), so no
array over the bank exists. Sums are kept for each disjoint draw of the bank and merged at the
end: that gives every draw's projection and that of the whole bank for the price of one pass.

Cost for ``t`` targets, ``b`` items, ``d`` numbers: two products, 4 t b d FLOP, and t b
exponentials; 2 b d bytes (fp16) are read for each group of targets, and a group holds
``draws * (d + 4) * 4`` bytes a target of running sums beside tiles of fixed size. Two million
items of 512 numbers against 300,000 targets: 1.2e15 FLOP; 2 GB read four times at 1 GiB of sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.captioning.largest import Largest
from neuroattn.core.errors import DataError

ROWS, ITEMS = 1024, 4096  # targets and bank items of one product, which all share one room
_NONE = -torch.inf
_LEAST = -80.0  # smaller exponents give numbers below the normal range, which cost 30 times more
#: Tiles of the bank: (draw, first place, embeddings (items, dim) as stored).
Tiles = Callable[[], Iterator[tuple[int, int, NDArray[np.float16] | NDArray[np.float32]]]]


@dataclass(frozen=True)
class Projection:
    """Natural embeddings of targets, and how well each is determined.

    Parameters
    ----------
    direction : (targets, dim) of unit length, over the whole bank.
    norm : (targets,) interpolated norm.
    effective : (targets,) number of bank items that carry the mean, 1 / sum p^2.
    best_cosine : (targets,) between the weight and its nearest item.
    cosine : (targets,) between the weight and its projection.
    stability : (targets,) mean cosine between the projections of two draws; NaN for one draw.
    top, top_cosine : (targets, n) places in the bank of the nearest items, nearest first.
    draws : (draws, targets, dim) directions of each draw; empty unless asked for.
    """

    direction: NDArray[np.float32]
    norm: NDArray[np.float32]
    effective: NDArray[np.float64]
    best_cosine: NDArray[np.float32]
    cosine: NDArray[np.float32]
    stability: NDArray[np.float64]
    top: NDArray[np.int64]
    top_cosine: NDArray[np.float32]
    draws: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))

    @property
    def embedding(self) -> NDArray[np.float32]:
        """(targets, dim) as a picture's embedding would be: direction times norm."""
        return self.direction * self.norm[:, None]


@dataclass
class _Sums:
    """Running sums of one draw: everything is relative to ``exp(temperature * top)``."""

    temperature: float
    top: Tensor  # (targets,) largest cosine so far
    mass: Tensor  # (targets,) sum of exp
    squares: Tensor  # (targets,) sum of exp squared
    norms: Tensor  # (targets,) sum of exp times norm
    mean: Tensor  # (targets, dim) sum of exp times direction

    @classmethod
    def empty(cls, temperature: float, targets: int, dim: int, device: torch.device) -> _Sums:
        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, device=device)

        top = torch.full((targets,), _NONE, device=device)
        mass, squares, norms = (zeros(targets) for _ in range(3))
        return cls(temperature, top, mass, squares, norms, zeros(targets, dim))

    def add(
        self,
        rows: slice,
        cosine: Float[Tensor, "targets items"],
        largest: Float[Tensor, " targets"],
        unit: Float[Tensor, "items dim"],
        norms: Float[Tensor, " items"],
    ) -> None:
        """Take in one tile, of which the largest are known; ``cosine`` is overwritten."""
        top = torch.maximum(self.top[rows], largest)
        shrink = self._share(self.top[rows], top)
        # Differences of near cosines are exact; those of logits would be rounded before.
        weight = cosine.sub_(top[:, None]).mul_(self.temperature).clamp_(min=_LEAST).exp_()
        self.top[rows] = top
        self.mass[rows] = self.mass[rows] * shrink + weight.sum(1)
        self.norms[rows] = self.norms[rows] * shrink + weight @ norms
        self.mean[rows].mul_(shrink[:, None]).addmm_(weight, unit)
        squares = weight.mul_(weight).sum(1)  # in place: nobody reads the weights after this
        self.squares[rows] = self.squares[rows] * shrink**2 + squares

    def merged(self, other: _Sums) -> _Sums:
        """The sums over both parts of the bank."""
        top = torch.maximum(self.top, other.top)
        mine, theirs = self._share(self.top, top), self._share(other.top, top)
        return _Sums(
            self.temperature,
            top,
            self.mass * mine + other.mass * theirs,
            self.squares * mine**2 + other.squares * theirs**2,
            self.norms * mine + other.norms * theirs,
            self.mean * mine[:, None] + other.mean * theirs[:, None],
        )

    def _share(self, before: Tensor, now: Tensor) -> Tensor:
        """What sums relative to one largest cosine are worth relative to another."""
        return torch.exp(self.temperature * (before - now))

    @property
    def direction(self) -> Tensor:
        """(targets, dim) of unit length."""
        return torch.nn.functional.normalize(self.mean, dim=1)


def unit_weights(weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """Weights (targets, dim) of unit length; the bias takes no part.

    Raises
    ------
    DataError : a weight is not finite, or zero: it points nowhere.
    """
    length = np.linalg.norm(weights.astype(np.float64), axis=1)
    bad = np.flatnonzero(~np.isfinite(length) | (length == 0))
    if len(bad):
        raise DataError(
            "a target's weight points nowhere",
            expected="finite weights, not all zero",
            found=f"{len(bad)} of {len(weights)} targets, the first in row {bad[0]}",
            fix="caption targets that were fitted: raise caption.gate.threshold",
        )
    return np.asarray(weights / length[:, None], dtype=np.float32)


def project(
    weights: NDArray[np.float32],
    tiles: Tiles,
    *,
    draws: int = 1,
    temperature: float = 150.0,
    top: int = 50,
    memory: int = 1 << 30,
    device: str = "cpu",
    keep_draws: bool = False,
) -> Projection:
    """Project unit weights (targets, dim) onto the bank that ``tiles`` streams.

    Parameters
    ----------
    draws : number of disjoint parts that ``tiles`` names.
    top : nearest items to keep.
    memory : bytes of running sums; more targets than fit take further passes over the bank.

    Raises
    ------
    DataError : the bank has another dimension, values that are not finite, or fewer than two
        items in a draw.
    """
    dim = weights.shape[1]
    group = max(ROWS, memory // (4 * (draws * (dim + 4) + 8 * top)))
    parts = [
        _project_group(
            torch.from_numpy(weights[start : start + group]).to(device),
            tiles, draws, temperature, top=top, keep=keep_draws,
        )
        for start in range(0, len(weights), group)
    ]  # fmt: skip
    if len(parts) == 1:
        return parts[0]
    names = [name for name in Projection.__dataclass_fields__ if name != "draws"]
    joined = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Projection(**joined, draws=np.concatenate([part.draws for part in parts], axis=1))


def _project_group(
    weights: Tensor, tiles: Tiles, draws: int, temperature: float, *, top: int, keep: bool
) -> Projection:
    count, dim = weights.shape
    sums = [_Sums.empty(temperature, count, dim, weights.device) for _ in range(draws)]
    best = Largest(count, top, weights.device)
    seen = np.zeros(draws, dtype=np.int64)
    step, room = min(ROWS, count), weights.new_empty(0)
    for draw, first, stored in tiles():
        unit, norms = _unit_tile(stored, dim, weights.device)
        seen[draw] += len(unit)
        room = room if len(room) >= step * len(unit) else weights.new_empty(step * len(unit))
        for start in range(0, count, step):
            rows = slice(start, min(start + step, count))
            shape = rows.stop - rows.start, len(unit)
            cosine = room[: shape[0] * shape[1]].view(shape)
            torch.mm(weights[rows], unit.T, out=cosine)
            largest = best.take(rows, cosine, first)
            sums[draw].add(rows, cosine, largest, unit, norms)
    check_bank(seen)
    return _finished(weights, sums, best.settled(), keep)


def _unit_tile(stored: NDArray, dim: int, device: torch.device) -> tuple[Tensor, Tensor]:  # type: ignore[type-arg]
    """Directions and norms of bank items.

    Raises
    ------
    DataError : another dimension, or values that are not finite or all zero.
    """
    if stored.shape[1] != dim:
        raise DataError(
            "the bank and the weights are of different spaces",
            expected=f"embeddings of {dim} numbers",
            found=stored.shape[1],
            fix="make the bank with the backbone that the encoder reads",
        )
    items = torch.from_numpy(np.ascontiguousarray(stored)).to(device).float()
    norms = torch.linalg.vector_norm(items, dim=1)
    if not bool(torch.isfinite(norms).all()) or bool((norms == 0).any()):
        bad = int((~torch.isfinite(norms) | (norms == 0)).sum())
        raise DataError(
            "the bank holds items that are no embeddings",
            expected="finite numbers, not all zero",
            found=f"{bad} items with NaN, infinity or zeros",
            fix="make the bank again; pictures that cannot be read are left out of it",
        )
    return items / norms[:, None], norms


def check_bank(seen: NDArray[np.int64]) -> None:
    """Refuse a bank with fewer than two items in a draw: a mean of one is no mean.

    Raises
    ------
    DataError : the bank is too small.
    """
    if not len(seen) or seen.min() < 2:
        raise DataError(
            "the bank of natural pictures is too small",
            expected=f"two pictures or more in each of {len(seen)} draws",
            found=f"{int(seen.sum())} pictures in all",
            fix="give a larger bank, or lower caption.draws",
        )


def _finished(
    weights: Tensor, sums: list[_Sums], best: tuple[Tensor, Tensor], keep: bool
) -> Projection:
    whole = sums[0]
    for other in sums[1:]:
        whole = whole.merged(other)
    direction = whole.direction
    apart = torch.stack([one.direction for one in sums]) if keep or len(sums) > 1 else None
    cosine, place = best
    return Projection(
        direction=direction.cpu().numpy(),
        norm=(whole.norms / whole.mass).cpu().numpy(),
        effective=(whole.mass.double() ** 2 / whole.squares.double()).cpu().numpy(),
        best_cosine=cosine[:, 0].cpu().numpy(),
        cosine=torch.linalg.vecdot(direction, weights).cpu().numpy(),
        stability=_stability(apart, len(weights)),
        top=place.cpu().numpy(),
        top_cosine=cosine.cpu().numpy(),
        draws=apart.cpu().numpy() if keep and apart is not None else np.zeros((0, 0, 0), "f4"),
    )


def _stability(apart: Tensor | None, targets: int) -> NDArray[np.float64]:
    """Mean cosine (targets,) over pairs of draws, from the length of the sum of all."""
    if apart is None or len(apart) < 2:
        return np.full(targets, np.nan)
    draws = len(apart)
    length = apart.double().sum(0).square().sum(1)
    return np.asarray(((length - draws) / (draws * (draws - 1))).cpu().numpy())
