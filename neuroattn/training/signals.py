"""Stop signals: save at the next step boundary, then leave in the way the caller wants.

Clusters announce preemption and time limits by SIGTERM, SIGUSR1 or SIGUSR2. submitit
installs a handler of its own that requeues the job; it must run, but only after the state
is on the disk. Without such a handler the process leaves with exit code 85, and the same
command resumes.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from neuroattn.core.errors import InterruptedRunError

STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2") if hasattr(signal, name)
)


class StopSignals:
    """Traps the stop signals while a ``with`` block runs, and remembers the last one.

    Python lets only the main thread install handlers; elsewhere nothing is trapped, and a
    stop costs the steps since the last checkpoint.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in STOP_SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._previous.items():
            _install(number, handler)
        self._previous = {}

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received = number

    def leave(self, number: int, where: str, folder: Path) -> None:
        """Act on signal ``number`` after the state was saved in ``folder``.

        A handler that the caller had installed is restored and called. Should it return, it
        has decided that the process goes on (submitit does so with SIGTERM), and the signal
        is trapped again.

        Raises
        ------
        InterruptedRunError : no handler was there before.
        """
        self.received = None
        handler = self._previous.get(number)
        if callable(handler):
            signal.signal(number, handler)
            handler(number, None)
            signal.signal(number, self._note)
            return
        raise InterruptedRunError(
            f"training was stopped by {signal.Signals(number).name} {where}; the state is saved",
            file=folder,
            fix="run the same command again: it resumes there",
        )


def _install(number: int, handler: Any) -> None:
    # None stands for a handler that was not installed from Python and cannot be put back.
    signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextmanager
def held_stop_signals() -> Iterator[None]:
    """Hold stop signals back while processes are started; they arrive when the block ends.

    A child inherits the hold, so no signal reaches it before it ignores them.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def ignore_stop_signals(_worker: int = 0) -> None:
    """Let a reader process outlive a stop signal sent to the whole process group.

    The main process decides when to stop, and ends its readers itself; a reader that died
    first would turn a clean stop into a crash.
    """
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
