"""Input files: present, whole and real, or one clear error.

Data sets travel through git-annex, DataLad and Git LFS, all of which leave small stubs where
a file was not fetched; a reader that opens one fails far from the cause.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from neuroattn.core.errors import DataError, MissingDataError

_STUB_BYTES = 1024
_NAMED = 5


def of_all_subjects(config: Any, find: Callable[[Any], Mapping[str, Path]]) -> dict[str, Path]:
    """Input files of every subject that ``config`` names, of a layout read subject by subject."""
    found: dict[str, Path] = {}
    for subject in config.subjects:
        found |= find(replace(config, subjects=[subject]))
    return found


def existing_file(path: Path, what: str, *, fix: str) -> Path:
    """Return ``path`` if it is a file with content.

    Parameters
    ----------
    what : the file in words, as in ``"the table of trials"``.
    fix : what to do where it is missing.

    Raises
    ------
    MissingDataError : it is missing, or a stub stands in its place.
    DataError : it is a folder, or empty.
    """
    if not path.exists():
        if path.is_symlink():
            raise _not_fetched(path, f"a link to {path.readlink()}, which is not there")
        raise MissingDataError(
            f"{what} is missing", file=path, expected="a file", found="nothing", fix=fix
        )
    if not path.is_file():
        raise DataError(
            f"{what} is not a file", file=path, expected="a file", found="a folder", fix=fix
        )
    size = path.stat().st_size
    if size == 0:
        raise DataError(
            f"{what} is empty",
            file=path,
            expected="content",
            found="0 bytes",
            fix="copy the file again",
        )
    if size <= _STUB_BYTES:
        _refuse_stub(path)
    return path


def _refuse_stub(path: Path) -> None:
    start = path.read_bytes()
    if start.startswith(b"version https://git-lfs.github.com/spec/"):
        raise _not_fetched(path, "a Git LFS pointer")
    if b"/annex/objects/" in start and b"\n" not in start.strip():
        raise _not_fetched(path, "a git-annex pointer")


def _not_fetched(path: Path, found: str) -> MissingDataError:
    return MissingDataError(
        "the content of this file was not fetched",
        file=path,
        expected="the file itself",
        found=found,
        fix="fetch it: `git lfs pull`, `git annex get .` or `datalad get .` in its folder",
    )


def read_json_input(path: Path) -> Any:
    """Parse a JSON file that a user wrote.

    Raises
    ------
    DataError : it is no JSON; line and column are named.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(
            "the file is not valid JSON",
            file=path,
            expected="JSON, UTF-8",
            found=error,
            fix="correct it there; `python -m json.tool FILE` shows the place",
        ) from error


def named(items: Iterable[Any]) -> str:
    """The first few of ``items`` in words: ``3, 7, 9, 11, 15 … (12 in all)``."""
    listed = list(items)
    head = ", ".join(map(str, listed[:_NAMED]))
    return head if len(listed) <= _NAMED else f"{head} … ({len(listed)} in all)"
