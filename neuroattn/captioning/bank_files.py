"""Natural pictures in a folder, in a list or in an HDF5 file, by number. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.captioning.registry import BankConfig, BankSource
from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.arrays_files import PICTURE_SUFFIXES
from neuroattn.data.stimuli import Hdf5Pictures, PictureFiles


def files_of_bank(config: BankConfig) -> Mapping[str, Path]:
    """Files that decide what the bank is, by stable name, without opening a picture.

    Raises
    ------
    MissingDataError : the folder, the list or the file is not there.
    DataError : it names no picture.
    """
    path = _there(config)
    if config.source is BankSource.hdf5:
        return {"bank.h5": path}
    return {f"bank/{name}": file for name, file in _named(config, path).items() if file.is_file()}


def open_pictures(config: BankConfig) -> tuple[Any, list[str]]:
    """A reader of pictures by number, and the name of each; raises as `files_of_bank`."""
    path = _there(config)
    if config.source is BankSource.hdf5:
        stored = Hdf5Pictures(path, config.table)
        return stored, [stored.file(number) for number in range(stored.count)]
    named = _named(config, path)
    files = dict(enumerate(named.values()))
    return PictureFiles(files, path if path.is_dir() else path.parent), list(named)


def _there(config: BankConfig) -> Path:
    if config.path is None:
        raise ConfigError(
            "there is no bank beside the dataset's own pictures",
            expected="caption.bank.source=folder|list|hdf5 and caption.bank.path",
            found="caption.bank.source=dataset",
            fix="set both, or leave the stage bank out: nothing needs it",
        )
    path = user_path(config.path)
    there = path.is_dir() if config.source is BankSource.folder else path.is_file()
    if not there:
        raise MissingDataError(
            "the bank of natural pictures is not there",
            file=path,
            expected=f"a {config.source.value}",
            found="nothing" if not path.exists() else "something else",
            fix="correct caption.bank.path, or caption.bank.source",
        )
    return path


def _named(config: BankConfig, path: Path) -> dict[str, Path]:
    """Pictures by name: by their place below the folder, or as the list has them."""
    if config.source is BankSource.folder:
        found = {
            file.relative_to(path).as_posix(): file
            for file in sorted(path.rglob("*"))
            if file.suffix.lower() in PICTURE_SUFFIXES and not file.name.startswith(".")
        }
    else:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
        found = {line: path.parent / line for line in lines if line and not line.startswith("#")}
    if not found:
        raise DataError(
            "the bank of natural pictures is empty",
            file=path,
            expected=", ".join(sorted(PICTURE_SUFFIXES)),
            found="no picture",
            fix="correct caption.bank.path",
        )
    return found


def read_captions(path: str | None) -> dict[str, list[str]]:
    """Captions by the name of the picture; empty where there is no file.

    Raises
    ------
    DataError : it is no JSON object of lists of texts.
    """
    if path is None:
        return {}
    file = user_path(path)
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        sound = all(
            isinstance(texts, list) and all(isinstance(text, str) for text in texts)
            for texts in found.values()
        )
    except (OSError, ValueError, AttributeError):
        sound = False
    if not sound:
        raise DataError(
            "the captions of the bank cannot be read",
            file=file,
            expected='{"picture": ["caption", …], …}',
            found="something else",
            fix="correct caption.bank.captions",
        )
    return dict(found)


def ids_of(names: list[str]) -> NDArray[np.int64]:
    """Numbers of the pictures."""
    return np.arange(len(names), dtype=np.int64)
