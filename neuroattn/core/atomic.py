"""Atomic files: readers see the old file or the new one, never a half-written one.

The order is fixed: write to a temporary name in the same folder, flush, fsync, rename over
the target, fsync the folder. A process that dies at any point leaves the target as it was
and at most one ``.<name>.<token>.tmp`` beside it, which `sweep_temporaries` removes.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroattn.core.errors import NeuroattnError, StorageError

# Every command writes through this module; the key is that of those which have it.
_KEY = "(of a stage or a recipe: paths.root=DIR)"
_CHOOSE = f"choose a folder that can be written {_KEY}"
_FREE = f"free some space, or choose a folder on another disk {_KEY}"
_REASONS = {
    errno.ENOSPC: ("no space left on the device", _FREE),
    errno.EDQUOT: ("the disk quota is used up", _FREE),
    errno.EFBIG: (
        "the file would exceed the size limit",
        f"raise the limit (ulimit -f), or choose a folder on another disk {_KEY}",
    ),
    errno.EROFS: ("the file system is read-only", _CHOOSE),
    errno.EACCES: ("permission denied", _CHOOSE),
    errno.EPERM: ("permission denied", _CHOOSE),
    errno.EEXIST: ("a file stands where a folder is needed", _CHOOSE),
    errno.ENOTDIR: ("a parent of this path is a file", _CHOOSE),
}


_ONLY_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

# How libraries without an errno tell the system's answer: safetensors, HDF5; NumPy is below.
_TOLD = re.compile(r"\b(?:os error|errno =|\[Errno) (\d+)")


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusal to write ``path`` into a `StorageError`."""
    try:
        yield
    except Exception as error:
        number = _system_number(error)
        if isinstance(error, NeuroattnError) or number not in _REASONS or _elsewhere(error, path):
            raise
        reason, fix = _REASONS[number]
        raise StorageError(f"cannot write: {reason}", file=path, fix=fix) from error


def _system_number(error: Exception) -> int | None:
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if isinstance(error, OSError) and re.fullmatch(r"\d+ requested and \d+ written", text):
        return errno.ENOSPC
    told = _TOLD.search(text)
    number = int(told.group(1)) if told else None
    return number if number in _ONLY_WRITING else None


def _elsewhere(error: Exception, path: Path) -> bool:
    """Whether the refusal is about another place: an input file that may not be read, say."""
    name = getattr(error, "filename", None)
    if not isinstance(name, str | Path):
        return False
    refused, here = Path(name).absolute(), path.absolute()
    return not (refused.is_relative_to(here.parent) or here.is_relative_to(refused))


def ensure_folder(path: Path) -> Path:
    """Create ``path`` with its parents; returns it.

    Raises
    ------
    StorageError : it cannot be made here.
    """
    try:
        with storage_errors(path):
            path.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:  # what /proc and the like answer, whose folders are not ours
        raise StorageError(
            "cannot write: no folder can be made here", file=path, fix=_CHOOSE
        ) from error
    return path


def check_writable(root: Path) -> None:
    """Find out before anything is computed, or any library is asked, that nothing can be kept.

    Raises
    ------
    StorageError : ``root`` cannot be made or written.
    """
    probe = ensure_folder(root) / f".probe.{secrets.token_hex(4)}"
    try:
        with storage_errors(root):
            probe.write_text("")
            probe.unlink(missing_ok=True)
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            "cannot write: no file can be made here", file=root, found=error, fix=_CHOOSE
        ) from error


def standing(path: Path) -> Path:
    """``path`` if it is there, else the nearest of its parents that is."""
    whole = path.absolute()
    # Path.exists would raise where a parent may not be searched.
    return next(place for place in (whole, *whole.parents) if os.access(place, os.F_OK))


def fsync_folder(path: Path) -> None:
    """Make a rename inside ``path`` survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def fsync_file(path: Path) -> None:
    """Force a file written by another library onto the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path to be written by any library; on success it becomes ``path``.

    Raises
    ------
    StorageError : the disk is full, read-only or closed to us. The target is untouched.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with storage_errors(path):
        try:
            yield temporary
            fsync_file(temporary)
            os.replace(temporary, path)
            fsync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write UTF-8 text to ``path`` atomically."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write readable JSON to ``path`` atomically; NaN and infinity are refused."""
    write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON that `write_json` wrote."""
    return json.loads(path.read_text())


def sweep_temporaries(folder: Path, *, keep: str = "") -> None:
    """Remove what killed writers left below ``folder``, except in its subfolder ``keep``.

    Call only under a claim: another live writer's temporary file would go as well.
    """
    for leftover in folder.rglob(".*.tmp"):
        if not keep or leftover.relative_to(folder).parts[0] != keep:
            leftover.unlink(missing_ok=True)
