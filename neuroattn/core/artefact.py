"""Artefacts on disk: a folder is readable when ``DONE`` is in it, and only then.

::

    <root>/<stage>/<label>-<8 hex>/
        payload…            written by the stage, each file atomically
        config.yaml         the whole config of the run that made it
        fingerprint.json    all that was hashed
        inputs.json         parents: stage -> {label, fingerprint}
        metrics.json        flat, dotted keys
        methods.txt         the stage's sentence for the Methods text
        metrics.jsonl       training curves
        provenance.json     code, versions, host, seed, time, memory, payload digests
        log.txt
        DONE                SHA-256 of provenance.json; renamed in last
        .work/              resumable state, gone once DONE
        .claim/             who computes it now
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroattn.core.atomic import (
    atomic_path,
    ensure_folder,
    fsync_file,
    fsync_folder,
    read_json,
    storage_errors,
    sweep_temporaries,
    write_json,
    write_text,
)
from neuroattn.core.errors import ArtefactError
from neuroattn.core.fingerprint import Fingerprint, file_digest

if TYPE_CHECKING:
    import h5py
    import pandas as pd

DONE = "DONE"
WORK = ".work"
CLAIM = ".claim"
FAILED = "error.json"
RECORDS = frozenset(
    {
        "config.yaml", "fingerprint.json", "inputs.json", "provenance.json", "metrics.json",
        "methods.txt", "metrics.jsonl", "log.txt", DONE, FAILED,
    }
)  # fmt: skip

_verified: dict[tuple[str, int, int, int], str] = {}


def is_done(folder: Path) -> bool:
    """Whether the artefact in ``folder`` is complete."""
    return (folder / DONE).is_file()


class Artefact:
    """A finished artefact, read-only; every payload file is verified before it is handed out."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not is_done(self.folder):
            raise ArtefactError(
                "there is no finished artefact here",
                file=self.folder,
                expected=f"a folder with {DONE} in it",
                found="nothing" if not self.folder.exists() else "a run that is not finished",
                fix="run its stage again; it resumes where it stopped",
            )
        found = file_digest(self.folder / "provenance.json")
        expected = (self.folder / DONE).read_text().strip()
        if found != expected:
            raise self._damaged("provenance.json", expected, found)

    @property
    def label(self) -> str:
        """Folder name, as in ``ridge-1a2b3c4d``."""
        return self.folder.name

    @property
    def stage(self) -> str:
        """Name of the stage that made it."""
        return str(self.fingerprint_payload["stage"])

    @cached_property
    def fingerprint_payload(self) -> dict[str, Any]:
        """All that was hashed."""
        return dict(read_json(self.folder / "fingerprint.json"))

    @property
    def fingerprint(self) -> str:
        """Full digest, 64 hexadecimal digits."""
        return Fingerprint(self.fingerprint_payload).digest

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Code, versions, host, seed, time, memory, and the digest of each payload file."""
        return dict(read_json(self.folder / "provenance.json"))

    @cached_property
    def config(self) -> dict[str, Any]:
        """The whole config of the run that made it, as plain values."""
        import yaml

        return dict(yaml.safe_load((self.folder / "config.yaml").read_text()))

    @cached_property
    def metrics(self) -> dict[str, float | None]:
        """Flat metrics by dotted key; None where a figure is not defined."""
        return dict(read_json(self.folder / "metrics.json"))

    @cached_property
    def inputs(self) -> dict[str, Any]:
        """Parents: stage -> ``{label, fingerprint}``."""
        return dict(read_json(self.folder / "inputs.json"))

    @property
    def methods(self) -> str:
        """The stage's sentence for the Methods text."""
        return (self.folder / "methods.txt").read_text().strip()

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Payload: name -> ``{sha256, bytes}``."""
        return dict(self.provenance["payload"])

    def has(self, name: str) -> bool:
        """Whether ``name`` is in the payload."""
        return name in self.files

    def path(self, name: str) -> Path:
        """Path of a payload file whose digest was checked in this process.

        Raises
        ------
        ArtefactError : the file is not in the payload, is missing, or has other bytes.
        """
        if name not in self.files:
            raise ArtefactError(
                f"the artefact {self.stage}/{self.label} has no file {name}",
                file=self.folder,
                expected=", ".join(sorted(self.files)),
                found=name,
                fix="ask for one of these files",
            )
        path = self.folder / name
        expected = str(self.files[name]["sha256"])
        found = _digest_once(path) if path.is_file() else "no file"
        if found != expected:
            raise self._damaged(name, expected, found)
        return path

    def verify(self) -> None:
        """Check every payload file.

        Raises
        ------
        ArtefactError : for the first that is not as written.
        """
        for name in self.files:
            self.path(name)

    def json(self, name: str) -> Any:
        """Content of a JSON payload file."""
        return read_json(self.path(name))

    def table(self, name: str) -> pd.DataFrame:
        """Content of a tab-separated payload file."""
        from neuroattn.core.tables import read_tsv

        return read_tsv(self.path(name))

    def hdf5(self, name: str) -> AbstractContextManager[h5py.File]:
        """An HDF5 payload file, open for reading."""
        from neuroattn.core.hdf5 import open_hdf5

        return open_hdf5(self.path(name))

    def _damaged(self, name: str, expected: str, found: str) -> ArtefactError:
        return ArtefactError(
            f"a file of {self.folder.parent.name}/{self.label} is not what was written",
            file=self.folder / name,
            expected=f"sha256 {expected}",
            found=found,
            fix=f"delete {self.folder} and run the stage again",
        )


def _digest_once(path: Path) -> str:
    stat = path.stat()
    key = (str(path.absolute()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    if key not in _verified:
        _verified[key] = file_digest(path)
    return _verified[key]


class ArtefactWriter:
    """Writes one artefact's payload; only its owner (the holder of the claim) has one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def work(self) -> Path:
        """Private folder for resumable state; survives a kill, removed when DONE."""
        return ensure_folder(self.folder / WORK)

    @contextmanager
    def file(self, name: str) -> Iterator[Path]:
        """Yield a temporary path; on success it is the payload file ``name``."""
        with atomic_path(self._target(name)) as temporary:
            yield temporary

    def json(self, name: str, content: Any) -> None:
        """Write a JSON payload file."""
        write_json(self._target(name), content)

    def text(self, name: str, content: str) -> None:
        """Write a text payload file."""
        write_text(self._target(name), content)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Write a tab-separated payload file."""
        from neuroattn.core.tables import write_tsv

        write_tsv(self._target(name), frame)

    @contextmanager
    def hdf5(self, name: str) -> Iterator[h5py.File]:
        """Open a new HDF5 payload file for writing."""
        from neuroattn.core.hdf5 import create_hdf5

        with create_hdf5(self._target(name)) as file:
            yield file

    def adopt(self, source: Path, name: str) -> None:
        """Move a file finished in `work` into the payload."""
        target = self._target(name)
        with storage_errors(target):
            fsync_file(source)
            os.replace(source, target)
            fsync_folder(target.parent)

    def _target(self, name: str) -> Path:
        target = self.folder / name
        if name in RECORDS or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ArtefactError(
                "this name is not free for a payload file",
                file=target,
                found=name,
                fix="choose another name inside the artefact",
            )
        ensure_folder(target.parent)
        return target

    def start(self) -> None:
        """Remove what a killed predecessor left half-written; resumable state stays."""
        sweep_temporaries(self.folder, keep=CLAIM)  # contenders write their drafts there
        (self.folder / FAILED).unlink(missing_ok=True)

    def payload(self) -> dict[str, dict[str, Any]]:
        """Digest and size of every payload file now in the folder."""
        return {
            str(path.relative_to(self.folder)): {
                "sha256": file_digest(path),
                "bytes": path.stat().st_size,
            }
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and not self._is_private(path.relative_to(self.folder))
        }

    def finish(
        self,
        *,
        provenance: Mapping[str, Any],
        metrics: Mapping[str, float],
        methods: str,
    ) -> None:
        """Record what was done, then put ``DONE`` in place: from here on it is readable."""
        finite = {name: value if math.isfinite(value) else None for name, value in metrics.items()}
        write_json(self.folder / "metrics.json", finite)
        write_text(self.folder / "methods.txt", methods.strip() + "\n")
        write_json(self.folder / "provenance.json", {**provenance, "payload": self.payload()})
        content = (self.folder / "provenance.json").read_bytes()
        write_text(self.folder / DONE, hashlib.sha256(content).hexdigest() + "\n")
        shutil.rmtree(self.folder / WORK, ignore_errors=True)

    @staticmethod
    def _is_private(relative: Path) -> bool:
        return str(relative) in RECORDS or relative.parts[0] in (WORK, CLAIM)
