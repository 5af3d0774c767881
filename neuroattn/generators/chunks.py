"""Arrays computed once, in chunks that survive a kill, and read as memory maps afterwards.

The drawing of scenes, and what frozen networks make of them, stay out of training loops by this
(but for the autoencoder's perceptual loss, which looks at pictures that were just made). Each
chunk is one file, renamed in; the arrays are put together when the last one is there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.atomic import atomic_path, ensure_folder, read_json, write_json
from neuroattn.core.claims import claim
from neuroattn.core.errors import ArtefactError
from neuroattn.core.fingerprint import file_digest

Arrays = dict[str, NDArray[Any]]
Make = Callable[[range], Mapping[str, NDArray[Any]]]
RECORD = "arrays.json"


def gathered(folder: Path, count: int, make: Make, *, chunk: int = 500) -> Arrays:
    """The arrays of ``folder`` as memory maps, made first where they are not there.

    Parameters
    ----------
    make : rows ``range`` -> arrays with one row each; called for chunk after chunk, and for
        none that an earlier call finished.

    Raises
    ------
    ArtefactError : a file has other bytes than were written.
    """
    if not (folder / RECORD).is_file():
        ensure_folder(folder)
        with claim(folder):  # models that train side by side read the same scenes
            _make_missing(folder, count, make, chunk)
    return _opened(folder)


def _make_missing(folder: Path, count: int, make: Make, chunk: int) -> None:
    if (folder / RECORD).is_file():  # another process was first
        return
    draft = ensure_folder(folder / "chunks")
    parts = [_part(draft, rows, make) for rows in _ranges(count, chunk)]
    _join(folder, count, parts)
    shutil.rmtree(draft)


def _ranges(count: int, chunk: int) -> list[range]:
    return [range(start, min(start + chunk, count)) for start in range(0, count, chunk)]


def _part(draft: Path, rows: range, make: Make) -> Path:
    path = draft / f"{rows.start:08d}-{rows.stop:08d}.npz"
    if not path.is_file():
        made: dict[str, Any] = dict(make(rows))
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, **made)
    return path


def _join(folder: Path, count: int, parts: list[Path]) -> None:
    """Put the chunks together, one array after the other."""
    digests = {}
    with np.load(parts[0], allow_pickle=False) as first:
        names = list(first.files)
    for name in names:
        pieces = [_piece(part, name) for part in parts]
        kind = np.result_type(*(piece.dtype for piece in pieces))  # the longest text decides
        path = folder / f"{name}.npy"
        with atomic_path(path) as temporary:
            whole = np.lib.format.open_memmap(temporary, "w+", kind, (count, *pieces[0].shape[1:]))
            np.concatenate(pieces, out=whole)
            whole.flush()
        digests[name] = file_digest(path)
    write_json(folder / RECORD, digests)


def _piece(part: Path, name: str) -> NDArray[Any]:
    with np.load(part, allow_pickle=False) as file:
        piece: NDArray[Any] = file[name]
    return piece


def _opened(folder: Path) -> Arrays:
    found: Arrays = {}
    for name, digest in read_json(folder / RECORD).items():
        path = folder / f"{name}.npy"
        if not path.is_file() or file_digest(path) != digest:
            raise ArtefactError(
                "a cached array is not what was written",
                file=path,
                expected=f"sha256 {digest}",
                found="other bytes, or no file",
                fix=f"delete {folder} and run the same command again",
            )
        found[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    return found
