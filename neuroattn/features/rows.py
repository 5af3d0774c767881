"""Rows on disk: one layer of a feature store, resumable while written, verified whenever read.

A layer is two ``.npy`` files: ``<layer>.npy`` (images, tokens, dim) float16, which any tool
can memory-map, and ``<layer>.rows.npy`` (images,) uint64, a digest of each row's bytes with
0 for a row that is not written yet. The digests are the journal of a run that was killed, and
later what tells a flipped bit from a value. Nothing here needs the whole store in memory.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.atomic import atomic_path, storage_errors
from neuroattn.core.errors import ArtefactError, DataError

HALF = np.dtype("<f2")
DIGEST = np.dtype("<u8")
_NO_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def store_files(layer: str) -> tuple[str, str]:
    """Names of a layer's files: values, digests."""
    return f"{layer}.npy", f"{layer}.rows.npy"


def row_digest(row: Any) -> int:
    """8-byte BLAKE2b of a row's bytes, never 0; about 0.5 GB/s on one core."""
    return int.from_bytes(blake2b(row, digest_size=8).digest(), "little") or 1


def to_half(
    values: NDArray[np.floating[Any]], layer: str, images: Sequence[int]
) -> NDArray[np.float16]:
    """Round (images, tokens, dim) to fp16.

    Raises
    ------
    DataError : a value is NaN or beyond the range of fp16, 65504; ``images`` name the rows.
    """
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(values, dtype=HALF)
    bad = ~np.isfinite(half)
    if bad.any():
        row, token, channel = np.argwhere(bad)[0]
        raise DataError(
            f"a feature of layer {layer} does not fit into half precision",
            expected="finite values of at most 65504",
            found=f"{values[row, token, channel]} for image {images[row]}, token {token}",
            fix=f"leave {layer} out of backbone.layers",
        )
    return half


class _Rows:
    """A ``.npy`` file of equal rows, read and written row by row at its place."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self.header = _header(shape, dtype)
        self.row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.header) + self.shape[0] * self.row_bytes

    def sound(self) -> bool:
        """Whether the file is there with this header and length."""
        if not self.path.is_file() or self.path.stat().st_size != self.size:
            return False
        with open(self.path, "rb") as file:
            return file.read(len(self.header)) == self.header

    def create(self) -> None:
        """Write an empty file, all of it on disk: a full disk is found now, not in hours."""
        with atomic_path(self.path) as temporary, open(temporary, "wb") as file:
            file.write(self.header)
            file.truncate(self.size)
            _reserve(file, self.size)

    def place(self, row: int) -> int:
        """Offset of a row in the file."""
        return len(self.header) + row * self.row_bytes


def _header(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    buffer = io.BytesIO()
    description = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(buffer, description)
    return buffer.getvalue()


def _reserve(file: IO[bytes], size: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except OSError as error:
        if error.errno not in _NO_RESERVE:  # a file system that cannot reserve still works
            raise


class RowStoreWriter:
    """Writes one layer, in any order of rows; what a killed run wrote is kept.

    A row counts as written when its digest is in the journal and fits its bytes, so neither a
    kill between the two writes nor a power cut that loses either of them can leave a wrong row.

    Parameters
    ----------
    folder : where the two files stand; existing ones of the same shape are continued.
    layer : name of the layer.
    n_images, tokens, dim : shape of the store.
    """

    def __init__(self, folder: Path, layer: str, n_images: int, tokens: int, dim: int) -> None:
        values, digests = (folder / name for name in store_files(layer))
        self._values = _Rows(values, (n_images, tokens, dim), HALF)
        self._digests = _Rows(digests, (n_images,), DIGEST)
        for part in (self._values, self._digests):
            if not part.sound():
                part.create()
        # Unbuffered: a row is with the operating system before its digest is written.
        self._value_file = open(values, "r+b", buffering=0)  # noqa: SIM115 - closed by `close`
        self._digest_file = open(digests, "r+b", buffering=0)  # noqa: SIM115
        self.done: NDArray[np.bool_] = self._verified_rows()

    def write(self, first: int, values: NDArray[np.float16]) -> None:
        """Write rows ``first`` onward from (rows, tokens, dim) fp16.

        Bytes: 2 x tokens x dim + 8 for each row, written once.

        Raises
        ------
        StorageError : the disk refuses.
        """
        rows = np.ascontiguousarray(values, dtype=HALF)
        last = first + len(rows)
        if rows.shape[1:] != self._values.shape[1:] or not 0 <= first <= last <= len(self.done):
            raise ArtefactError(
                "rows that do not fit into the feature store",
                file=self._values.path,
                expected=f"rows of {self._values.shape}",
                found=f"{rows.shape} from row {first}",
                fix="report this as a fault of the backbone: its shapes and tokens disagree",
            )
        digests = np.array([row_digest(row) for row in rows], dtype=DIGEST)
        self._put(self._value_file, self._values, first, rows)
        self._put(self._digest_file, self._digests, first, digests)
        self.done[first:last] = True

    def finish(self) -> tuple[Path, Path]:
        """Close the files of a complete store; returns their paths: values, digests.

        Raises
        ------
        ArtefactError : rows are missing.
        """
        self.close()
        if not self.done.all():
            raise ArtefactError(
                "the feature store is not complete",
                file=self._values.path,
                expected=f"{len(self.done)} rows",
                found=f"{int(self.done.sum())} rows",
                fix="run the stage again; it resumes",
            )
        return self._values.path, self._digests.path

    def close(self) -> None:
        """Close the files; what is written stays."""
        self._value_file.close()
        self._digest_file.close()

    def _verified_rows(self) -> NDArray[np.bool_]:
        digests = np.fromfile(self._digests.path, DIGEST, offset=len(self._digests.header))
        done = np.asarray(digests != 0, dtype=np.bool_)
        row = bytearray(self._values.row_bytes)
        for index in np.flatnonzero(done):
            self._value_file.seek(self._values.place(int(index)))
            self._value_file.readinto(row)
            done[index] = row_digest(row) == digests[index]
        return done

    @staticmethod
    def _put(file: IO[bytes], part: _Rows, first: int, rows: NDArray[Any]) -> None:
        content = memoryview(rows.tobytes())
        with storage_errors(part.path):
            file.seek(part.place(first))
            while content:  # a raw write may be short
                content = content[file.write(content) :]


class RowStore:
    """Reads one layer; every row is checked against its digest each time.

    Parameters
    ----------
    values, digests : the two files.
    shape : (images, tokens, dim).
    fix : what mends a damaged store.
    """

    def __init__(
        self, values: Path, digests: Path, shape: tuple[int, int, int], fix: str = ""
    ) -> None:
        self.shape, self._fix = shape, fix
        self._values = _Rows(values, shape, HALF)
        digest_rows = _Rows(digests, shape[:1], DIGEST)
        for part in (self._values, digest_rows):
            if not part.sound():
                raise self._damaged(part.path, f"{part.shape} {part.dtype}, {part.size} bytes")
        self._digests = np.fromfile(digests, DIGEST, offset=len(digest_rows.header))

    def read(self, rows: ArrayLike) -> NDArray[np.float16]:
        """Rows (len(rows), tokens, dim) in the order asked for, a row as often as asked.

        Bytes read: 2 x tokens x dim for each row; hashing them is the floor.

        Raises
        ------
        ArtefactError : a row has other bytes than were written, or was never written.
        """
        wanted = np.asarray(rows, dtype=np.int64)
        out = np.empty((len(wanted), *self.shape[1:]), dtype=HALF)
        with open(self._values.path, "rb", buffering=0) as file:
            for position in np.argsort(wanted, kind="stable"):  # the disk likes ascending order
                self._read_row(file, int(wanted[position]), out[position])
        return out

    def _read_row(self, file: IO[bytes], row: int, out: NDArray[np.float16]) -> None:
        file.seek(self._values.place(row))
        count = file.readinto(out)  # type: ignore[attr-defined]
        if count != self._values.row_bytes or row_digest(out) != self._digests[row]:
            raise self._damaged(self._values.path, f"row {row} with the digest noted beside it")

    def _damaged(self, path: Path, expected: str) -> ArtefactError:
        return ArtefactError(
            "the feature store is damaged",
            file=path,
            expected=expected,
            found="other bytes" if path.is_file() else "no file",
            fix=self._fix or "delete its folder and run the stage features again",
        )
