"""The largest values of each row, kept while the columns stream past in tiles.

After the first tiles hardly any value gets in, so what a tile costs is one look at it: the
largest of every 16 columns that stand equally far apart (neighbours in memory are then reduced
side by side, several times faster than 16 neighbours to one) against the least value that the
row still keeps. What is above waits, and is sorted in when there is enough of it to be worth it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

FOLD = 16  # columns that are looked at as one
_NONE = -torch.inf


class Largest:
    """A running top list of each row.

    Parameters
    ----------
    rows, count : of the lists.
    """

    def __init__(self, rows: int, count: int, device: torch.device) -> None:
        self._values = torch.full((rows, count), _NONE, device=device)
        self._places = torch.full((rows, count), -1, dtype=torch.int64, device=device)
        self._waiting: dict[tuple[int, int], list[tuple[Tensor, Tensor, Tensor]]] = {}

    def take(
        self, rows: slice, tile: Float[Tensor, "rows columns"], first: int
    ) -> Float[Tensor, " rows"]:
        """Take in the tile of these rows whose columns begin at place ``first``; its maxima."""
        count = self._values.shape[1]
        key = rows.start, rows.stop
        bar = self._values[rows, -1:]
        if bool((bar == _NONE).any()):  # lists that are not full yet: all of it is new
            found = tile.topk(min(count, tile.shape[1]), dim=1)
            self._merge(rows, found.values, found.indices + first)
            return found.values[:, 0]
        highest, row, column = _above(tile, bar)
        if len(row):
            waiting = self._waiting.setdefault(key, [])
            waiting.append((row, tile[row, column], column + first))
            if sum(len(part) for part, _, _ in waiting) > len(tile) * count // 2:
                self._settle(key)
        return highest

    def settled(self) -> tuple[Float[Tensor, "rows most"], Int[Tensor, "rows most"]]:
        """Values, the largest first, and their places; as many as there were, at most ``count``."""
        for key in list(self._waiting):
            self._settle(key)
        there = int((self._places[:1] >= 0).sum())
        return self._values[:, :there], self._places[:, :there]

    def _settle(self, key: tuple[int, int]) -> None:
        parts = self._waiting.pop(key, [])
        if not parts:
            return
        rows = slice(*key)
        row, values, places = (torch.cat(part) for part in zip(*parts, strict=True))
        inside, mask = _packed(row, rows.stop - rows.start)
        wide = torch.full(mask.shape, _NONE, device=values.device)
        at = torch.full(mask.shape, -1, dtype=torch.int64, device=values.device)
        wide[mask], at[mask] = values[inside], places[inside]
        self._merge(rows, wide, at)

    def _merge(
        self, rows: slice, values: Float[Tensor, "rows more"], places: Int[Tensor, "rows more"]
    ) -> None:
        count = self._values.shape[1]
        kept = torch.cat([self._values[rows], values], dim=1).topk(count, dim=1)
        self._values[rows] = kept.values
        self._places[rows] = torch.cat([self._places[rows], places], 1).gather(1, kept.indices)


def _above(
    tile: Float[Tensor, "rows columns"], bar: Float[Tensor, "rows 1"]
) -> tuple[Float[Tensor, " rows"], Tensor, Tensor]:
    """Maxima of the rows; rows and columns of all values above the row's bar."""
    width = tile.shape[1] // FOLD
    folded = tile[:, : FOLD * width].view(len(tile), FOLD, width)
    rest = tile[:, FOLD * width :]
    tops = torch.cat([folded.amax(1), rest], dim=1)
    row, group = (tops > bar).nonzero().unbind(1)
    whole = group < width
    alone = row[~whole], group[~whole] + (FOLD - 1) * width
    row, group = row[whole], group[whole]
    which, inside = (folded[row, :, group] > bar[row]).nonzero().unbind(1)
    column = inside * width + group[which]
    return tops.amax(1), torch.cat([row[which], alone[0]]), torch.cat([column, alone[1]])


def _packed(row: Tensor, rows: int) -> tuple[Tensor, Bool[Tensor, "rows most"]]:
    """Entries in the order of their rows, and where they stand in a table with a line for each."""
    counts = torch.bincount(row, minlength=rows)
    mask = torch.arange(int(counts.max()), device=row.device) < counts[:, None]
    return row.argsort(stable=True), mask
