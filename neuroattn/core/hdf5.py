"""HDF5 files that we write: checksummed chunks, written whole under a temporary name.

A plain HDF5 dataset returns flipped bits without a word; Fletcher-32 over every chunk
makes the read fail instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neuroattn.core.atomic import atomic_path
from neuroattn.core.errors import ArtefactError, NeuroattnError

CHUNK_BYTES = 1 << 20


@contextmanager
def create_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a new file for writing; it takes the name ``path`` when the block ends well."""
    with atomic_path(path) as temporary, h5py.File(temporary, "w", track_order=True) as file:
        yield file
        file.flush()


def add_dataset(
    group: h5py.Group,
    name: str,
    data: Any = None,
    *,
    shape: tuple[int, ...] | None = None,
    dtype: Any = None,
    attributes: dict[str, Any] | None = None,
) -> h5py.Dataset:
    """Create a chunked dataset with a Fletcher-32 checksum on every chunk.

    Rows (axis 0) stay together in chunks of about 1 MiB. ``shape`` and ``dtype`` reserve
    an empty dataset to be filled block by block.
    """
    values = None if data is None else np.asarray(data)
    if values is not None and values.dtype.kind in "UO":
        values = values.astype(h5py.string_dtype())
    full = values.shape if values is not None else shape
    kind = values.dtype if values is not None else np.dtype(dtype)
    if full is None or not full or 0 in full:  # scalars and empty arrays cannot be chunked
        dataset = group.create_dataset(name, data=values, shape=full, dtype=kind)
    else:
        dataset = group.create_dataset(
            name, data=values, shape=full, dtype=kind, chunks=_chunks(full, kind), fletcher32=True
        )
    dataset.attrs.update(attributes or {})
    return dataset


def _chunks(shape: Sequence[int], dtype: np.dtype[Any]) -> tuple[int, ...]:
    row = max(1, int(np.prod(shape[1:], dtype=np.int64)) * max(1, dtype.itemsize))
    return (int(min(shape[0], max(1, CHUNK_BYTES // row))), *shape[1:])


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading; damage found on the way is an `ArtefactError`."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError) as error:
        if isinstance(error, FileNotFoundError | NeuroattnError):
            raise
        raise ArtefactError(
            "the HDF5 file is damaged",
            file=path,
            found=error,
            fix="delete its folder and run again",
        ) from error
