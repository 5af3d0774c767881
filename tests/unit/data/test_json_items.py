"""Large JSON files: the elements that a parser of the whole would give, a piece at a time."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from neuroattn.core.errors import DataError
from neuroattn.data import json_items as module
from neuroattn.data.json_items import json_items

CONTENT = {
    "info": {"year": 2017, "nested": [[1, {"a": "]}"}]]},
    "none": [],
    "numbers": [1, -2.5, 1e3, 12345678901234567890, 0],
    "rows": [{"id": k, "text": 'é "quoted" \\ [', "box": [k, 0.5]} for k in range(9)],
    "word": "abc",
    "mixed": [None, True, "", [], {}],
}


@pytest.mark.parametrize("piece", [1, 2, 7, 1 << 20])
@pytest.mark.parametrize("indent", [None, 2])
def test_elements_are_those_of_a_whole_parse(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int, indent: int | None
) -> None:
    monkeypatch.setattr(module, "_PIECE", piece)
    (tmp_path / "a.json").write_text(json.dumps(CONTENT, indent=indent, ensure_ascii=False) + "\n")
    expected = [
        (key, element)
        for key, value in CONTENT.items()
        if isinstance(value, list)
        for element in value
    ]
    assert list(json_items(tmp_path / "a.json")) == expected


@pytest.mark.parametrize(
    "text",
    ["", " ", "[]", "3", "{", '{"a": [1, 2}', '{"a": [1,]}', '{"a": 1,}', '{"a" 1}', '{"a": [1 2]}',
     '{"a": [tru]}', '{"a": [1]', '{"a": ["x]}', "\xff"],
)  # fmt: skip
def test_what_is_no_object_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="not a JSON object"):
        list(json_items(tmp_path / "a.json"))


def test_no_more_than_an_element_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 1 << 12)
    row = json.dumps({"outline": list(range(200))})
    (tmp_path / "a.json").write_text('{"rows": [' + ",".join([row] * 400) + "]}")
    tracemalloc.start()
    assert sum(1 for _ in json_items(tmp_path / "a.json")) == 400
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000 < 300_000 < (tmp_path / "a.json").stat().st_size
