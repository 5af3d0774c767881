from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroattn.core import fingerprint as module
from neuroattn.core.errors import MissingDataError
from neuroattn.core.fingerprint import (
    DigestCache,
    canonical,
    difference,
    file_digest,
    stage_fingerprint,
)


def _fingerprint(**changes: object) -> str:
    values: dict[str, object] = {
        "stage": "s",
        "version": 1,
        "science": {"a": 1},
        "parents": {"p": "11"},
        "leaves": {"f": "11"},
    }
    return stage_fingerprint(**{**values, **changes}).digest  # type: ignore[arg-type]


@given(st.dictionaries(st.text(), st.one_of(st.integers(), st.booleans(), st.text(), st.none())))
def test_key_order_does_not_matter(science: dict[str, object]) -> None:
    backwards = dict(reversed(list(science.items())))
    assert _fingerprint(science=science) == _fingerprint(science=backwards)


@pytest.mark.parametrize(
    "changes",
    [
        {"stage": "t"},
        {"version": 2},
        {"science": {"a": 2}},
        {"science": {"b": 1}},
        {"science": {"a": "1"}},
        {"parents": {"p": "00"}},
        {"parents": {"q": "11"}},
        {"parents": {}},
        {"leaves": {"f": "00"}},
        {"leaves": {"g": "11"}},
    ],
)
def test_everything_hashed_matters(changes: dict[str, object]) -> None:
    assert _fingerprint(**changes) != _fingerprint()


def test_canonical_form_is_frozen() -> None:
    # Changing this text would rename every artefact in the world.
    assert canonical({"b": [1, 0.5, None], "a": "ü"}) == '{"a":"\\u00fc","b":[1,0.5,null]}'


def test_difference_names_the_keys() -> None:
    left = {"stage": "s", "science": {"a": 1, "b": 2}}
    right = {"stage": "s", "science": {"a": 1, "b": 3, "c": 4}}
    assert difference(left, right) == [("science.b", 2, 3), ("science.c", None, 4)]


def test_the_cache_reads_a_file_once_until_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a"
    file.write_text("one")
    read: list[Path] = []
    monkeypatch.setattr(
        module, "file_digest", lambda path: (read.append(path), file_digest(path))[1]
    )
    cache = DigestCache(tmp_path / "digests.sqlite")
    first = cache.digests({"a": file})
    assert cache.digests({"a": file}) == first
    assert len(read) == 1
    file.write_text("two")
    os.utime(file, ns=(1, 1))
    assert cache.digests({"a": file}) != first
    assert len(read) == 2


@pytest.mark.parametrize("name", ["a#b", "a?mode=rwc", "%41", "é b"])
def test_the_cache_works_in_any_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "a").write_text("one")
    cache = DigestCache(folder / "digests.sqlite")
    first = cache.digests({"a": folder / "a"})
    monkeypatch.setattr(module, "file_digest", lambda path: pytest.fail(f"{path} is read again"))
    assert cache.digests({"a": folder / "a"}) == first
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    cache = DigestCache(tmp_path / "nowhere" / "digests.sqlite")
    assert cache.digests({"a": tmp_path / "a"})["a"] == file_digest(tmp_path / "a")


def test_a_broken_cache_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    (tmp_path / "digests.sqlite").write_text("no database")
    digests = DigestCache(tmp_path / "digests.sqlite").digests({"a": tmp_path / "a"})
    assert digests["a"] == file_digest(tmp_path / "a")


def test_a_missing_leaf_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="input file is missing") as caught:
        DigestCache(tmp_path / "d").digests({"a": tmp_path / "gone"})
    assert "gone" in str(caught.value)
