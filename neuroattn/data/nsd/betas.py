"""Betas of a session, read in blocks of trials: one adapter per format, one order of places.

Places count in the order of the file, first axis fastest: ``x + X (y + Y z)`` in a volume,
which is MATLAB's linear index less one, and equally the order of the reversed axes of HDF5.

Cost: a NIfTI or MGH is read through once (1.05 GB of int16 for a func1pt8mm session of
subject 1; 0.98 GB of float32 for both sides of fsaverage), a block at a time. The HDF5 files
of NSD hold one voxel and all trials in a chunk, so a session's masked part is gathered
first, as int16, half of what it is as float32; beyond `GATHERED` bytes in several passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.array_files import open_hdf5_array
from neuroattn.data.nsd import layout
from neuroattn.data.volumes import open_image, readable

GATHERED = 1 << 30
_SLAB = 32 << 20
_STORED = {
    "mgh": (layout.FSAVERAGE_DTYPE, 1),
    "nifti": (layout.BETAS_DTYPE, layout.BETAS_SCALE),
    "nifti-float": ("float32", 1),  # other datasets in volumes
}
Places = NDArray[np.int64]
Raw = NDArray[Any]


class BetaFile(Protocol):
    """One open file of betas: one session of one hemisphere, or of the volume."""

    path: Path
    shape: tuple[int, ...]
    """Of the places: (X, Y, Z) or (vertices,)."""
    trials: int
    height: int
    """Trials that are stored together: to read one of them costs as much as all."""
    scale: int
    """Units to 1 % signal change."""

    def read(self, start: int, stop: int, places: Places) -> Raw:
        """Values (stop - start, places) as they are stored; ``places`` ascend."""


class ImageBetas:
    """NIfTI or MGH, trials on the last axis."""

    def __init__(self, path: Path, image: Any, dtype: str, scale: int) -> None:
        if len(image.shape) != 4:
            raise _form(path, "four axes, trials last", f"shape {image.shape}")
        if not _same_kind(image.get_data_dtype(), dtype):
            raise _form(path, f"{np.dtype(dtype).name} values", image.get_data_dtype().name)
        self._data = image.dataobj
        if float(self._data.slope) != 1.0 or float(self._data.inter) != 0.0:
            # Scaled by the header and by 300 as well, betas would be far too small.
            raise _form(path, "no scale in its header", f"a factor of {self._data.slope}")
        self.path, self.scale, self.height = path, scale, 1
        *shape, self.trials = image.shape
        self.shape = tuple(shape)

    def read(self, start: int, stop: int, places: Places) -> Raw:
        """See `BetaFile`."""
        with readable(self.path):
            block = np.asarray(self._data[..., start:stop])
        # Trial by trial, as the file has them: place by place is four times slower.
        return np.take(block.reshape(-1, stop - start, order="F").T, places, axis=1)


class Hdf5Betas:
    """HDF5, trials on the first axis, the others reversed."""

    def __init__(self, path: Path, array: h5py.Dataset) -> None:
        if array.ndim not in (2, 4):
            raise _form(path, "(trials, z, y, x) or (trials, vertices)", f"shape {array.shape}")
        if not _same_kind(array.dtype, layout.BETAS_DTYPE):
            raise _form(path, f"{layout.BETAS_DTYPE} values", str(array.dtype))
        self.path, self._array, self.scale = path, array, layout.BETAS_SCALE
        self.trials = int(array.shape[0])
        self.shape = tuple(int(size) for size in reversed(array.shape[1:]))
        self.height = int(array.chunks[0]) if array.chunks else 1

    def read(self, start: int, stop: int, places: Places) -> Raw:
        """See `BetaFile`; whole slabs of the slowest axis are read, those without a place not."""
        outer = int(self._array.shape[1])
        inner = int(np.prod(self._array.shape[2:], dtype=np.int64))
        row = max(1, inner * (stop - start) * self._array.dtype.itemsize)
        step = max(1, _SLAB // row)
        out = np.empty((stop - start, len(places)), dtype=self._array.dtype)
        for first in range(0, outer, step):
            last = min(first + step, outer)
            lower, upper = np.searchsorted(places, [first * inner, last * inner])
            if lower == upper:
                continue
            with readable(self.path):
                slab = self._array[start:stop, first:last].reshape(stop - start, -1)
            out[:, lower:upper] = slab[:, places[lower:upper] - first * inner]
        return out


@contextmanager
def open_betas(path: Path, kind: str) -> Iterator[BetaFile]:
    """Open a file of betas of a known format; its values are not read.

    Raises
    ------
    DataError : it is damaged, or holds something else than betas of NSD.
    """
    if kind == "hdf5":
        with open_hdf5_array(path, layout.BETAS_KEY) as array:
            yield Hdf5Betas(path, array)
        return
    dtype, scale = _STORED[kind]
    with open_image(path) as image:
        yield ImageBetas(path, image, dtype, scale)


@dataclass(frozen=True)
class Part:
    """One part of a space: its file of a session, and the places that are kept (ascending)."""

    path: Path
    places: Places


def session_blocks(
    parts: list[Part], kind: str, block: int
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield (trials, values (trials, places of all parts) float32 in % signal change).

    Parameters
    ----------
    parts : in the order of the columns: the left hemisphere, then the right.
    block : bytes of float32 values at once, and of the trials read for them.
    """
    with ExitStack() as stack:
        files = [stack.enter_context(open_betas(part.path, kind)) for part in parts]
        for first, last in _groups(files, parts, block):
            raw = [
                file.read(first, last, part.places) for file, part in zip(files, parts, strict=True)
            ]
            step = _step(files, parts, block)
            for start in range(0, last - first, step):
                stop = min(start + step, last - first)
                yield slice(first + start, first + stop), _scaled(files, raw, start, stop)


def _scaled(files: list[BetaFile], raw: list[Raw], start: int, stop: int) -> NDArray[np.float32]:
    out = np.empty((stop - start, sum(values.shape[1] for values in raw)), dtype=np.float32)
    first = 0
    for file, values in zip(files, raw, strict=True):
        part = out[:, first : first + values.shape[1]]
        part[:] = values[start:stop]
        if file.scale != 1:
            part /= np.float32(file.scale)
        first += values.shape[1]
    return out


def _groups(files: list[BetaFile], parts: list[Part], block: int) -> Iterator[tuple[int, int]]:
    """Ranges of trials that are read at once."""
    trials, height = files[0].trials, max(file.height for file in files)
    size = _step(files, parts, block)
    if height > 1:
        row = 2 * sum(len(part.places) for part in parts)
        most = max(1, GATHERED // max(1, row))
        size = max(size, min(most, -(-size // height) * height))
    for first in range(0, trials, size):
        yield first, min(first + size, trials)


def _step(files: list[BetaFile], parts: list[Part], block: int) -> int:
    """Trials whose float32 values, and whose stored rows, fit in ``block`` bytes."""
    kept = 4 * sum(len(part.places) for part in parts)
    stored = 0
    if all(file.height == 1 for file in files):
        widths = (4 if file.scale == 1 else 2 for file in files)
        sizes = (int(np.prod(file.shape, dtype=np.int64)) for file in files)
        stored = sum(width * size for width, size in zip(widths, sizes, strict=True))
    return max(1, block // max(1, kept, stored))


def _same_kind(found: Any, wanted: str) -> bool:
    """Whether two types differ in byte order at most, which the readers undo themselves."""
    return bool(np.dtype(found).newbyteorder("=") == np.dtype(wanted).newbyteorder("="))


def _form(path: Path, expected: str, found: str) -> DataError:
    return DataError(
        "these are not betas as the dataset stores them", file=path, expected=expected,
        found=found,
        fix="fetch the file as it is distributed; converted copies go into the arrays layout",
    )  # fmt: skip
