from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from neuroattn.core.atomic import (
    atomic_path,
    check_writable,
    ensure_folder,
    read_json,
    standing,
    storage_errors,
    sweep_temporaries,
    write_json,
    write_text,
)
from neuroattn.core.errors import StorageError


def test_a_failure_inside_the_block_leaves_the_old_file_and_no_temporary(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail_half_way() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise KeyError("boom")

    with pytest.raises(KeyError):
        fail_half_way()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_system_call_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(StorageError, match="no space left") as caught:
        write_text(target, "new")
    monkeypatch.undo()
    assert target.read_text() == "old"
    assert str(target) in str(caught.value)
    assert "paths.root" in str(caught.value)
    assert list(tmp_path.iterdir()) == [target]


def test_order_is_write_fsync_rename_fsync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, _n=name, _r=real: (calls.append(_n), _r(*a))[1])
    write_text(tmp_path / "a", "x")
    assert calls == ["fsync", "replace", "fsync"]


def test_other_os_errors_stay_what_they_are(tmp_path: Path) -> None:
    def open_a_folder() -> None:
        with atomic_path(tmp_path / "x") as temporary:
            temporary.mkdir()
            open(temporary, "w")  # noqa: SIM115

    with pytest.raises(IsADirectoryError):
        open_a_folder()
    (next(tmp_path.iterdir())).rmdir()


def test_json_refuses_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


def test_json_round_trip_is_sorted(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.1]})
    assert read_json(tmp_path / "a.json") == {"a": [0.1], "b": 1}
    assert (tmp_path / "a.json").read_text().index('"a"') < (tmp_path / "a.json").read_text().index(
        '"b"'
    )


def test_a_file_in_place_of_a_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="a parent of this path is a file"):
        ensure_folder(tmp_path / "file" / "sub")


def test_a_folder_that_no_system_makes_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object, **__: object) -> None:  # as in /proc
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))

    monkeypatch.setattr(Path, "mkdir", fail)
    for make in (ensure_folder, check_writable):
        with pytest.raises(StorageError, match="no folder can be made here") as caught:
            make(tmp_path / "x")
        assert "a folder that can be written" in str(caught.value.fix)


def test_two_processes_of_one_number_probe_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers that share a folder count their processes alike."""
    honest = Path.unlink

    def unlink(path: Path, missing_ok: bool = False) -> None:
        monkeypatch.setattr(Path, "unlink", honest)
        check_writable(tmp_path)  # the other's, in full
        path.unlink(missing_ok)

    monkeypatch.setattr(Path, "unlink", unlink)
    check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_stands_of_a_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path, there in (("", ""), ("a/b", ""), ("file", "file"), ("file/below", "file")):
        assert standing(tmp_path / path) == tmp_path / there
    assert [place.name for place in tmp_path.iterdir()] == ["file"]


def test_sweep_spares_the_claims(tmp_path: Path) -> None:
    (tmp_path / ".claim").mkdir()
    for name in (".a.1.tmp", ".claim/.b.2.tmp", "keep.txt"):
        (tmp_path / name).write_text("")
    sweep_temporaries(tmp_path, keep=".claim")
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {".claim/.b.2.tmp", "keep.txt"}


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError("4096 requested and 512 written"),  # numpy.save
        RuntimeError("I/O error: No space left on device (os error 28)"),  # safetensors
        RuntimeError("file write failed: errno = 28, error message = 'No space left on device'"),
    ],
    ids=["system", "numpy", "safetensors", "hdf5"],
)
def test_a_full_disk_is_known_by_whoever_tells_it(error: Exception, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no space left") as caught, storage_errors(tmp_path):
        raise error
    assert caught.value.file == str(tmp_path)


def test_what_cannot_be_read_elsewhere_is_no_storage_error(tmp_path: Path) -> None:
    refused = PermissionError(errno.EACCES, "Permission denied", "/data/picture.jpg")
    with pytest.raises(PermissionError) as caught, storage_errors(tmp_path / "artefact"):
        raise refused
    assert caught.value is refused


def test_a_read_that_fails_with_a_number_in_its_text_is_no_storage_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="errno = 2"), storage_errors(tmp_path):
        raise ValueError("unable to open file (errno = 2)")
