"""The design of the experiment: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from neuroattn.core.errors import DataError
from neuroattn.data.nsd.design import (
    Design,
    check_behaviour,
    read_behaviour,
    read_design,
    read_matlab,
    session_starts,
)
from tests.nsd_files import Nsd

GOOD = {"masterordering": [[1, 2, 2]], "subjectim": [[5, 9], [5, 8]], "sharedix": [[5]]}
ORDER = Design(np.arange(20), np.arange(40).reshape(2, 20), np.arange(3), None)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"masterordering": None}, "the array masterordering"),
        ({"subjectim": None}, "the array subjectim"),
        ({"masterordering": [[0, 1]]}, "from 1 in masterordering"),
        ({"masterordering": [[1.5, 1]]}, "from 1 in masterordering"),
        ({"masterordering": [[1, 3]]}, "the 2 columns of subjectim"),
        ({"subjectim": [[0, 9]]}, "from 1 in subjectim"),
        ({"sharedix": "five"}, "numbers in sharedix"),
    ],
)
def test_designs_of_another_form(tmp_path: Path, change: dict[str, object], found: str) -> None:
    content = {key: value for key, value in (GOOD | change).items() if value is not None}
    savemat(tmp_path / "d.mat", content)
    with pytest.raises(DataError, match=found):
        read_design(tmp_path / "d.mat")


def test_damaged_files(tmp_path: Path) -> None:
    savemat(tmp_path / "d.mat", GOOD)
    content = (tmp_path / "d.mat").read_bytes()
    (tmp_path / "d.mat").write_bytes(content[: len(content) // 2])
    (tmp_path / "h.mat").write_text("<html>not found</html>" * 100)
    (tmp_path / "e.mat").write_bytes(b"")
    for name in ("d.mat", "h.mat", "e.mat"):
        with pytest.raises(DataError) as caught:
            read_design(tmp_path / name)
        assert name in str(caught.value)


def test_axes_of_both_kinds_agree(tmp_path: Path) -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    savemat(tmp_path / "5.mat", {"a": array})
    with h5py.File(tmp_path / "7.mat", "w") as file:
        file["a"] = array.T
    for name in ("5.mat", "7.mat"):
        np.testing.assert_array_equal(read_matlab(tmp_path / name, ("a", "b"))["a"], array)


def test_runs_of_the_pattern(tmp_path: Path) -> None:
    pattern = np.zeros((2, 2, 5))
    pattern[0, 0, :4] = pattern[0, 1, 1:4] = pattern[1, :, 0] = 1
    savemat(tmp_path / "d.mat", GOOD | {"stimpattern": pattern})
    runs = read_design(tmp_path / "d.mat").runs
    assert runs is not None
    assert runs.tolist() == [[4, 3], [1, 1]]


def test_starts_follow_what_is_known() -> None:
    path = Path("lh.betas_session02.mgh")
    assert session_starts({1: 5, 2: 5}, ORDER, None, path) == {1: 0, 2: 5}
    assert session_starts({3: 4}, ORDER, None, path) == {3: 8}  # sessions are equally long
    pattern = Design(ORDER.ordering, ORDER.images, ORDER.shared, np.array([[3, 3], [1, 4]]))
    assert session_starts({2: 5}, pattern, None, path) == {2: 6}
    behaviour = pd.DataFrame({"session": [1] * 7 + [2] * 3, "run": 1, "image": 0})
    assert session_starts({2: 3}, pattern, behaviour, path) == {2: 7}


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({1: 5, 2: 4}, "nothing tells where each begins"),
        ({1: 21}, "at most 20 trials"),
        ({5: 5}, "at most 20 trials"),
    ],
)
def test_starts_that_cannot_be(found: dict[int, int], words: str) -> None:
    with pytest.raises(DataError, match=words):
        session_starts(found, ORDER, None, Path("b"))


def test_betas_of_another_length_than_the_behaviour() -> None:
    behaviour = pd.DataFrame({"session": [1] * 7, "run": 1, "image": 0})
    with pytest.raises(DataError, match="session 1 has another number of betas") as caught:
        session_starts({1: 6}, ORDER, behaviour, Path("b"))
    assert "7 trials" in str(caught.value)
    with pytest.raises(DataError, match="session 2 has another number"):
        session_starts({2: 7}, ORDER, behaviour, Path("b"))


def test_behaviour_of_another_form(tmp_path: Path) -> None:
    nsd = Nsd(tmp_path)
    path = nsd.write_behaviour()
    table = read_behaviour(path)
    assert table["image"].tolist() == nsd.shown().tolist()
    text = path.read_text()
    path.write_text(text.replace("73KID", "IMAGE"))
    with pytest.raises(DataError, match="the table of behaviour"):
        read_behaviour(path)
    path.write_text(text.replace("\t1.5\t", "\t1.5\t").replace("\n1\t1\t1\t1\t", "\n1\t1\t1\t1\tx"))
    with pytest.raises(DataError, match="the table of behaviour"):
        read_behaviour(path)


def test_behaviour_longer_than_the_experiment() -> None:
    behaviour = pd.DataFrame({"session": 1, "run": 1, "image": np.arange(30) % 20})
    with pytest.raises(DataError, match="not in the order"):
        check_behaviour(ORDER, "subj01", behaviour, Path("responses.tsv"))
    shuffled = pd.DataFrame({"session": [2, 1], "run": 1, "image": [0, 1]})
    with pytest.raises(DataError, match="not in the order"):
        check_behaviour(ORDER, "subj01", shuffled, Path("responses.tsv"))
