"""Tables that users write: types are declared, not guessed."""

from __future__ import annotations

from pathlib import Path

import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.tables import read_input_table


def table(folder: Path, content: str) -> Path:
    path = folder / "t.tsv"
    path.write_bytes(content.encode())
    return path


def test_text_stays_text_and_numbers_become_integers(tmp_path: Path) -> None:
    path = table(tmp_path, "image\tname\tignored\n7\t01\tx\n-3\tNA\ty\n")
    frame = read_input_table(path, integers=("image",), text=("name",))
    assert frame["image"].tolist() == [7, -3]
    assert frame["image"].dtype == "int64"
    assert frame["name"].tolist() == ["01", "NA"]
    assert list(frame.columns) == ["image", "name"]


def test_missing_cells_and_columns(tmp_path: Path) -> None:
    path = table(tmp_path, "image\tname\trun\n7\tn/a\t\n3\tx\t2\n1\ty\n")
    frame = read_input_table(
        path,
        integers=("image",),
        text=("name",),
        optional_integers=("run", "vertex"),
        optional_text=("subject",),
    )
    assert frame["name"].tolist() == ["", "x", "y"]
    assert frame["run"].isna().tolist() == [True, False, True]
    assert frame["vertex"].isna().all()
    assert frame["subject"].tolist() == ["", "", ""]


def test_windows_files_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, "\ufeffimage\tname\r\n7\tx \r\n")
    frame = read_input_table(path, integers=("image",), text=("name",))
    assert frame.iloc[0].tolist() == [7, "x"]


def test_large_numbers_keep_every_digit(tmp_path: Path) -> None:
    path = table(tmp_path, "image\n9007199254740993\n")
    assert read_input_table(path, integers=("image",))["image"].tolist() == [9007199254740993]


@pytest.mark.parametrize("cell", ["7.5", "", "n/a", "x", "1e3", "0x10"])
def test_a_cell_that_is_no_integer_is_named_with_its_line(tmp_path: Path, cell: str) -> None:
    path = table(tmp_path, f"image\tname\n1\ta\n{cell}\tb\n3\tc\n")
    with pytest.raises(DataError, match="line 3") as caught:
        read_input_table(path, integers=("image",), text=("name",))
    assert "image" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("image,name\n1,a\n", "lacks the column image, name"),
        ("image\tname\timage\n1\ta\t2\n", "one name"),
        ("image\tname\n1\ta\tb\tc\n", "more cells in line 2"),
        ("\n", "cannot be read"),
        ("image\tname\n1\t\x00\udcff\n", "cannot be read"),
    ],
)
def test_no_such_table(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=problem):
        read_input_table(path, integers=("image",), text=("name",))
