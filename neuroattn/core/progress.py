"""Progress: a bar on a terminal; elsewhere a plain line at most every 30 s or 5 %.

Batch logs are read with ``tail``: they need some lines, and must not drown in them.
"""

from __future__ import annotations

import logging
import sys
import time
from types import TracebackType
from typing import IO, Any

log = logging.getLogger("neuroattn.progress")

LINE_EVERY_SECONDS = 30.0
LINE_EVERY_SHARE = 0.05


class Progress:
    """Reports how far a loop is; use it in a ``with`` block and call `advance`.

    Parameters
    ----------
    title : what is being done.
    total : number of steps, or None where it is not known.
    stream : where a bar would go; only a terminal gets one.
    """

    def __init__(self, title: str, total: int | None, stream: IO[str] | None = None) -> None:
        self.title, self.total, self.done = title, total, 0
        self._resumed = 0
        self._stream = sys.stderr if stream is None else stream
        self._bar: Any = None
        self._began = self._spoke = time.monotonic()
        self._spoke_at = 0

    def __enter__(self) -> Progress:
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(desc=self.title, total=self.total, file=self._stream, leave=False)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
        if error is None:
            log.info("%s: %d in %.1f s", self.title, self.done, time.monotonic() - self._began)

    def advance(self, count: int = 1) -> None:
        """Report ``count`` more steps done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)
        elif self._is_time():
            self._speak()

    def resume(self, count: int) -> None:
        """Report ``count`` steps of an earlier run, which say nothing of this one's pace."""
        self._resumed += count
        self._spoke_at += count
        self.advance(count)

    def _is_time(self) -> bool:
        silence = time.monotonic() - self._spoke
        share = 0.0 if not self.total else (self.done - self._spoke_at) / self.total
        # A loop of some seconds is over before anyone reads; its closing line is enough.
        return silence >= LINE_EVERY_SECONDS or (
            share >= LINE_EVERY_SHARE and silence >= LINE_EVERY_SECONDS / 6
        )

    def _speak(self) -> None:
        self._spoke, self._spoke_at = time.monotonic(), self.done
        elapsed = self._spoke - self._began
        if self.total:
            left = elapsed / max(self.done - self._resumed, 1) * (self.total - self.done)
            log.info("%s: %d of %d, about %.0f s left", self.title, self.done, self.total, left)
        else:
            log.info("%s: %d in %.0f s", self.title, self.done, elapsed)
