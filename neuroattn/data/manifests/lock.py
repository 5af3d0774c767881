"""Locks: SHA-256 and size of every file of a copy, recorded at first use and compared later.

NSD publishes no digests, so the first copy is trusted once its structure was verified; from
then on a flipped bit, a half copy or a file exchanged for another is found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from neuroattn.core.atomic import ensure_folder, write_json
from neuroattn.core.errors import DataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.core.progress import Progress
from neuroattn.data.files import read_json_input
from neuroattn.data.manifests.copy import CopiedFile
from neuroattn.data.manifests.findings import FETCH, Finding

SCHEMA = 1


@dataclass(frozen=True)
class Digest:
    """What was recorded of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Lock:
    """Digests of a copy by path below the dataset's folder."""

    dataset: str
    files: Mapping[str, Digest]
    created: str = ""


def lock_path(root: Path, dataset: str) -> Path:
    """Where the lock of a dataset is kept unless another file is named."""
    return root / "locks" / f"{dataset}.json"


def digests(files: Iterable[CopiedFile], workers: int = 2) -> dict[str, Digest]:
    """SHA-256 and size of each file; threads hash in parallel, as hashing releases the lock."""
    listed = [*files]

    def one(file: CopiedFile) -> Digest:
        return Digest(file.path.stat().st_size, file_digest(file.path))

    result: dict[str, Digest] = {}
    with Progress("digests", len(listed)) as progress, ThreadPoolExecutor(workers) as pool:
        for file, digest in zip(listed, pool.map(one, listed), strict=True):
            result[file.name] = digest
            progress.advance()
    return result


def write_lock(path: Path, dataset: str, files: Mapping[str, Digest]) -> None:
    """Write a lock atomically."""
    ensure_folder(path.parent)
    content = {
        "schema": SCHEMA,
        "dataset": dataset,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "files": {
            name: {"bytes": digest.bytes, "sha256": digest.sha256}
            for name, digest in sorted(files.items())
        },
    }
    write_json(path, content)


def read_lock(path: Path) -> Lock:
    """Read a lock.

    Raises
    ------
    DataError : it is not of the form that `write_lock` writes.
    """
    content: Any = read_json_input(path)
    try:
        files = {
            str(name): Digest(int(each["bytes"]), str(each["sha256"]))
            for name, each in content["files"].items()
        }
        schema, dataset, created = content["schema"], content["dataset"], content["created"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _malformed(path, repr(error)) from error
    whole = all(len(digest.sha256) == 64 for digest in files.values())
    if schema != SCHEMA or not whole:
        raise _malformed(path, f"schema {schema}" if whole else "a digest of another length")
    return Lock(str(dataset), files, str(created))


def _malformed(path: Path, found: str) -> DataError:
    return DataError(
        "this is no lock of a dataset",
        file=path,
        expected=f"schema {SCHEMA}, dataset, files",
        found=found,
        fix="restore it, or make a new one: neuroattn data lock",
    )


def compare(
    lock: Lock,
    root: Path,
    files: Iterable[CopiedFile],
    workers: int = 2,
    *,
    whole: bool = True,
    hasher: Callable[..., dict[str, Digest]] = digests,
) -> list[Finding]:
    """Findings where a copy differs from its lock.

    Parameters
    ----------
    whole : also report locked files that are not there (not when a part is looked at).
    """
    known = [file for file in files if file.name in lock.files]
    readable = [file for file in known if file.path.is_file()]
    found = hasher(readable, workers)
    findings = [*_differences(lock, found)]
    if whole:
        findings += [
            Finding(name, "a locked file is missing", f"sha256 {digest.sha256}", "nothing")
            for name, digest in sorted(lock.files.items())
            if not (root / name).is_file()
        ]
    return findings


def _differences(lock: Lock, found: Mapping[str, Digest]) -> Iterator[Finding]:
    for name, digest in found.items():
        due = lock.files[name]
        if digest == due:
            continue
        if digest.bytes != due.bytes:
            yield Finding(
                name,
                "the file has another size than when it was locked",
                f"{due.bytes} bytes",
                f"{digest.bytes} bytes",
                FETCH,
            )
        else:
            yield Finding(
                name,
                "the file changed since it was locked",
                f"sha256 {due.sha256}",
                f"sha256 {digest.sha256}",
                f"{FETCH}; if it was replaced on purpose: neuroattn data lock --renew",
            )
