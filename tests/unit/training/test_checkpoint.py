from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from neuroattn.core.errors import ArtefactError, SecurityError, StorageError
from neuroattn.core.fingerprint import canonical
from neuroattn.training import checkpoint
from neuroattn.training.checkpoint import FACTS, STATE, WEIGHTS, CheckpointStore, Snapshot

FILES = {WEIGHTS, STATE, FACTS}


def snapshot(value: int) -> Snapshot:
    return Snapshot(
        weights={"w": torch.full((4,), float(value))},
        state={"moments": [torch.arange(value + 1)], "scaler": None, "rate": 0.1},
        facts={"step": value},
    )


def step_of(store: CheckpointStore) -> int:
    found = store.newest()
    assert found is not None
    name, loaded = found
    # All three files must be of the same moment.
    assert loaded.weights["w"].tolist() == [float(loaded.facts["step"])] * 4
    assert len(loaded.state["moments"][0]) == loaded.facts["step"] + 1
    assert {path.name for path in (store.folder / name).iterdir()} == FILES
    return int(loaded.facts["step"])


def resealed(folder: Path, **changes: Any) -> None:
    """Change the header of a checkpoint and make its digests right again."""
    content = json.loads((folder / FACTS).read_text())
    header = content["header"]
    for name in header["files"]:
        header["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    header.update(changes)
    digest = hashlib.sha256(canonical(header).encode()).hexdigest()
    (folder / FACTS).write_text(json.dumps({"header": header, "sha256": digest}))


def test_a_new_store_is_empty(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "none")
    assert store.newest() is None
    assert store.names() == []


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    name = store.save(snapshot(3))
    loaded = store.load(name)
    assert loaded.facts == {"step": 3}
    assert loaded.state["rate"] == 0.1
    assert loaded.state["scaler"] is None
    assert step_of(store) == 3


def test_the_last_two_and_the_best_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    best = store.save(snapshot(1))
    for value in range(2, 7):
        store.save(snapshot(value), best)
    assert store.names() == [best, "checkpoint-000005", "checkpoint-000006"]
    newer = store.save(snapshot(7))
    # Number 6 may still be resumed from, and its best is the old one.
    assert store.names() == [best, "checkpoint-000006", newer]
    store.save(snapshot(8), newer)
    assert store.names() == [newer, "checkpoint-000008"]
    assert store.best("checkpoint-000008") == newer


@pytest.mark.parametrize("file", sorted(FILES))
@pytest.mark.parametrize("damage", ["flip", "cut", "absent"])
def test_a_damaged_checkpoint_is_passed_over_with_a_warning(
    tmp_path: Path, file: str, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(tmp_path)
    store.save(snapshot(1))
    victim = tmp_path / store.save(snapshot(2)) / file
    content = bytearray(victim.read_bytes())
    if damage == "absent":
        victim.unlink()
    elif damage == "cut":
        victim.write_bytes(content[: len(content) // 2])
    else:
        # The last bytes of the weights are numbers: they would load without a word.
        content[-3 if file == WEIGHTS else -20] ^= 1
        victim.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert step_of(store) == 1
    assert "checkpoint-000002" in caplog.text


def test_damaged_checkpoints_are_never_taken_for_none(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for value in (1, 2):
        (tmp_path / store.save(snapshot(value)) / WEIGHTS).write_bytes(b"")
    with pytest.raises(ArtefactError, match="no checkpoint can be read") as caught:
        store.newest()
    assert "delete this folder" in str(caught.value)


def test_another_format_is_said_to_be_one(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    name = store.save(snapshot(1))
    resealed(tmp_path / name, format=99)
    with pytest.raises(ArtefactError, match="another format") as caught:
        store.load(name)
    assert caught.value.found == 99


# Foreign code


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("form", ["torch", "plain"])
def test_a_malicious_pickle_is_refused_and_not_executed(tmp_path: Path, form: str) -> None:
    store, marker = CheckpointStore(tmp_path / "run"), tmp_path / "executed"
    store.save(snapshot(1))
    folder = tmp_path / "run" / store.save(snapshot(2))
    content = {"moments": [torch.zeros(1)], "scaler": Bomb(marker)}
    if form == "torch":
        torch.save(content, folder / STATE)
    else:
        (folder / STATE).write_bytes(pickle.dumps(content))
    resealed(folder)
    # Unlike damage it is not passed over: someone put it there.
    with pytest.raises(SecurityError, match="nothing of it was executed") as caught:
        store.newest()
    assert not marker.exists()
    assert STATE in str(caught.value.file)


def test_a_pickle_in_place_of_the_weights_is_refused(tmp_path: Path) -> None:
    store, marker = CheckpointStore(tmp_path / "run"), tmp_path / "executed"
    folder = tmp_path / "run" / store.save(snapshot(1))
    (folder / WEIGHTS).write_bytes(pickle.dumps(Bomb(marker)))
    resealed(folder)
    with pytest.raises(ArtefactError):
        store.load(folder.name)
    assert not marker.exists()


def test_a_best_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    name = store.save(snapshot(1))
    resealed(tmp_path / name, best="../../elsewhere")
    with pytest.raises(ArtefactError):
        store.best(name)


# Kills


def in_a_child(work: Callable[[], None]) -> int:
    """Run ``work`` in a forked process; returns its wait status."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:  # whatever happens, the child must not go on with the tests
            os._exit(1)
        os._exit(0)
    return os.waitpid(child, 0)[1]


def kill_at(call: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Die before the ``call``-th write, flush, rename or removal, which is after the one before."""
    count = 0

    def wrap(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def counted(*args: Any, **keys: Any) -> Any:
            nonlocal count
            count += 1
            if count == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **keys)

        monkeypatch.setattr(owner, name, counted)

    for owner, name in (
        (os, "fsync"), (os, "replace"), (os, "mkdir"), (os, "unlink"), (os, "rmdir"),
        (checkpoint, "save_file"), (torch, "save"), (Path, "write_text"),
    ):  # fmt: skip
        wrap(owner, name)


def test_a_kill_at_any_call_leaves_a_loadable_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = CheckpointStore(tmp_path / "before")
    best = before.save(snapshot(1))
    for value in (2, 3):
        before.save(snapshot(value), best)
    outcomes: list[int] = []
    status = -1
    while status != 0:
        store = CheckpointStore(tmp_path / str(len(outcomes)))
        shutil.copytree(before.folder, store.folder)

        def work(call: int = len(outcomes) + 1, store: CheckpointStore = store) -> None:
            kill_at(call, monkeypatch)
            store.save(snapshot(4))
            store.save(snapshot(5), store.names()[-1])

        status = in_a_child(work)
        assert status == 0 or os.WTERMSIG(status) == signal.SIGKILL
        store.sweep()
        outcomes.append(step_of(store))
        assert all(store.load(name) for name in store.names())
        assert store.load(store.best(store.names()[-1]))
        assert not list(store.folder.glob(".*"))
    # The kills covered writes, flushes, renames and removals of both saves.
    assert len(outcomes) > 30
    assert outcomes == sorted(outcomes)
    assert set(outcomes) == {3, 4, 5}


def test_half_written_files_are_never_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path)
    store.save(snapshot(1))

    def half(_weights: object, file: Path) -> None:
        file.write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

    def work() -> None:
        monkeypatch.setattr(checkpoint, "save_file", half)
        store.save(snapshot(2))

    assert os.WTERMSIG(in_a_child(work)) == signal.SIGKILL
    assert len(list(tmp_path.glob(".checkpoint-000002.*"))) == 1
    assert step_of(store) == 1
    assert step_of(CheckpointStore(tmp_path)) == 1
    store.save(snapshot(2))
    store.sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == store.names()


@pytest.mark.parametrize("limit", [60, 1000, 2000])
def test_a_full_disk_is_a_storage_error_and_keeps_the_old(tmp_path: Path, limit: int) -> None:
    store = CheckpointStore(tmp_path)
    store.save(snapshot(1))

    def work() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        big = Snapshot({"w": torch.zeros(200)}, {"moments": torch.zeros(700)}, {})
        with pytest.raises(StorageError) as caught:
            store.save(big)
        assert caught.value.fix

    assert in_a_child(work) == 0
    assert step_of(store) == 1
    assert store.names() == [path.name for path in tmp_path.iterdir()]


def test_the_folder_is_flushed_before_and_after_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _r=real: (calls.append(_n), _r(*a))[1])
    CheckpointStore(tmp_path).save(snapshot(1))
    assert calls == ["fsync"] * 4 + ["replace", "fsync"]
