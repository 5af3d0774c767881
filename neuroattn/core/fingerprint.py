"""Fingerprints: what a result depends on, as canonical JSON, hashed.

A fingerprint covers the stage's name and version, the science keys that differ from their
defaults, the parents' fingerprints and the digests of the leaf files. It needs none of the
results, so a plan can name runs that do not exist yet.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroattn.core.errors import MissingDataError

SHORT = 8
_BLOCK = 1 << 20
_TABLE = "CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, stat TEXT, digest TEXT)"


def canonical(payload: Any) -> str:
    """JSON with sorted keys and no spaces: equal payloads give equal text."""
    return json.dumps(payload, sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Fingerprint:
    """Identity of one artefact; ``payload`` is everything that was hashed."""

    payload: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical payload, 64 hexadecimal digits."""
        return hashlib.sha256(canonical(self.payload).encode()).hexdigest()

    @property
    def short(self) -> str:
        """The first 8 digits, as they stand in folder names."""
        return self.digest[:SHORT]


def stage_fingerprint(
    *,
    stage: str,
    version: int,
    science: Mapping[str, Any],
    parents: Mapping[str, str],
    leaves: Mapping[str, str],
) -> Fingerprint:
    """Fingerprint of one stage's result.

    ``science`` maps dotted keys to values that differ from their defaults, ``parents`` stage
    names to full digests, ``leaves`` file names (relative to their dataset) to SHA-256.
    """
    return Fingerprint(
        {
            "stage": stage,
            "version": version,
            "science": dict(science),
            "parents": dict(parents),
            "leaves": dict(leaves),
        }
    )


def difference(left: Mapping[str, Any], right: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Rows (dotted key, left, right) in which two fingerprint payloads differ; absent is None."""
    flat_left, flat_right = _flat(left), _flat(right)
    return [
        (key, flat_left.get(key), flat_right.get(key))
        for key in sorted(flat_left.keys() | flat_right.keys())
        if flat_left.get(key) != flat_right.get(key)
    ]


def _flat(payload: Mapping[str, Any]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for group, value in payload.items():
        if isinstance(value, Mapping):
            rows.update({f"{group}.{name}": item for name, item in value.items()})
        else:
            rows[group] = value
    return rows


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


class DigestCache:
    """Digests of leaf files, remembered by size, mtime and inode, so a re-run reads none.

    The cache is one SQLite file; it is a convenience, never a source of truth, and a run
    goes on without it where it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def digests(self, files: Mapping[str, Path]) -> dict[str, str]:
        """SHA-256 for each ``name -> file``.

        Raises
        ------
        MissingDataError : a file is not there.
        """
        known = self._load()
        result: dict[str, str] = {}
        fresh: dict[tuple[str, str], str] = {}
        for name, path in files.items():
            key = (str(path.absolute()), _stat_key(path))
            result[name] = known.get(key) or fresh.setdefault(key, file_digest(path))
        if fresh:
            self._store(fresh)
        return result

    def _load(self) -> dict[tuple[str, str], str]:
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        try:
            with closing(sqlite3.connect(address, uri=True)) as database:
                rows = database.execute("SELECT path, stat, digest FROM digests").fetchall()
        except sqlite3.Error:
            return {}
        return {(path, stat): digest for path, stat, digest in rows}

    def _store(self, fresh: Mapping[tuple[str, str], str]) -> None:
        rows = [(path, stat, digest) for (path, stat), digest in fresh.items()]
        try:
            with closing(sqlite3.connect(self.path, timeout=5)) as database, database:
                database.execute(_TABLE)
                database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", rows)
        except sqlite3.Error:
            return


def _stat_key(path: Path) -> str:
    try:
        stat: os.stat_result = path.stat()
    except FileNotFoundError as error:
        raise MissingDataError(
            "an input file is missing", file=path, fix="check the path, or restore the file"
        ) from error
    return f"{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ino}"
