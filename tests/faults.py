"""Kills at chosen points: run the command line in a forked child that dies at the n-th write.

A point is the opening of a file for writing, a write (of which only half happens), an fsync
or a rename, below the root. The child is killed with SIGKILL just before it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.chain import neuroattn


class Points:
    """Counts points below ``root``; kills this process at point ``at``."""

    def __init__(self, root: Path, at: int | None) -> None:
        self.root, self.at, self.count = str(root), at, 0
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
        if self._is_next(str(path)):
            self._write(path, content[: len(content) // 2])
        self._reach(str(path))
        return self._write(path, content)

    def _is_next(self, path: str) -> bool:
        return path.startswith(self.root) and self.at == self.count + 1

    def _reach(self, path: str) -> None:
        if not path.startswith(self.root):
            return
        self.count += 1
        if self.count == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def start_child(action: Callable[[], int]) -> int:
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


def count_points(words: list[str], root: Path) -> int:
    """Number of points that a whole run has."""
    reader, writer = os.pipe()

    def action() -> int:
        points = Points(root, None)
        points.install()
        code = neuroattn(*words).code
        os.write(writer, str(points.count).encode())
        return code

    assert wait_for(start_child(action)) == 0
    return int(os.read(reader, 20))


def run_killed(words: list[str], root: Path, at: int) -> int:
    """Run and die at point ``at``."""

    def action() -> int:
        Points(root, at).install()
        return neuroattn(*words).code

    return wait_for(start_child(action))
