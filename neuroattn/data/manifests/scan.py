"""One pass through a file of betas: where it has no data, and its values at a few places.

Cost: every byte is read once and, in a ``.nii.gz``, inflated once (0.5 GB for an fsaverage
session of one side: seconds at a disk's rate; 1 GB of int16 for a volume at 1.8 mm). What is
kept is two flags per place and a sample of some hundred places.
"""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.data.manifests.content import mgh_form, nifti_form

BLOCK = 64 << 20
# In % signal change; NSD's own lie within ±110. Values of swapped bytes are spread over all
# exponents, so that most are far beyond or far below anything measured.
_HUGE, _TINY, _ABSURD_SHARE = 1e4, 1e-8, 0.02
Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Scan:
    """What one file of betas holds.

    Parameters
    ----------
    nan, zero : (places,) without a finite value on some trial; zero on all trials.
    absurd : share of the values that no measurement gives.
    samples : values (trials, places) at each list of places asked for.
    """

    trials: int
    places: int
    nan: NDArray[np.bool_]
    zero: NDArray[np.bool_]
    absurd: float
    samples: tuple[NDArray[np.float32], ...]

    @property
    def empty(self) -> NDArray[np.bool_]:
        """(places,) without data."""
        return self.nan | self.zero


def betas_form(path: Path, kind: str) -> tuple[int, int]:
    """Places and trials of a file of betas (``mgh``, ``nifti`` or ``hdf5``), by its header.

    Raises
    ------
    ValueError, OSError : it has no such header.
    """
    if kind == "hdf5":
        with h5py.File(path, "r") as file:
            shape = file["betas"].shape
        return math.prod(shape[1:]), shape[0]
    shape, _, _ = (mgh_form if kind == "mgh" else nifti_form)(path)
    return math.prod(shape[:-1]), shape[-1]


def scan(path: Path, kind: str, samples: tuple[Places, ...] = ()) -> Scan:
    """Read a file of betas through.

    Raises
    ------
    OSError, EOFError, ValueError : it is cut off or damaged.
    """
    places, trials = betas_form(path, kind)
    nan, zero = np.zeros(places, np.bool_), np.ones(places, np.bool_)
    kept = tuple(np.zeros((trials, len(wanted)), np.float32) for wanted in samples)
    absurd = 0
    for rows, columns, values in _blocks(path, kind, places, trials):
        finite = np.isfinite(values)
        nan[columns] |= ~finite.all(axis=0)
        zero[columns] &= (values == 0).all(axis=0)
        absurd += _count_absurd(values, finite)
        for wanted, sample in zip(samples, kept, strict=True):
            first, last = np.searchsorted(wanted, (columns.start, columns.stop))
            sample[rows, first:last] = values[:, wanted[first:last] - columns.start]
    return Scan(trials, places, nan, zero, absurd / max(1, places * trials), kept)


def _count_absurd(values: NDArray[Any], finite: NDArray[np.bool_]) -> int:
    if values.dtype.kind != "f":
        return 0
    size = np.abs(np.where(finite, values, 0.0))
    return int(((size > _HUGE) | ((size > 0) & (size < _TINY))).sum())


def is_absurd(result: Scan) -> bool:
    """Whether the values look like swapped bytes, or like other units altogether."""
    return result.absurd > _ABSURD_SHARE


def _blocks(
    path: Path, kind: str, places: int, trials: int
) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    """Yield (trials, places, values) until each value came once."""
    if kind == "hdf5":
        yield from _hdf5_blocks(path, places, trials)
        return
    _, dtype, offset = (mgh_form if kind == "mgh" else nifti_form)(path)
    row = places * np.dtype(dtype).itemsize
    step = max(1, BLOCK // row)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as handle:
        handle.read(offset)
        for start in range(0, trials, step):
            stop = min(start + step, trials)
            content = handle.read((stop - start) * row)
            values = np.frombuffer(content, dtype=dtype).reshape(stop - start, places)
            yield slice(start, stop), slice(0, places), values
        while handle.read(BLOCK):  # the checksum of a gzip stream stands at its end
            pass


def _hdf5_blocks(
    path: Path, places: int, trials: int
) -> Iterator[tuple[slice, slice, NDArray[Any]]]:
    with h5py.File(path, "r") as file:
        array = file["betas"]
        inner = places // array.shape[1]
        step = max(1, BLOCK // max(1, inner * trials * array.dtype.itemsize))
        for start in range(0, array.shape[1], step):
            stop = min(start + step, array.shape[1])
            values = array[:, start:stop].reshape(trials, -1)
            yield slice(0, trials), slice(start * inner, stop * inner), values
