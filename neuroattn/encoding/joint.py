"""Responses of several subjects at once, as a readout that shares something over them sees them.

Subjects have targets of their own, so their table is a table of blocks: a row has numbers at
the targets of the subjects that saw its image, and NaN elsewhere. The table is never made; a
batch of its rows is, with a mask of what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.stats.correlation import target_average

Ids = NDArray[np.int64]
Table = NDArray[np.float32]
Floats = NDArray[np.float64]
ABSENT = -1


@dataclass(frozen=True, eq=False)
class Part:
    """Responses of one subject.

    Parameters
    ----------
    values : (measured rows, own targets).
    slots : (rows,) the row of ``values`` for each row of the whole, `ABSENT` where there is none.
    """

    values: Table
    slots: Ids

    def seen(self) -> Table:
        """Values of the rows that this subject has, in the order of the whole."""
        chosen = self.slots[self.slots != ABSENT]
        if np.array_equal(chosen, np.arange(len(self.values))):
            return self.values
        return np.asarray(self.values[chosen])


@dataclass(frozen=True, eq=False)
class SubjectResponses:
    """A table (rows, targets) in blocks, one a subject; its targets stand subject by subject.

    It is indexed by rows, as an array would be; ``np.asarray`` makes the dense table, for as many
    rows as one dares.
    """

    parts: tuple[Part, ...]

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, targets)."""
        return len(self), sum(part.values.shape[1] for part in self.parts)

    def __len__(self) -> int:
        return len(self.parts[0].slots)

    def __getitem__(self, rows: Any) -> SubjectResponses:
        return SubjectResponses(tuple(replace(part, slots=part.slots[rows]) for part in self.parts))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        out = np.full(self.shape, np.nan, dtype=dtype or np.float32)
        start = 0
        for part in self.parts:
            stop, rows = start + part.values.shape[1], np.flatnonzero(part.slots != ABSENT)
            out[rows, start:stop] = part.values[part.slots[rows]]
            start = stop
        return out

    def seen(self) -> list[Table]:
        """What each subject has, row by row: (own rows, own targets)."""
        return [part.seen() for part in self.parts]


def together(parts: Sequence[tuple[Ids, Table]], *, merge: bool) -> tuple[Ids, SubjectResponses]:
    """Training rows of several subjects as one: image ids (rows,) and responses.

    Parameters
    ----------
    parts : image ids (own rows,) and responses (own rows, own targets) of each subject.
    merge : an image that several subjects saw is one row, which needs each subject's images
        to be distinct; else every subject's rows stand for themselves.
    """
    if merge:
        images = np.unique(np.concatenate([own for own, _ in parts]))
        found = []
        for own, values in parts:
            slots = np.full(len(images), ABSENT, dtype=np.int64)
            slots[np.searchsorted(images, own)] = np.arange(len(own))
            found.append(Part(values, slots))
        return images, SubjectResponses(tuple(found))
    images = np.concatenate([own for own, _ in parts])
    stops = np.cumsum([len(own) for own, _ in parts])
    found = []
    for (own, values), stop in zip(parts, stops.tolist(), strict=True):
        slots = np.full(len(images), ABSENT, dtype=np.int64)
        slots[stop - len(own) : stop] = np.arange(len(own))
        found.append(Part(values, slots))
    return images, SubjectResponses(tuple(found))


def subjects_in(responses: Any) -> SubjectResponses | None:
    """The responses of a training set, where they are those of several subjects."""
    return responses if isinstance(responses, SubjectResponses) else None


def batch_of(
    rows: Table | SubjectResponses, mean: Table | float = 0.0, sd: Table | float = 1.0
) -> dict[str, Tensor]:
    """``responses`` of a batch, standardised; where some are not measured, 0, and ``seen``."""
    values = torch.from_numpy(np.asarray((np.asarray(rows) - mean) / sd, dtype=np.float32))
    if not isinstance(rows, SubjectResponses):
        return {"responses": values}
    seen = ~torch.isnan(values)
    return {"responses": values.nan_to_num_(0.0), "seen": seen}


def masked_sum(
    error: Float[Tensor, "rows targets"],
    seen: Bool[Tensor, "rows targets"],
    columns: Sequence[Tensor],
) -> Float[Tensor, ""]:
    """Sum over sets of ``columns`` of the mean of ``error`` over what was seen of them.

    A set of which nothing was seen adds 0, with a gradient of 0.
    """
    means = []
    for side in (one.to(error.device) for one in columns):
        known = seen[:, side]
        means.append((error[:, side] * known).sum() / known.sum().clamp(min=1))
    return torch.stack(means).sum()


class SeenCorrelation:
    """Pearson's r of each target over the rows in which it was measured, batch by batch.

    Memory: six numbers a target, whatever the number of rows. Sums are float64 about 0, so
    values should be standardised.
    """

    def __init__(self, targets: int) -> None:
        self._sums = np.zeros((6, targets))

    def add(self, predicted: NDArray[Any], measured: NDArray[Any], seen: NDArray[Any]) -> None:
        """Add rows (rows, targets); what was not seen does not count."""
        x = np.where(seen, predicted, 0.0).astype(np.float64)
        y = np.where(seen, measured, 0.0).astype(np.float64)
        terms = (seen, x, y, x * x, y * y, x * y)
        self._sums += np.stack([term.sum(0, dtype=np.float64) for term in terms])

    def r(self) -> Floats:
        """(targets,); NaN for fewer than two rows, or where a side is constant."""
        n, x, y, xx, yy, xy = self._sums
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.sqrt((xx - x * x / n) * (yy - y * y / n))
            r = (xy - x * y / n) / spread
            varies = spread > 1e-9 * np.sqrt(xx * yy)
        return np.where((n >= 2) & varies, np.clip(r, -1.0, 1.0), np.nan)


class SeenScores:
    """Evaluation of several subjects: mean r over targets, and the mean squared error."""

    def __init__(self) -> None:
        self.rows, self._error, self._count = 0, 0.0, 0
        self._found = SeenCorrelation(0)

    def add(self, predicted: Tensor, measured: Tensor, seen: Tensor) -> None:
        """Add a batch (rows, targets)."""
        if not self.rows:
            self._found = SeenCorrelation(predicted.shape[1])
        self.rows += len(predicted)
        self._error += float(((predicted - measured).square() * seen).sum())
        self._count += int(seen.sum())
        self._found.add(predicted.cpu().numpy(), measured.cpu().numpy(), seen.cpu().numpy())

    def scores(self) -> dict[str, float]:
        """``r`` over targets where it is defined (NaN if nowhere), and ``loss``."""
        r = target_average(self._found.r())
        return {"r": r, "loss": self._error / max(self._count, 1)}
