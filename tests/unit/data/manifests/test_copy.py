"""Looking up the files of a copy."""

from __future__ import annotations

from pathlib import Path

from neuroattn.data.manifests.copy import CopiedFile, Copy, grouped
from neuroattn.data.manifests.load import load_manifest
from neuroattn.data.manifests.schema import FileEntry


def _file(id_: str, name: str, **values: str) -> CopiedFile:
    return CopiedFile(FileEntry(id_, name, "other", values=values), Path(name), name)


def test_files_are_found_by_row_value_and_soundness() -> None:
    files = (
        _file("betas", "a", subject="subj01", side="lh"),
        _file("betas", "b", subject="subj01", side="rh"),
        _file("betas", "c", subject="subj02", side="lh"),
        _file("design", "d"),
    )
    copy = Copy(Path(), load_manifest("nsd"), files, frozenset({"a", "d"}))
    assert [file.name for file in copy.of("betas", subject="subj01")] == ["a", "b"]
    assert [file.name for file in copy.sound_of("betas", "design")] == ["a", "d"]
    assert copy.one("betas", side="rh") is None
    assert copy.subjects() == ["subj01", "subj02"]
    assert not copy.is_simulated
    pairs = grouped(copy.of("betas"), "subject")
    assert {key: len(group) for key, group in pairs.items()} == {("subj01",): 2, ("subj02",): 1}
