"""Claims: at most one live process computes an artefact.

A claim is a numbered file that was created exclusively; whoever made the highest number is
the owner. Its heartbeat is a counter, so no clocks are compared between hosts: a contender
calls a claim stale when its process is gone (same host), or when the counter stood still
for `STALE_AFTER` seconds of the contender's own time. Taking over means creating the next
number, which only one contender can do; an owner that lost its number must not commit.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroattn.core.artefact import CLAIM
from neuroattn.core.atomic import ensure_folder, storage_errors
from neuroattn.core.errors import ClaimedError

HEARTBEAT_EVERY = 5.0
STALE_AFTER = 60.0
POLL_EVERY = 0.2


def _read_text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _host() -> str:
    """Identity within which process numbers mean the same: host, boot and PID namespace."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{socket.gethostname()} {_read_text('/proc/sys/kernel/random/boot_id')} {namespace}"


def _started(pid: int) -> str:
    """Start time of a process; distinguishes a process from a later one with its number."""
    stat = _read_text(f"/proc/{pid}/stat")
    return stat.rpartition(")")[2].split()[19] if stat else ""


def _alive(pid: int) -> bool:
    if _read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[:1] == ["Z"]:
        return False  # killed, and its parent has not looked yet
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class Claim:
    """The right to write one artefact, held by this process."""

    def __init__(self, file: Path, content: dict[str, Any]) -> None:
        self._file = file
        self._content = content
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="claim-heartbeat")
        self._thread.start()

    def _beat(self) -> None:
        while not self._stop.wait(HEARTBEAT_EVERY):
            self._content["heartbeat"] += 1
            try:
                _overwrite(self._file, self._content)
            except OSError:  # a passing fault of the file system; the next beat tries again
                continue

    def check(self) -> None:
        """Raise `ClaimedError` if another process took this claim over."""
        latest = _latest(self._file.parent)
        if latest is None or latest != self._file:
            raise ClaimedError(
                "another process took over this artefact while this one stood still",
                file=self._file.parent.parent,
                fix="run the same command again; it uses the other's result",
            )

    def release(self) -> None:
        """Give the claim up; the number stays so that none is used twice."""
        self._stop.set()
        self._thread.join()
        _disown(self._file.parent, self._content)


@contextmanager
def claim(
    folder: Path, *, wait: bool = True, on_wait: Callable[[dict[str, Any]], None] | None = None
) -> Iterator[Claim]:
    """Hold the claim on the artefact ``folder`` for the length of the block.

    Parameters
    ----------
    wait : wait for a live owner to finish, or raise at once.
    on_wait : called with the owner's record at each look while waiting.

    Raises
    ------
    ClaimedError : a live process holds it and ``wait`` is false.
    """
    place = folder / CLAIM
    ensure_folder(place)
    watch, record, held = _Watch(), _record(), None
    try:
        while (held := _try_claim(place, watch, record)) is None:
            _wait_for(watch.content, folder, wait, on_wait)
        yield held
    finally:
        if held is not None:
            held.release()
        else:  # a signal may have come between making the claim and knowing of it
            _disown(place, record)


def _wait_for(
    owner: dict[str, Any],
    folder: Path,
    wait: bool,
    on_wait: Callable[[dict[str, Any]], None] | None,
) -> None:
    if not wait:
        raise ClaimedError(
            "another live process computes this artefact",
            file=folder,
            found=f"process {owner.get('pid')} on {owner.get('hostname')}",
            fix="wait for it, or drop claims.wait=false to wait here",
        )
    if on_wait is not None:
        on_wait(owner)
    time.sleep(POLL_EVERY)


def owner_of(folder: Path) -> dict[str, Any] | None:
    """Record of the claim's present owner; None where nobody holds it (or its process is gone)."""
    latest = _latest(folder / CLAIM)
    content = None if latest is None else _load(latest)
    if content is None or content.get("released") or _is_gone(content):
        return None
    return content


class _Watch:
    """Remembers since when the heartbeat of a claim has stood still, on our own clock."""

    def __init__(self) -> None:
        self.content: dict[str, Any] = {}
        self._beat: tuple[str, int] | None = None
        self._since = time.monotonic()

    def is_stale(self, content: dict[str, Any]) -> bool:
        self.content = content
        beat = (str(content.get("token")), int(content.get("heartbeat", 0)))
        if beat != self._beat:
            self._beat, self._since = beat, time.monotonic()
        return _is_gone(content) or time.monotonic() - self._since > STALE_AFTER


def _is_gone(content: dict[str, Any]) -> bool:
    if content.get("host") != _host():
        return False
    pid = int(content.get("pid", 0))
    return not _alive(pid) or (_started(pid) != content.get("started"))


def _try_claim(place: Path, watch: _Watch, record: dict[str, Any]) -> Claim | None:
    latest = _latest(place)
    if latest is not None:
        content = _load(latest) or {}
        if not content.get("released") and not watch.is_stale(content):
            return None
    number = 1 if latest is None else int(latest.stem) + 1
    file = place / f"{number:06d}.json"
    # The record is complete before it has its number: a link, unlike an open, shows no empty file.
    draft = place / f".{secrets.token_hex(8)}.tmp"
    with storage_errors(file):
        try:
            draft.write_text(json.dumps(record))
            os.link(draft, file)
        except FileExistsError:
            return None
        finally:
            draft.unlink(missing_ok=True)
    # A number is free again once its owner released it and the next one swept it away.
    if _latest(place) != file:
        file.unlink(missing_ok=True)
        return None
    for older in place.glob("[0-9]*.json"):
        if int(older.stem) < number:
            older.unlink(missing_ok=True)
    return Claim(file, record)


def _record() -> dict[str, Any]:
    return {
        "token": secrets.token_hex(8),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "host": _host(),
        "hostname": socket.gethostname(),
        "slurm_job": os.environ.get("SLURM_JOB_ID", ""),
        "since": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "heartbeat": 0,
        "released": False,
    }


def _latest(place: Path) -> Path | None:
    return max(place.glob("[0-9]*.json"), default=None, key=lambda path: int(path.stem))


def _load(file: Path) -> dict[str, Any] | None:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError):  # taken away, or caught between two beats
        return None


def _disown(place: Path, record: dict[str, Any]) -> None:
    """Mark the claim that ``record`` made as released, unless another took it over."""
    record["released"] = True
    latest = _latest(place)
    if latest is None or (_load(latest) or {}).get("token") != record["token"]:
        return
    try:
        _overwrite(latest, record)
    except OSError:  # the disk is full: the record's own bytes are still there to be used
        _overwrite_in_place(latest, record)


def _overwrite(file: Path, content: dict[str, Any]) -> None:
    draft = file.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        draft.write_text(json.dumps(content))
        if file.exists():  # else taken over and swept: do not bring the old number back
            os.replace(draft, file)
    finally:
        draft.unlink(missing_ok=True)


def _overwrite_in_place(file: Path, content: dict[str, Any]) -> None:
    """Not atomic, for want of room; whoever reads between two bytes looks again."""
    text = json.dumps(content).encode()
    with contextlib.suppress(OSError), open(file, "r+b", buffering=0) as handle:
        handle.write(text.ljust(file.stat().st_size))
