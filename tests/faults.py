"""Faults: children that die at the n-th write, full disks, folders that cannot be written.

A point is the opening of a file for writing, a write (of which only half happens), an fsync
or a rename, below the root. The child is killed with SIGKILL just before it.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.chain import Ran

Action = Callable[[], int]
Then = Callable[[], object]


class Points:
    """Counts points below ``root`` whose path has ``word``; kills this process at point ``at``.

    Or does ``then`` there, once.
    """

    def __init__(self, root: Path, at: int | None, word: str = "", then: Then | None = None):
        self.root, self.at, self.word, self.count = str(root), at, word, 0
        self._then = then or _die
        self._fsync, self._write = os.fsync, Path.write_bytes

    def install(self) -> None:
        """Watch this process from now on; there is no way back, so fork first."""
        sys.addaudithook(self._hear)
        os.fsync = self._watch_fsync
        watch = self._watch_write
        # A bound method would not receive the path; a function does.
        Path.write_bytes = lambda path, content: watch(path, content)  # noqa: PLW0108  # type: ignore[method-assign,assignment]

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("os.rename", "os.link"):
            self._reach(str(arguments[1]))
        elif event == "open" and isinstance(arguments[0], str | Path):
            flags = arguments[2] or 0
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self._reach(str(arguments[0]))

    def _watch_fsync(self, handle: int) -> None:
        self._reach(os.readlink(f"/proc/self/fd/{handle}"))
        self._fsync(handle)

    def _watch_write(self, path: Path, content: bytes) -> int:
        if self._is_point(str(path)) and self.at == self.count + 1:
            self._write(path, content[: len(content) // 2])
        self._reach(str(path))
        return self._write(path, content)

    def _is_point(self, path: str) -> bool:
        return path.startswith(self.root) and self.word in path[len(self.root) :]

    def _reach(self, path: str) -> None:
        if not self._is_point(path):
            return
        self.count += 1
        if self.count == self.at:
            self._then()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def start_child(action: Action) -> int:
    """Start ``action`` in a forked child and return its process number."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = action()
        finally:
            os._exit(code)
    return child


def wait_for(child: int) -> int:
    """Exit code of a child, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def count_points(action: Action, root: Path) -> int:
    """Number of points that a whole run has."""
    reader, writer = os.pipe()

    def counted() -> int:
        points = Points(root, None)
        points.install()
        code = action()
        os.write(writer, str(points.count).encode())
        return code

    try:
        assert wait_for(start_child(counted)) == 0
        return int(os.read(reader, 20))
    finally:
        os.close(reader)
        os.close(writer)


def run_killed(action: Action, root: Path, at: int, word: str = "") -> int:
    """Run and die at point ``at`` of those whose path has ``word``."""

    def killed() -> int:
        Points(root, at, word).install()
        return action()

    return wait_for(start_child(killed))


def in_child(action: Callable[[], Ran], before: Callable[[], object]) -> Ran:
    """Run ``action`` in a forked child after ``before``, which may spoil that process."""
    reader, writer = os.pipe()

    def told() -> int:
        before()
        ran = action()
        with os.fdopen(writer, "w") as pipe:  # a file could be what cannot be written
            json.dump([ran.out, ran.err], pipe)
        return ran.code

    child = start_child(told)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    code = wait_for(child)
    out, err = json.loads(text) if text else ("", "")
    return Ran(code, out, err)


def limit_files(size: int) -> None:
    """No file of this process may grow beyond ``size`` bytes, as with ``ulimit -f``."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def obey_permissions() -> None:
    """Let file modes bind this process although it is root's: drop two capabilities."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("Ii", 0x20080522, 0)  # version 3 of the call, this process
    sets = ctypes.create_string_buffer(24)
    if libc.capget(header, sets):
        raise OSError(ctypes.get_errno(), "capget")
    words = list(struct.unpack("6I", sets.raw))
    words[0] &= ~0b110  # effective: neither CAP_DAC_OVERRIDE nor CAP_DAC_READ_SEARCH
    if libc.capset(header, struct.pack("6I", *words)):
        raise OSError(ctypes.get_errno(), "capset")


@contextmanager
def small_disk(place: Path, size: int) -> Iterator[Path]:
    """A file system of ``size`` bytes at ``place``; the test is skipped where none can be had."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    try:
        done = subprocess.run(mount, check=False, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount here ({error})")
    if done.returncode:
        pytest.skip(f"only root can mount a small disk ({done.stderr.strip()})")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
