from __future__ import annotations

import io
import logging

import pytest

from neuroattn.core import progress as module
from neuroattn.core.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_long_loop_speaks_every_5_percent(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Progress("pictures", 10_000, io.StringIO()) as progress:
        for _ in range(10_000):
            clock.now += 0.05  # 500 s in all, 25 s per 5 %
            progress.advance()
    assert 18 <= len(_lines(caplog)) <= 21
    assert _lines(caplog)[-1] == "pictures: 10000 in 500.0 s"


def test_a_slow_loop_speaks_every_30_seconds(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Progress("steps", None, io.StringIO()) as progress:
        for _ in range(300):
            clock.now += 1
            progress.advance()
    assert len(_lines(caplog)) == 11


def test_a_resumed_loop_tells_the_time_by_its_own_steps(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with Progress("steps", 1000, io.StringIO()) as progress:
        progress.resume(900)
        for _ in range(20):
            clock.now += 2.0  # 2 s a step, 80 steps left
            progress.advance()
    assert "steps: 915 of 1000, about 170 s left" in _lines(caplog)


def test_a_short_loop_says_one_line(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Progress("short", 1000, io.StringIO()) as progress:
        for _ in range(1000):
            progress.advance()
    assert _lines(caplog) == ["short: 1000 in 0.0 s"]


def test_a_terminal_gets_a_bar_and_no_lines(caplog: pytest.LogCaptureFixture) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress("bar", 10, stream) as progress:
        progress.advance(10)
    assert "| 0/10" in stream.getvalue()
