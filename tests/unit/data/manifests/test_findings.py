"""Findings as text."""

from __future__ import annotations

from neuroattn.core.errors import DataError
from neuroattn.data.manifests.findings import FETCH, Finding, finding_of


def test_a_finding_names_file_problem_and_remedy() -> None:
    text = str(Finding("a/b.mgh", "it is cut off", "12 bytes", "3 bytes"))
    assert text.splitlines()[0] == "a/b.mgh"
    assert all(words in text for words in ("it is cut off", "12 bytes", "3 bytes", FETCH))


def test_an_error_becomes_a_finding() -> None:
    error = DataError("it is wrong", expected="a", found="b", fix="do c")
    assert finding_of("x", error) == Finding("x", "it is wrong", "a", "b", "do c")
    assert finding_of("x", DataError("it is wrong")).remedy == FETCH
