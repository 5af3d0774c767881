"""Fetching from a folder, and from a server that speaks S3 (where s3fs is installed)."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.data.manifests import download as module
from neuroattn.data.manifests.download import (
    Remote,
    Source,
    download,
    fetch,
    open_source,
    require_terms,
)
from neuroattn.data.manifests.load import load_manifest
from neuroattn.data.manifests.schema import FileEntry
from tests.s3_server import BUCKET, S3Server, s3_server

BLOCK = 1000
CONTENT = bytes(range(256)) * 40


def _entry(path: str, **more: Any) -> FileEntry:
    return FileEntry(id="x", path=path, format="other", **more)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "one.bin").write_bytes(CONTENT)
    (folder / "a" / "b" / "two.bin").write_bytes(CONTENT[::-1])
    return folder


@pytest.fixture
def server() -> Iterator[S3Server]:
    pytest.importorskip("s3fs", reason="the extra neuroattn[s3] is not installed")
    with s3_server() as running:
        running.objects = {
            "nsddata/one.bin": CONTENT,
            "nsddata/deep/two.bin": CONTENT[::-1],
            "nsddata/deep/other.txt": b"not wanted",
        }
        yield running


def _s3(server: S3Server) -> Source:
    return open_source(f"s3://{BUCKET}", anonymous=True, endpoint=server.endpoint)


class _Counting(Source):
    """Records what is read, and fails after some blocks."""

    def __init__(self, inner: Source, fail_after: int | None = None) -> None:
        super().__init__(inner.system, inner.base)
        object.__setattr__(self, "reads", [])
        object.__setattr__(self, "fail_after", fail_after)

    def read(self, remote: Remote, start: int, stop: int) -> bytes:
        if self.fail_after is not None and len(self.reads) >= self.fail_after:
            raise OSError("the connection was lost")
        self.reads.append((start, stop))
        return super().read(remote, start, stop)


def test_files_come_whole_and_leave_nothing_else(base: Path, tmp_path: Path) -> None:
    source = open_source(str(base), anonymous=True)
    entries = [_entry("a/one.bin"), _entry("a/b/*")]
    fetched = download(source, entries, tmp_path / "root", block=BLOCK)
    assert [path.read_bytes() for path in fetched] == [CONTENT, CONTENT[::-1]]
    there = sorted(path.name for path in (tmp_path / "root").rglob("*") if path.is_file())
    assert there == ["one.bin", "two.bin"]


def test_files_that_are_there_are_not_fetched_again(base: Path, tmp_path: Path) -> None:
    source = open_source(str(base), anonymous=True)
    assert len(download(source, [_entry("a/one.bin")], tmp_path / "root")) == 1
    assert download(source, [_entry("a/one.bin")], tmp_path / "root") == []


def test_an_interrupted_file_goes_on_from_where_it_ended(base: Path, tmp_path: Path) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"
    remote = source.look_up("a/one.bin")
    with pytest.raises(OSError, match="connection was lost"):
        fetch(_Counting(source, fail_after=3), remote, root, block=BLOCK)
    assert not (root / "a" / "one.bin").exists()
    again = _Counting(source)
    assert fetch(again, remote, root, block=BLOCK).read_bytes() == CONTENT
    assert again.reads[0] == (3000, 4000)
    assert sum(stop - start for start, stop in again.reads) == len(CONTENT) - 3000


@pytest.mark.parametrize("key", ["tag", "bytes", "address"])
def test_a_part_of_another_file_is_thrown_away(key: str, base: Path, tmp_path: Path) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"
    remote = source.look_up("a/one.bin")
    with pytest.raises(OSError, match="lost"):
        fetch(_Counting(source, fail_after=3), remote, root, block=BLOCK)
    record = root / "a" / ".one.bin.part.json"
    content = json.loads(record.read_text())
    record.write_text(json.dumps(content | {key: "another"}))
    again = _Counting(source)
    assert fetch(again, remote, root, block=BLOCK).read_bytes() == CONTENT
    assert again.reads[0] == (0, 1000)


def test_a_damaged_record_or_a_part_that_is_too_long_begins_anew(
    base: Path, tmp_path: Path
) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"
    remote = source.look_up("a/one.bin")
    for record, part in (("{", b"x" * 10), (None, b"x" * 99999)):
        with pytest.raises(OSError, match="lost"):
            fetch(_Counting(source, fail_after=1), remote, root, block=BLOCK)
        if record is not None:
            (root / "a" / ".one.bin.part.json").write_text(record)
        (root / "a" / ".one.bin.part").write_bytes(part)
        assert fetch(source, remote, root, block=BLOCK).read_bytes() == CONTENT
        (root / "a" / "one.bin").unlink()


def test_another_digest_is_refused_and_leaves_no_part(base: Path, tmp_path: Path) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"
    with pytest.raises(DataError, match="not the file that was expected"):
        download(source, [_entry("a/one.bin", sha256="0" * 64)], root)
    assert not [path for path in root.rglob("*") if path.is_file()]
    good = hashlib.sha256(CONTENT).hexdigest()
    assert download(source, [_entry("a/one.bin")], root, digests={"a/one.bin": good})


def test_a_file_that_changes_meanwhile_is_refused(base: Path, tmp_path: Path) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"
    remote = source.look_up("a/one.bin")

    class Changing(_Counting):
        def read(self, remote: Remote, start: int, stop: int) -> bytes:
            (base / "a" / "one.bin").write_bytes(CONTENT + b"more")
            return super().read(remote, start, stop)

    with pytest.raises(DataError, match="changed at its source"):
        fetch(Changing(source), remote, root)
    assert not (root / "a" / "one.bin").exists()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once a download says that it waits for another."""
    said = threading.Event()
    monkeypatch.setattr(module.log, "warning", lambda *_: said.set())
    return said


def test_another_download_of_the_same_file_is_waited_for(
    base: Path, tmp_path: Path, waits: threading.Event
) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"
    remote = source.look_up("a/one.bin")
    half = threading.Event()

    class Slow(_Counting):
        def read(self, remote: Remote, start: int, stop: int) -> bytes:
            if start == 3 * BLOCK:
                half.set()
                assert waits.wait(10)
            return super().read(remote, start, stop)

    first, second = Slow(source), _Counting(source)
    with ThreadPoolExecutor(2) as pool:
        fetched = [pool.submit(fetch, first, remote, root, block=BLOCK)]
        assert half.wait(10)
        fetched.append(pool.submit(fetch, second, remote, root, block=BLOCK))
        paths = [each.result() for each in fetched]
    assert [path.read_bytes() for path in paths] == [CONTENT, CONTENT]
    assert sum(stop - start for start, stop in first.reads) == len(CONTENT)
    assert second.reads == []
    assert [path.name for path in (root / "a").iterdir()] == ["one.bin"]


def test_a_download_goes_on_where_the_one_it_waited_for_failed(
    base: Path, tmp_path: Path, waits: threading.Event
) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"
    remote = source.look_up("a/one.bin")
    half = threading.Event()

    class Lost(_Counting):
        def read(self, remote: Remote, start: int, stop: int) -> bytes:
            if start == 3 * BLOCK:
                half.set()
                assert waits.wait(10)
                raise OSError("the connection was lost")
            return super().read(remote, start, stop)

    second = _Counting(source)
    with ThreadPoolExecutor(2) as pool:
        lost = pool.submit(fetch, Lost(source), remote, root, block=BLOCK)
        assert half.wait(10)
        path = pool.submit(fetch, second, remote, root, block=BLOCK).result()
        assert isinstance(lost.exception(), OSError)
    assert path.read_bytes() == CONTENT
    assert second.reads[0] == (3 * BLOCK, 4 * BLOCK)


def test_another_size_is_told_in_bytes(base: Path, tmp_path: Path) -> None:
    source, root = open_source(str(base), anonymous=True), tmp_path / "root"

    class Intruder(_Counting):
        def read(self, remote: Remote, start: int, stop: int) -> bytes:
            with open(root / "a" / ".one.bin.part", "ab") as handle:
                handle.write(b"x")
            return super().read(remote, start, stop)

    with pytest.raises(DataError, match="not the file that was expected") as caught:
        fetch(Intruder(source), source.look_up("a/one.bin"), root)
    assert caught.value.expected == f"{len(CONTENT)} bytes"
    assert caught.value.found == f"{len(CONTENT) + 1} bytes"


def test_a_failing_source_is_an_error_with_a_remedy(base: Path, tmp_path: Path) -> None:
    class Failing:
        def __getattr__(self, name: str) -> Callable[..., Any]:
            def fail(*_: Any, **__: Any) -> Any:
                raise TimeoutError("no route to host")

            return fail

    source = Source(Failing(), "base")
    for call in (
        lambda: source.read(Remote("x", "x", 1, "t"), 0, 1),
        lambda: source.look_up("x"),
        lambda: list(source.find(_entry("x/*"))),
    ):
        with pytest.raises(MissingDataError, match="did not answer"):
            call()


def test_what_the_source_lacks_is_named(base: Path, tmp_path: Path) -> None:
    source = open_source(str(base), anonymous=True)
    for path in ("a/three.bin", "a/*.txt"):
        with pytest.raises(MissingDataError, match="no such file"):
            download(source, [_entry(path)], tmp_path / "root")


def test_an_optional_file_may_be_missing(base: Path, tmp_path: Path) -> None:
    source = open_source(str(base), anonymous=True)
    entries = [_entry("a/three.bin", needed=False), _entry("a/*.txt", needed=False)]
    assert download(source, [*entries, _entry("a/one.bin")], tmp_path / "root") == [
        tmp_path / "root/a/one.bin"
    ]


def test_a_listing_cannot_choose_another_folder(base: Path, tmp_path: Path) -> None:
    source = open_source(str(base), anonymous=True)
    with pytest.raises(DataError, match="outside the dataset's folder"):
        fetch(source, Remote("x", "../../elsewhere", 1, "t"), tmp_path / "root")


def test_addresses_that_cannot_be_opened_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no address"):
        open_source("", anonymous=True)
    with pytest.raises(ConfigError, match="no known kind"):
        open_source("nonsense://x", anonymous=True)

    def absent(base: str, **options: object) -> None:
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr("fsspec.core.url_to_fs", absent)
    with pytest.raises(ConfigError, match="extra that speaks s3") as raised:
        open_source("s3://somewhere", anonymous=True)
    assert "neuroattn[s3]" in str(raised.value)


def test_terms_must_be_accepted() -> None:
    manifest = load_manifest("nsd")
    require_terms(manifest, accepted=True)
    with pytest.raises(ConfigError, match="were not accepted") as raised:
        require_terms(manifest, accepted=False)
    assert manifest.agreement in str(raised.value)
    assert manifest.terms in str(raised.value)


def test_s3_files_and_groups(server: S3Server, tmp_path: Path) -> None:
    entries = [_entry("nsddata/one.bin"), _entry("nsddata/deep/*.bin")]
    fetched = download(_s3(server), entries, tmp_path, block=BLOCK)
    assert [path.read_bytes() for path in fetched] == [CONTENT, CONTENT[::-1]]
    assert not list(tmp_path.rglob("*.part*"))
    assert len(server.ranges()) == 2 * -(-len(CONTENT) // BLOCK)


def test_s3_resumes_by_range(server: S3Server, tmp_path: Path) -> None:
    server.fail_after = 4
    with pytest.raises(MissingDataError, match="did not answer"):
        download(_s3(server), [_entry("nsddata/one.bin")], tmp_path, block=BLOCK)
    server.fail_after = None
    server.requests.clear()
    download(_s3(server), [_entry("nsddata/one.bin")], tmp_path, block=BLOCK)
    assert (tmp_path / "nsddata/one.bin").read_bytes() == CONTENT
    assert server.ranges()[0] == "bytes=4000-4999"


def test_s3_begins_anew_when_the_object_changed(server: S3Server, tmp_path: Path) -> None:
    server.fail_after = 2
    with pytest.raises(MissingDataError, match="did not answer"):
        download(_s3(server), [_entry("nsddata/one.bin")], tmp_path, block=BLOCK)
    server.fail_after = None
    server.objects["nsddata/one.bin"] = CONTENT[::-1]
    server.requests.clear()
    download(_s3(server), [_entry("nsddata/one.bin")], tmp_path, block=BLOCK)
    assert (tmp_path / "nsddata/one.bin").read_bytes() == CONTENT[::-1]
    assert server.ranges()[0] == "bytes=0-999"


def _forbid(server: S3Server) -> None:
    server.forbidden.add("nsddata/one.bin")


def _lose(server: S3Server) -> None:
    del server.objects["nsddata/one.bin"]


@pytest.mark.parametrize(
    ("fault", "message"), [(_forbid, "does not give out"), (_lose, "no such file")]
)
def test_s3_refusals_are_named(
    fault: Callable[[S3Server], None], message: str, server: S3Server, tmp_path: Path
) -> None:
    fault(server)
    with pytest.raises(MissingDataError, match=message):
        download(_s3(server), [_entry("nsddata/one.bin")], tmp_path)


def test_s3_short_answers_are_noticed(server: S3Server, tmp_path: Path) -> None:
    server.short = True
    with pytest.raises(DataError, match="another number of bytes"):
        download(_s3(server), [_entry("nsddata/one.bin")], tmp_path, block=BLOCK)
