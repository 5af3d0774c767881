"""Whole datasets written at once: made beside their place, renamed into it, reused if equal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from neuroattn.core.atomic import fsync_folder, storage_errors
from neuroattn.core.errors import StorageError
from neuroattn.core.resources import user_path

Made = Mapping[str, Any]
Recorded = Callable[[Path], Any]


def target_folder(text: Path | str) -> Path:
    """The absolute path of a folder to be made, ``~`` expanded.

    Raises
    ------
    StorageError : it begins with a user who does not exist.
    """
    path = user_path(text)
    if str(text).startswith("~") and str(path).startswith("~"):
        raise StorageError(
            "there is no such user", file=path, expected="a folder", found=path.parts[0],
            fix="write the folder in full; ./~name is a folder whose name begins with ~",
        )  # fmt: skip
    return path.absolute()


def is_there(folder: Path, made: Made, recorded: Recorded) -> bool:
    """Whether ``folder`` holds the dataset of ``made``; an empty folder holds nothing.

    Parameters
    ----------
    made : the parameters that decide every byte of it.
    recorded : reads those that a folder was made with; None where it was not.

    Raises
    ------
    StorageError : something else is there.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    found = recorded(folder)
    if found != made:
        raise StorageError(
            "something else is in the folder for the dataset",
            file=folder,
            expected=f"nothing, or the dataset of {made}",
            found=found or "other files",
            fix="choose another folder, or remove this one",
        )
    return True


def publish(temporary: Path, target: Path, made: Made, recorded: Recorded) -> None:
    """Rename a finished folder into its place, where another process may have been first.

    Raises
    ------
    StorageError : something else is there, or the disk refuses.
    """
    with storage_errors(target):
        try:
            os.replace(temporary, target)
        except OSError:
            if not is_there(target, made, recorded):
                raise
        fsync_folder(target.parent)
