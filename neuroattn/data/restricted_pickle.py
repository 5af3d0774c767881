"""Dictionaries from pickled ``.npy`` files, read without running anything that is in them.

The Algonauts 2023 masks name their labels in pickled dictionaries. Unpickling calls whatever
the file names, so here it may name a few functions of NumPy only, each replaced by one of
ours that builds plain numbers; the result must be a dictionary of numbers and text.
"""

from __future__ import annotations

import pickle
import re
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from neuroattn.core.errors import DataError, NeuroattnError, SecurityError

_MOST = 1 << 20
_KIND = re.compile(r"[<>|=]?(?:O|[biu?f])[0-9]{0,2}|[<>|=]?[SU][0-9]{1,3}")


class _ArrayKind:
    """Stands for ``numpy.ndarray`` in a pickle; it cannot be called."""


ARRAY = _ArrayKind()


def _dtype(kind: Any, *_: Any) -> np.dtype[Any]:
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise pickle.UnpicklingError(f"the type {kind!r}")
    return np.dtype(kind, copy=True)


def _array(kind: Any, shape: Any, *_: Any) -> np.ndarray[Any, Any]:
    # What NumPy writes is always empty here; the values follow. Any other shape asks for memory.
    if kind is not ARRAY or shape != (0,):
        raise pickle.UnpicklingError(f"an array of shape {shape!r}")
    return np.empty(0, dtype=np.int8)


def _scalar(kind: Any, content: Any) -> Any:
    if not isinstance(kind, np.dtype) or kind.hasobject or not isinstance(content, bytes):
        raise pickle.UnpicklingError("a scalar of another form")
    (value,) = np.frombuffer(content, dtype=kind)
    return value.item()


def _encoded(text: Any, encoding: Any) -> bytes:
    # How protocol 2 writes bytes; another encoding would be another function.
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes in {encoding!r}")
    return text.encode("latin1")


ALLOWED = {
    ("numpy", "ndarray"): ARRAY,
    ("numpy", "dtype"): _dtype,
    ("multiarray", "_reconstruct"): _array,
    ("multiarray", "scalar"): _scalar,
    ("_codecs", "encode"): _encoded,
}


def allowed_name(module: str, name: str) -> tuple[str, str]:
    """The key of `ALLOWED` that a pickle means by ``module.name``.

    Raises
    ------
    SecurityError : there is none.
    """
    known = re.sub(r"^numpy\._?core\.(?=multiarray$)", "", module)
    if (known, name) not in ALLOWED:
        raise SecurityError(f"the file asks for {module}.{name}")
    return known, name


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return ALLOWED[allowed_name(module, name)]


def read_labels_dictionary(path: Path) -> dict[int, str]:
    """Label -> name from a ``.npy`` that holds one pickled dictionary; nothing is executed.

    Raises
    ------
    SecurityError : the pickle asks for anything but numbers, text and dictionaries.
    DataError : it is no such file.
    """
    try:
        found = _load(path)
    except SecurityError as error:
        raise SecurityError(
            "the pickled dictionary asks for code; nothing of it was executed",
            file=path,
            expected="a dictionary of numbers and names",
            found=error.problem,
            fix="fetch the file from the challenge again, and do not trust the source of this one",
        ) from error
    except (pickle.UnpicklingError, ValueError, TypeError, EOFError, AttributeError, KeyError,
            IndexError, OverflowError, MemoryError) as error:  # fmt: skip
        if isinstance(error, NeuroattnError):
            raise
        raise _malformed(path, str(error)) from error
    if not isinstance(found, dict) or not found:
        raise _malformed(path, type(found).__name__)
    names: dict[int, str] = {}
    for label, name in found.items():
        if type(label) is not int or type(name) is not str:
            raise _malformed(path, f"{label!r}: {name!r}"[:80])
        names[label] = name
    return names


def _load(path: Path) -> Any:
    content = path.read_bytes()
    if len(content) > _MOST:
        raise ValueError(f"{len(content)} bytes")
    stream = BytesIO(content)
    version = npy.read_magic(stream)
    read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"an array of {dtype}, shape {shape}")
    array = _Unpickler(stream).load()
    if not isinstance(array, np.ndarray) or array.shape != ():
        raise ValueError(f"a pickled {type(array).__name__}")
    return array.item()


def _malformed(path: Path, found: str) -> DataError:
    return DataError(
        "this is no dictionary of label names", file=path, expected="{0: 'Unknown', 1: 'V1v', …}",
        found=found, fix="fetch the file from the challenge again",
    )  # fmt: skip
