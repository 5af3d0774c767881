"""Fetching files: resumable, checked, and only after the terms were accepted.

A file grows as ``.<name>.part`` with a record of what it is a part of (address, size, ETag).
A later run goes on from where it ended if the record still holds, else it begins anew. When
all bytes are there, size and digest are compared, the file is forced onto the disk and takes
its name; so a file under its own name is a whole one.

Addresses go through fsspec: ``s3://`` and ``http(s)://`` need the extra ``neuroattn[s3]``.
"""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from neuroattn.core.atomic import (
    ensure_folder,
    fsync_folder,
    read_json,
    storage_errors,
    write_json,
)
from neuroattn.core.errors import ConfigError, DataError, MissingDataError, NeuroattnError
from neuroattn.core.fingerprint import file_digest
from neuroattn.core.progress import Progress
from neuroattn.data.manifests.schema import FileEntry, Manifest

log = logging.getLogger(__name__)

BLOCK = 16 << 20


@dataclass(frozen=True)
class Remote:
    """One file at its source; ``tag`` changes when its content does."""

    address: str
    name: str
    bytes: int
    tag: str


@dataclass(frozen=True)
class Source:
    """Files below a base address, read through an fsspec file system."""

    system: Any
    base: str

    def find(self, entry: FileEntry) -> Iterator[Remote]:
        """The file of an entry, or all files of a group; none where an optional one is missing.

        Raises
        ------
        MissingDataError : a needed one is missing, or the source does not answer.
        """
        if not entry.is_group:
            if entry.needed or self._has(entry.path):
                yield self.look_up(entry.path)
            return
        folder = entry.path.split("*")[0].rpartition("/")[0]
        with _answers(f"{self.base}/{folder}"):
            listed = self.system.find(f"{self.base}/{folder}".rstrip("/"))
        names = [str(path).removeprefix(self.base).lstrip("/") for path in listed]
        chosen = [name for name in names if fnmatch.fnmatchcase(name, entry.path)]
        if not chosen and entry.needed:
            raise self._missing(entry.path)
        for name in chosen:
            yield self.look_up(name)

    def _has(self, name: str) -> bool:
        with _answers(f"{self.base}/{name}"):
            there = bool(self.system.exists(f"{self.base}/{name}"))
        if not there:
            log.info("the source does not have %s, which is optional", name)
        return there

    def look_up(self, name: str) -> Remote:
        """Size and tag of one file."""
        address = f"{self.base}/{name}"
        with _answers(address):
            try:
                about: Mapping[str, Any] = self.system.info(address)
            except FileNotFoundError as error:
                raise self._missing(name) from error
            except PermissionError as error:
                raise MissingDataError(
                    "the source does not give out this file", file=address,
                    expected="permission to read", found=error,
                    fix="see the terms: some files need an agreement or credentials of your own",
                ) from error  # fmt: skip
        tag = about.get("ETag") or about.get("etag") or about.get("mtime") or ""
        size = about.get("size")
        if size is None:
            raise DataError(
                "the source does not tell the size of this file",
                file=f"{self.base}/{name}", expected="a size", found="none",
                fix="fetch it by hand; a download without a size cannot be checked",
            )  # fmt: skip
        return Remote(f"{self.base}/{name}", name, int(size), str(tag).strip('"'))

    def _missing(self, name: str) -> MissingDataError:
        return MissingDataError(
            "the source has no such file", file=f"{self.base}/{name}", expected="a file",
            found="nothing", fix="correct --source, or choose another subset",
        )  # fmt: skip

    def read(self, remote: Remote, start: int, stop: int) -> bytes:
        """Bytes ``start`` to ``stop``.

        Raises
        ------
        MissingDataError : the source did not answer.
        """
        with _answers(remote.address):
            content: bytes = self.system.cat_file(remote.address, start=start, end=stop)
        return content


@contextmanager
def _answers(address: str) -> Iterator[None]:
    """Turn the many ways in which a network fails into one error with a remedy."""
    try:
        yield
    except NeuroattnError:
        raise
    except _failures() as error:
        raise MissingDataError(
            "the source did not answer", file=address, expected="the file's bytes", found=error,
            fix="repeat the command; it goes on from what is there",
        ) from error  # fmt: skip


def _failures() -> tuple[type[Exception], ...]:
    """What fsspec raises, and the libraries below it where they are loaded."""
    names = (("aiohttp", "ClientError"), ("botocore.exceptions", "BotoCoreError"))
    found = (getattr(sys.modules.get(module), name, None) for module, name in names)
    return (OSError, EOFError, *(kind for kind in found if kind is not None))


def open_source(base: str, *, anonymous: bool, endpoint: str | None = None) -> Source:
    """Open a base address.

    Parameters
    ----------
    anonymous : ask S3 without credentials.
    endpoint : address of another server that speaks S3.

    Raises
    ------
    ConfigError : no base address, or the extra that speaks its protocol is not installed.
    """
    import fsspec

    if not base:
        raise ConfigError(
            "this dataset has no address to fetch from", expected="--source URL",
            found="none in the manifest", fix="see `neuroattn data plan` for how to obtain it",
        )  # fmt: skip
    protocol = base.partition("://")[0] if "://" in base else "file"
    options: dict[str, Any] = {"auto_mkdir": False} if protocol == "file" else {}
    if protocol == "s3":
        options = {"anon": anonymous, "use_listings_cache": False}
        options |= {"endpoint_url": endpoint} if endpoint else {}
    try:
        system, path = fsspec.core.url_to_fs(base, **options)
    except ImportError as error:
        raise ConfigError(
            f"the extra that speaks {protocol}:// is not installed", expected="s3fs", found=error,
            fix="pip install 'neuroattn[s3]', or use the commands of `neuroattn data plan`",
        ) from error  # fmt: skip
    except ValueError as error:
        raise ConfigError(
            "the address is of no known kind", expected="s3://…, https://… or a folder",
            found=base, fix="correct --source",
        ) from error  # fmt: skip
    return Source(system, str(path).rstrip("/"))


def require_terms(manifest: Manifest, *, accepted: bool) -> None:
    """Refuse to fetch anything until the user said that the terms are accepted.

    Raises
    ------
    ConfigError : they were not.
    """
    if not accepted:
        raise ConfigError(
            f"the terms of {manifest.title} were not accepted",
            expected=f"terms: {manifest.terms}; form to send: {manifest.agreement}",
            found="no --accept-terms",
            fix="read the terms, send the form, then repeat the command with --accept-terms",
        )


def download(
    source: Source,
    entries: Sequence[FileEntry],
    root: Path,
    *,
    digests: Mapping[str, str] | None = None,
    workers: int = 2,
    block: int = BLOCK,
) -> list[Path]:
    """Fetch what is not there yet; returns the files that were fetched.

    Parameters
    ----------
    digests : known SHA-256 by path, from a lock; those of the manifest hold as well.
    workers : files fetched at once.
    block : bytes asked for at once; after each the part on disk is valid.

    Raises
    ------
    MissingDataError, DataError, StorageError : the first failure; parts stay for the next run.
    """
    known = dict(digests or {})
    remotes = [remote for entry in entries for remote in source.find(entry)]
    stated = {entry.path: entry.sha256 for entry in entries if entry.sha256}
    jobs = [
        (remote, known.get(remote.name) or stated.get(remote.name))
        for remote in remotes
        if not (root / remote.name).exists()
    ]
    size = sum(remote.bytes for remote, _ in jobs)
    with Progress("MB", size // 10**6 or None) as progress, ThreadPoolExecutor(workers) as pool:
        tick = _megabytes(progress.advance)
        fetched = [
            pool.submit(fetch, source, remote, root, sha256=sha256, block=block, advance=tick)
            for remote, sha256 in jobs
        ]
        return [future.result() for future in fetched]


def _megabytes(advance: Callable[[int], None]) -> Callable[[int], None]:
    left = 0

    def tick(count: int) -> None:
        nonlocal left
        left += count
        whole, left = divmod(left, 10**6)
        if whole:
            advance(whole)

    return tick


def fetch(
    source: Source,
    remote: Remote,
    root: Path,
    *,
    sha256: str | None = None,
    block: int = BLOCK,
    advance: Callable[[int], None] = lambda _: None,
) -> Path:
    """Fetch one file, going on from a part that an earlier run left.

    Where another download fetches it, this one waits and takes what came.

    Raises
    ------
    DataError : what came has another size or digest, or the source changed meanwhile.
    """
    target = _inside(root, remote.name)
    part = target.with_name(f".{target.name}.part")
    record = part.with_name(f"{part.name}.json")
    with storage_errors(target):
        ensure_folder(target.parent)
        with _held(part) as handle:
            if target.exists():
                part.unlink()
                return target
            start = _resume(handle, record, remote)
            advance(start)
            while start < remote.bytes:
                content = _block(source, remote, start, min(start + block, remote.bytes))
                handle.write(content)
                handle.flush()
                start += len(content)
                advance(len(content))
            os.fsync(handle.fileno())
            _check(source, remote, part, record, sha256)
            os.replace(part, target)
            record.unlink(missing_ok=True)
            fsync_folder(target.parent)
    return target


@contextmanager
def _held(part: Path) -> Iterator[BinaryIO]:
    """The part, open for appending, held by this download alone."""
    while True:
        with open(part, "ab") as handle:
            _lock(handle, part)
            if _stands(handle, part):  # whoever was first may have renamed or removed it
                yield handle
                return


def _lock(handle: BinaryIO, part: Path) -> None:
    with contextlib.suppress(OSError):  # a file system without locks
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log.warning("another download writes %s; this one waits for it", part)
            fcntl.flock(handle, fcntl.LOCK_EX)


def _stands(handle: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _inside(root: Path, name: str) -> Path:
    """A listing of a server must not choose where files are written."""
    target = root / name
    if not target.resolve().is_relative_to(root.resolve()):
        raise DataError(
            "the source names a file outside the dataset's folder", file=name,
            expected=f"a path below {root}", found=str(target), fix="do not use this source",
        )  # fmt: skip
    return target


def _resume(part: BinaryIO, record: Path, remote: Remote) -> int:
    """Bytes that are there already of this very file; of any other the part is emptied."""
    due = {"address": remote.address, "bytes": remote.bytes, "tag": remote.tag}
    if record.is_file():
        try:
            same = read_json(record) == due
        except ValueError:
            same = False
        # Without a tag nothing tells whether the source is still the same.
        if same and remote.tag and (size := os.fstat(part.fileno()).st_size) <= remote.bytes:
            return size
    part.truncate(0)
    write_json(record, due)
    return 0


def _block(source: Source, remote: Remote, start: int, stop: int) -> bytes:
    content = source.read(remote, start, stop)
    if len(content) != stop - start:
        raise DataError(
            "the source sent another number of bytes than was asked for", file=remote.address,
            expected=f"{stop - start} bytes from {start}", found=f"{len(content)} bytes",
            fix="repeat the command; it goes on from what is there",
        )  # fmt: skip
    return content


def _check(source: Source, remote: Remote, part: Path, record: Path, sha256: str | None) -> None:
    now = source.look_up(remote.name)
    size, digest = part.stat().st_size, file_digest(part) if sha256 else None
    problem = "what was fetched is not the file that was expected"
    if now != remote:
        problem = "the file changed at its source while it was fetched"
        expected, found = (f"{each.bytes} bytes, tag {each.tag!r}" for each in (remote, now))
    elif size != remote.bytes:
        expected, found = f"{remote.bytes} bytes", f"{size} bytes"
    elif digest != sha256:
        expected, found = f"sha256 {sha256}", f"sha256 {digest}"
    else:
        return
    part.unlink()
    record.unlink(missing_ok=True)
    raise DataError(
        problem, file=remote.address, expected=expected, found=found, fix="repeat the command"
    )
