from __future__ import annotations

import numpy as np
import pytest

from neuroattn.core.errors import ArtefactError
from neuroattn.generators.chunks import _make_missing, gathered


def _rows(rows: range) -> dict[str, np.ndarray]:
    return {"square": np.square(np.array(rows)), "name": np.array(["x" * n for n in rows])}


def test_chunks_make_the_whole(tmp_path) -> None:
    found = gathered(tmp_path, 7, _rows, chunk=3)
    assert found["square"].tolist() == [0, 1, 4, 9, 16, 25, 36]
    assert found["name"].tolist() == ["x" * n for n in range(7)]  # the longest text decides
    assert isinstance(found["square"], np.memmap)
    assert not (tmp_path / "chunks").exists()


def test_a_killed_run_keeps_its_finished_chunks(tmp_path) -> None:
    asked = []

    def failing(rows: range) -> dict[str, np.ndarray]:
        asked.append(rows.start)
        if rows.start == 3 and asked.count(3) == 1:
            raise KeyboardInterrupt
        return _rows(rows)

    with pytest.raises(KeyboardInterrupt):
        gathered(tmp_path, 7, failing, chunk=3)
    found = gathered(tmp_path, 7, failing, chunk=3)
    assert asked == [0, 3, 3, 6]
    assert found["square"].tolist() == [n * n for n in range(7)]


def test_finished_arrays_are_not_made_again(tmp_path) -> None:
    gathered(tmp_path, 4, _rows)
    again = gathered(tmp_path, 4, lambda rows: pytest.fail("made again"))
    assert len(again["square"]) == 4


def test_one_that_waited_takes_what_the_other_made(tmp_path) -> None:
    gathered(tmp_path, 4, _rows)
    _make_missing(tmp_path, 4, lambda rows: pytest.fail("made again"), 3)


def test_a_changed_byte_is_noticed(tmp_path) -> None:
    gathered(tmp_path, 4, _rows)
    file = tmp_path / "square.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ArtefactError, match="not what was written"):
        gathered(tmp_path, 4, _rows)
