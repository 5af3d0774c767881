from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from neuroattn.core.errors import EXIT_INTERRUPTED, InterruptedRunError
from neuroattn.training.signals import STOP_SIGNALS, StopSignals, held_stop_signals


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_noted_and_ends_the_run_only_when_asked(number: int, tmp_path: Path) -> None:
    with StopSignals() as signals:
        assert signals.received is None
        os.kill(os.getpid(), number)
        assert signals.received == number
        with pytest.raises(InterruptedRunError, match=signal.Signals(number).name) as caught:
            signals.leave(number, "at step 3 of 9", tmp_path)
    assert caught.value.exit_code == EXIT_INTERRUPTED == 85
    assert "at step 3 of 9" in str(caught.value)
    assert "same command" in str(caught.value)


def test_a_handler_that_was_there_is_restored_and_called(tmp_path: Path) -> None:
    seen: list[object] = []

    def requeue(number: int, frame: object) -> None:
        seen.append((number, signal.getsignal(signal.SIGUSR2) is requeue))
        raise SystemExit(-1)

    original = signal.signal(signal.SIGUSR2, requeue)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), signal.SIGUSR2)
            assert seen == []
            with pytest.raises(SystemExit):
                signals.leave(signal.SIGUSR2, "", tmp_path)
        assert seen == [(signal.SIGUSR2, True)]
        assert signal.getsignal(signal.SIGUSR2) is requeue
    finally:
        signal.signal(signal.SIGUSR2, original)


def test_a_handler_that_returns_lets_the_run_go_on(tmp_path: Path) -> None:
    seen: list[int] = []
    original = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with StopSignals() as signals:
            for _ in range(2):  # the second is trapped like the first
                os.kill(os.getpid(), signal.SIGTERM)
                assert signals.received == signal.SIGTERM
                signals.leave(signal.SIGTERM, "", tmp_path)
                assert signals.received is None
        assert seen == [signal.SIGTERM, signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, original)


def test_outside_the_main_thread_nothing_is_trapped() -> None:
    trapped: list[bool] = []

    def work() -> None:
        before = signal.getsignal(signal.SIGTERM)
        with StopSignals():
            trapped.append(signal.getsignal(signal.SIGTERM) is not before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert trapped == [False]


def test_held_signals_arrive_afterwards() -> None:
    with StopSignals() as signals:
        with held_stop_signals():
            # To this thread: any other thread of the test runner would take it at once.
            signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
            assert signals.received is None
        assert signals.received == signal.SIGUSR1
