"""Checkpoints: one folder each, complete or absent.

    checkpoint-000012/
        weights.safetensors   the model
        state.pt              optimiser, loss scale, random streams: tensors and plain values
        state.json            step, position, best so far; digests; name of the best checkpoint

A checkpoint is written under a private name, flushed to the disk and renamed, so a process
killed at any moment leaves the earlier ones untouched. Nothing is ever unpickled: the state
is read with ``weights_only=True``, which builds tensors and plain containers and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import re
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from neuroattn.core.atomic import ensure_folder, fsync_file, fsync_folder
from neuroattn.core.errors import ArtefactError, SecurityError
from neuroattn.core.fingerprint import canonical, file_digest
from neuroattn.training.weights import Weights, read_weights, writing

log = logging.getLogger("neuroattn.training")

FORMAT = 1
WEIGHTS, STATE, FACTS = "weights.safetensors", "state.pt", "state.json"
_NAME = re.compile(r"checkpoint-(\d{6})")
_START_AGAIN = "delete this folder to start the training again"


@dataclass(frozen=True)
class Snapshot:
    """One moment of a run.

    Parameters
    ----------
    weights : parameters and buffers by name, on the CPU.
    state : nested dicts and lists of tensors, numbers, text and None.
    facts : JSON values.
    """

    weights: Weights
    state: dict[str, Any]
    facts: dict[str, Any]


class CheckpointStore:
    """The checkpoints of one run; one process writes, under a claim on the run.

    Parameters
    ----------
    folder : where they stand; made when needed.
    keep : how many of the newest are kept, beside the best.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = folder, keep

    def names(self) -> list[str]:
        """Complete checkpoints, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(p.name for p in self.folder.iterdir() if _NAME.fullmatch(p.name))

    def sweep(self) -> None:
        """Remove what a killed writer left."""
        for leftover in self.folder.glob(".checkpoint-*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)

    def save(self, snapshot: Snapshot, best: str | None = None) -> str:
        """Write a checkpoint, then remove those that are no longer needed.

        Parameters
        ----------
        best : name of the best checkpoint so far; None where this one is the best.

        Returns
        -------
        str : its name.

        Raises
        ------
        StorageError : it cannot be written; earlier checkpoints are untouched.
        """
        names = self.names()
        name = f"checkpoint-{int(names[-1][-6:]) + 1 if names else 1:06d}"
        with self._new_folder(name) as folder:
            save_file(snapshot.weights, folder / WEIGHTS)
            torch.save(snapshot.state, folder / STATE)
            _write_facts(folder, snapshot.facts, best or name)
        self._prune()
        return name

    def newest(self) -> tuple[str, Snapshot] | None:
        """The newest checkpoint that is undamaged, with its name; None where there is none at all.

        Raises
        ------
        ArtefactError : there are checkpoints, and all are damaged.
        SecurityError : one holds code.
        """
        names = self.names()
        for name in reversed(names):
            try:
                return name, self.load(name)
            except ArtefactError as error:
                log.warning("a damaged checkpoint is passed over: %s", error)
        if names:
            raise ArtefactError(
                "no checkpoint can be read",
                file=self.folder,
                found=f"{len(names)} damaged checkpoints",
                fix=_START_AGAIN,
            )
        return None

    def load(self, name: str) -> Snapshot:
        """Read one checkpoint.

        Raises
        ------
        ArtefactError : it is damaged, or was written in another format.
        SecurityError : it holds code.
        """
        folder = self.folder / name
        header = self._header(name)
        for name_of_file in (WEIGHTS, STATE):
            file = folder / name_of_file
            found = file_digest(file) if file.exists() else "no such file"
            _compare(file, header["files"][name_of_file], found)
        return Snapshot(
            weights=read_weights(folder / WEIGHTS),
            state=read_state(folder / STATE),
            facts=header["facts"],
        )

    def best(self, name: str) -> str:
        """Name of the best checkpoint, as known when ``name`` was written."""
        best = str(self._header(name)["best"])
        if not _NAME.fullmatch(best):
            raise ArtefactError(
                "the best checkpoint has no valid name",
                file=self.folder / name / FACTS,
                expected="checkpoint-<6 digits>",
                found=best,
                fix=_START_AGAIN,
            )
        return best

    def _known_best(self, name: str) -> list[str]:
        try:
            return [self.best(name)]
        except ArtefactError:  # damaged; `newest` says so when it matters
            return []

    def _header(self, name: str) -> dict[str, Any]:
        file = self.folder / name / FACTS
        try:
            content = json.loads(file.read_text())
            header, digest = content["header"], content["sha256"]
            kind = header["format"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtefactError(
                "the checkpoint is damaged", file=file, found=error, fix=_START_AGAIN
            ) from error
        if kind != FORMAT:
            raise ArtefactError(
                "the checkpoint was written in another format",
                file=file,
                expected=f"format {FORMAT}",
                found=kind,
                fix="resume with the version that wrote it, or " + _START_AGAIN,
            )
        _compare(file, digest, _text_digest(header))
        return dict(header)

    @contextmanager
    def _new_folder(self, name: str) -> Iterator[Path]:
        """Yield a private folder to be filled; it is flushed and takes its name at the end."""
        ensure_folder(self.folder)
        private = self._private(name)
        with writing(self.folder / name):
            try:
                private.mkdir()
                yield private
                for file in private.iterdir():
                    fsync_file(file)
                fsync_folder(private)
                os.replace(private, self.folder / name)
                fsync_folder(self.folder)
            finally:
                shutil.rmtree(private, ignore_errors=True)

    def _prune(self) -> None:
        names = self.names()
        recent = names[-self.keep :]
        # Each of them may be resumed from, should a newer one be damaged: its best is kept too.
        needed = {*recent, *(best for name in recent for best in self._known_best(name))}
        for name in set(names) - needed:
            # Renamed first: a folder that lost some files must not look complete.
            private = self._private(name)
            os.replace(self.folder / name, private)
            shutil.rmtree(private, ignore_errors=True)

    def _private(self, name: str) -> Path:
        return self.folder / f".{name}.{secrets.token_hex(4)}.partial"


def read_state(file: Path) -> dict[str, Any]:
    """Read a file of tensors and plain values; anything else in it is refused, unexecuted.

    Raises
    ------
    SecurityError : the file names a class or function.
    ArtefactError : the file is damaged.
    """
    try:
        with warnings.catch_warnings():
            # A foreign pickle may be of a protocol that torch remarks on before it refuses it.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            return dict(torch.load(file, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise SecurityError(
            "the checkpoint holds more than tensors and plain values; nothing of it was executed",
            file=file,
            expected="a training state that neuroattn wrote",
            found=str(error).splitlines()[0],
            fix="do not use this file; " + _START_AGAIN,
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, TypeError) as error:
        raise ArtefactError(
            "the training state is damaged", file=file, found=error, fix=_START_AGAIN
        ) from error


def _write_facts(folder: Path, facts: dict[str, Any], best: str) -> None:
    files = {name: file_digest(folder / name) for name in (WEIGHTS, STATE)}
    header = {"format": FORMAT, "best": best, "files": files, "facts": facts}
    content = {"header": header, "sha256": _text_digest(header)}
    (folder / FACTS).write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False))


def _text_digest(header: dict[str, Any]) -> str:
    return hashlib.sha256(canonical(header).encode()).hexdigest()


def _compare(file: Path, expected: str, found: str) -> None:
    if found != expected:
        raise ArtefactError(
            "the checkpoint is damaged",
            file=file,
            expected=f"SHA-256 {expected}",
            found=found,
            fix=_START_AGAIN,
        )
