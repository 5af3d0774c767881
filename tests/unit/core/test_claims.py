from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from neuroattn.core import claims
from neuroattn.core.claims import claim, owner_of
from neuroattn.core.errors import ClaimedError
from tests.chain import Ran
from tests.faults import in_child, limit_files

FORK = multiprocessing.get_context("fork")


def _hold_forever(folder: Path, ready: object) -> None:
    with claim(folder):
        ready.set()  # type: ignore[attr-defined]
        time.sleep(60)


def _holder(folder: Path) -> multiprocessing.Process:
    ready = FORK.Event()
    process = FORK.Process(target=_hold_forever, args=(folder, ready))
    process.start()
    assert ready.wait(10)
    return process


def test_a_live_owner_is_respected(tmp_path: Path) -> None:
    process = _holder(tmp_path)
    try:
        with (
            pytest.raises(ClaimedError, match="another live process") as caught,
            claim(tmp_path, wait=False),
        ):
            pytest.fail("the claim was given twice")
        assert str(process.pid) in str(caught.value)
        assert caught.value.exit_code == 75
        owner = owner_of(tmp_path)
        assert owner is not None
        assert owner["pid"] == process.pid
    finally:
        process.kill()
        process.join()


def test_a_killed_owner_is_taken_over_at_once(tmp_path: Path) -> None:
    process = _holder(tmp_path)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    began = time.monotonic()
    with claim(tmp_path, wait=False):
        assert owner_of(tmp_path)["pid"] == os.getpid()  # type: ignore[index]
    assert time.monotonic() - began < 2
    assert owner_of(tmp_path) is None


def test_a_silent_owner_on_another_host_is_taken_over_after_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE_AFTER", 0.3)
    monkeypatch.setattr(claims, "POLL_EVERY", 0.05)
    place = tmp_path / ".claim"
    place.mkdir()
    record = {"token": "t", "pid": 1, "host": "elsewhere", "heartbeat": 3, "released": False}
    (place / "000007.json").write_text(json.dumps(record))
    with pytest.raises(ClaimedError), claim(tmp_path, wait=False):
        pytest.fail("not yet stale")
    with claim(tmp_path):
        assert [path.name for path in place.glob("*.json")] == ["000008.json"]


def test_a_beating_owner_on_another_host_is_never_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "STALE_AFTER", 0.3)
    monkeypatch.setattr(claims, "POLL_EVERY", 0.02)
    place = tmp_path / ".claim"
    place.mkdir()
    file = place / "000001.json"
    record = {"token": "t", "pid": 1, "host": "elsewhere", "heartbeat": 0, "released": False}
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.05):
            record["heartbeat"] += 1  # type: ignore[operator]
            claims._overwrite(file, record)
        claims._overwrite(file, {**record, "released": True})

    file.write_text(json.dumps(record))
    thread = threading.Thread(target=beat)
    thread.start()
    waiting = threading.Timer(1.0, stop.set)
    waiting.start()
    began = time.monotonic()
    with claim(tmp_path):
        waited = time.monotonic() - began
    thread.join()
    assert waited >= 0.9


def test_the_owner_notices_that_it_was_taken_over(tmp_path: Path) -> None:
    with claim(tmp_path) as held:
        held.check()
        (tmp_path / ".claim" / "000099.json").write_text("{}")
        with pytest.raises(ClaimedError, match="took over"):
            held.check()
    assert json.loads((tmp_path / ".claim" / "000099.json").read_text()) == {}


def _race(folder: Path, start: object, log: Path) -> None:
    start.wait()  # type: ignore[attr-defined]
    with claim(folder):
        with open(log, "a") as handle:
            handle.write("in\n")
        time.sleep(0.01)
        with open(log, "a") as handle:
            handle.write("out\n")


def test_many_contenders_are_never_inside_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "POLL_EVERY", 0.005)
    log = tmp_path / "log"
    start = FORK.Event()
    processes = [FORK.Process(target=_race, args=(tmp_path / "a", start, log)) for _ in range(8)]
    for process in processes:
        process.start()
    start.set()
    for process in processes:
        process.join(30)
        assert process.exitcode == 0
    assert log.read_text().split() == ["in", "out"] * 8


def test_a_number_that_was_used_meanwhile_gives_no_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking and linking, one process had the next number and another follows it."""
    place = tmp_path / ".claim"
    with claim(tmp_path):
        pass
    live = {"token": "t", "pid": 1, "host": "elsewhere", "heartbeat": 0, "released": False}
    honest = os.link

    def link(source: Path, target: Path) -> None:
        (place / "000001.json").unlink()  # swept with 000002 by the owner of the third
        (place / "000003.json").write_text(json.dumps(live))
        honest(source, target)

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(ClaimedError), claim(tmp_path, wait=False):
        pytest.fail("two are inside")
    assert [path.name for path in place.iterdir()] == ["000003.json"]
    assert json.loads((place / "000003.json").read_text()) == live


def test_a_full_disk_does_not_keep_a_claim(tmp_path: Path) -> None:
    """The release has no room for a new file; the old one's bytes are enough."""

    def work() -> Ran:
        with claim(tmp_path) as held:
            held.check()
            limit_files(0)
        return Ran(0, "", "")

    ran = in_child(work, lambda: None)
    assert ran.code == 0
    assert [path.name for path in (tmp_path / ".claim").iterdir()] == ["000001.json"]
    began = time.monotonic()
    with claim(tmp_path, wait=False):
        assert time.monotonic() - began < 1
