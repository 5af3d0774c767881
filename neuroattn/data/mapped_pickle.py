"""Pickled dictionaries with large arrays, read without running them and without holding them.

THINGS-EEG2 and what is derived from it come as pickled dictionaries, as they are, inside a ``.npy``
or inside the uncompressed archive that ``torch.save`` writes; the arrays in them have gigabytes.
Here the pickle may name nothing but arrays, types and scalars of NumPy (`restricted_pickle`), and
an array's bytes stay in the file: the array is a memory map of the place where they stand.
"""

from __future__ import annotations

import pickle
import re
import struct
import zipfile
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np
from numpy.lib import format as npy

from neuroattn.core.errors import DataError, NeuroattnError, SecurityError
from neuroattn.data.restricted_pickle import ALLOWED, ARRAY, allowed_name

_LARGE = 1 << 20  # bytes that are not read but mapped; a pickle's own frames are far smaller
_NUMBERS = "fiub"
_TEXT = "US"


class _Span:
    """Bytes of the file that were passed over."""

    def __init__(self, offset: int, size: int) -> None:
        self.offset, self.size = offset, size

    def __len__(self) -> int:
        return self.size


class _Passing:
    """A file of which long parts are not read; the pickle ends at ``size``."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._size = file, size

    def read(self, count: int) -> Any:
        """The next bytes, or where they stand."""
        if count <= _LARGE:
            return self._file.read(count)
        offset = self._file.tell()
        if offset + count > self._size:
            raise EOFError(f"{self._size} bytes in all, and {count} from {offset} are asked for")
        self._file.seek(count, 1)
        return _Span(offset, count)

    def readline(self) -> bytes:
        """The next line, which a pickle has short ones of."""
        return self._file.readline(_LARGE)

    def readinto(self, buffer: Any) -> int:
        """Refuse: of what is taken here nothing is written in place."""
        raise pickle.UnpicklingError(f"{len(buffer)} bytes in place")


class _Pending:
    """An array whose shape, type and bytes are still to come."""

    def __init__(self) -> None:
        self.state: tuple[Any, ...] | None = None

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("an array of another form")
        self.state = state

    def resolve(self, path: Path) -> Any:
        """The array: mapped, or a copy where it is small; a list where it holds objects."""
        if self.state is None:
            raise pickle.UnpicklingError("an array without content")
        _, shape, dtype, fortran, content = self.state
        if not isinstance(dtype, np.dtype) or not isinstance(shape, tuple):
            raise pickle.UnpicklingError("an array of another form")
        if dtype.hasobject:
            return _objects(shape, content)
        if dtype.kind not in _NUMBERS + _TEXT:
            raise pickle.UnpicklingError(f"an array of {dtype}")
        _check_size(shape, dtype, content)
        # Fortran's order is C's of the axes turned round; of others the shape is told as stored.
        stored = shape[::-1] if fortran is True else shape
        if isinstance(content, _Span):
            array: Any = np.memmap(path, dtype, mode="r", offset=content.offset, shape=stored)
        else:
            array = np.frombuffer(content, dtype).reshape(stored)
        if isinstance(fortran, tuple):
            return array.transpose(fortran)
        return array.T if fortran else array


def _objects(shape: tuple[Any, ...], content: Any) -> Any:
    if not isinstance(content, list):
        raise pickle.UnpicklingError("objects of another form")
    return content[0] if shape == () and len(content) == 1 else content


def _check_size(shape: tuple[Any, ...], dtype: np.dtype[Any], content: Any) -> None:
    if not isinstance(content, bytes | _Span) or not all(isinstance(n, int) for n in shape):
        raise pickle.UnpicklingError("an array of another form")
    # Python's integers: a product of lengths that wraps round must not pass.
    wanted = dtype.itemsize
    for length in shape:
        wanted *= length
    if min(shape, default=1) < 0 or wanted != len(content):
        raise pickle.UnpicklingError(f"an array {shape} of {dtype} in {len(content)} bytes")


def _array_bytes(unpickler: Any) -> None:
    """Protocol 5's bytes of an array, which the interpreter's own method would hold."""
    (count,) = struct.unpack("<Q", unpickler.read(8))
    unpickler.append(unpickler.read(count))


class _Unpickler(pickle._Unpickler):
    """The interpreter written in Python: it asks its file for every byte it takes."""

    def find_class(self, module: str, name: str) -> Any:
        if _NUMERIC.fullmatch(module) and name == "_frombuffer":
            return _in_buffer
        known = allowed_name(module, name)
        return _pending if known == ("multiarray", "_reconstruct") else ALLOWED[known]

    dispatch: ClassVar[Any] = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _array_bytes}


_NUMERIC = re.compile(r"numpy\._?core\.numeric")


def _in_buffer(content: Any, dtype: Any, shape: Any, order: Any, axes: Any = None) -> _Pending:
    """An array as protocol 5 writes it; ``axes`` are those of the order K."""
    if order not in ("C", "F", "K") or (order == "K") != isinstance(axes, tuple):
        raise pickle.UnpicklingError(f"an array in the order {order!r}")
    found = _Pending()
    found.state = (1, shape, dtype, axes if order == "K" else order == "F", content)
    return found


def _pending(kind: Any, shape: Any, *_: Any) -> _Pending:
    if kind is not ARRAY or shape != (0,):
        raise pickle.UnpicklingError(f"an array of shape {shape!r}")
    return _Pending()


_BROKEN = (
    pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, KeyError, IndexError,
    OverflowError, MemoryError, RecursionError, UnicodeDecodeError, AssertionError, struct.error,
    zipfile.BadZipFile, NotImplementedError,
)  # fmt: skip


def read_mapped_dictionary(path: Path) -> dict[str, Any]:
    """A pickled dictionary: numbers, text, lists of them, and arrays that stay in the file.

    Parameters
    ----------
    path : a pickle of protocol 3 to 5, a ``.npy`` that holds one object, or what ``torch.save``
        makes of a dictionary without tensors.

    Raises
    ------
    SecurityError : the pickle asks for anything else; nothing of it was executed.
    DataError : it is no such file, or is cut off.
    """
    try:
        found = _load(path)
        if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
            raise pickle.UnpicklingError(f"a {type(found).__name__}")
        return {key: _resolved(value, path) for key, value in found.items()}
    except SecurityError as error:
        raise SecurityError(
            "the pickled dictionary asks for code; nothing of it was executed",
            file=path,
            expected="a dictionary of arrays, numbers and names",
            found=error.problem,
            fix="fetch the file from its publisher again, and do not trust the source of this one",
        ) from error
    except _BROKEN as error:
        if isinstance(error, NeuroattnError):
            raise
        raise DataError(
            "this is no dictionary of arrays",
            file=path,
            expected="a pickled dictionary of protocol 3 to 5, as published",
            found=str(error) or type(error).__name__,
            fix="fetch the file again; it is cut off, damaged or of another form",
        ) from error


def _load(path: Path) -> Any:
    with open(path, "rb") as file:
        size = _go_to_the_pickle(file, path)
        found: Any = _Unpickler(_Passing(file, size)).load()
    return found.resolve(path) if isinstance(found, _Pending) else found


def _go_to_the_pickle(file: IO[bytes], path: Path) -> int:
    """Leave ``file`` where the pickle begins; return where it ends."""
    first, size = file.read(2), path.stat().st_size
    file.seek(0)
    if first[:1] == b"\x93":
        version = npy.read_magic(file)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = header(file)
        if shape != () or not dtype.hasobject:
            raise ValueError(f"an array of {dtype}, shape {shape}")
    elif first == b"PK":
        return _go_into_the_archive(file)
    return size


def _go_into_the_archive(file: IO[bytes]) -> int:
    """As above, in an archive of ``torch.save``: its one member ``data.pkl``, uncompressed."""
    with zipfile.ZipFile(file) as archive:
        found = [one for one in archive.infolist() if one.filename.rpartition("/")[2] == "data.pkl"]
    if len(found) != 1 or found[0].compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"an archive with {len(found)} data.pkl, or a compressed one")
    file.seek(found[0].header_offset)
    header = file.read(30)  # two lengths, of the name and of padding, end it
    file.seek(sum(struct.unpack("<HH", header[26:])), 1)
    return file.tell() + found[0].file_size


def _resolved(value: Any, path: Path) -> Any:
    if isinstance(value, _Pending):
        return value.resolve(path)
    if isinstance(value, list):
        return [_resolved(one, path) for one in value]
    if value is None or isinstance(value, str | int | float | np.generic):
        return value
    raise pickle.UnpicklingError(f"a {type(value).__name__}")
