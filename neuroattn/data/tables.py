"""Tables that a user wrote: read as text, then turned into the types that were declared.

Type guessing makes a ROI called ``1`` a number and an image ``7.5`` a plausible one, so
every column is read as text and converted with an error that names the first bad row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from neuroattn.core.errors import DataError
from neuroattn.core.tables import MISSING

_INTEGER = r"[+-]?[0-9]{1,18}"


def read_input_table(
    path: Path,
    *,
    integers: tuple[str, ...] = (),
    text: tuple[str, ...] = (),
    optional_integers: tuple[str, ...] = (),
    optional_text: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Read a tab-separated table with the declared columns; others are left out.

    ``integers`` become int64 and may not be missing, ``optional_integers`` Int64 (NA where
    missing or absent); in text columns missing is ``""``. Optional columns are always there.

    Raises
    ------
    DataError : no table, a column missing, a cell of another type.
    """
    raw = _read(path)
    absent = [name for name in (*integers, *text) if name not in raw.columns]
    if absent:
        raise DataError(
            f"the table lacks the column {', '.join(absent)}",
            file=path,
            expected=f"columns {', '.join((*integers, *text))}, separated by tabs",
            found=", ".join(map(str, raw.columns)),
            fix=f"add {', '.join(absent)} to the first line, or separate the columns by tabs",
        )
    for name in (*optional_integers, *optional_text):
        if name not in raw.columns:
            raw[name] = ""
    columns = {name: _integers(raw[name], path, missing=False) for name in integers}
    columns |= {name: raw[name] for name in (*text, *optional_text)}
    columns |= {name: _integers(raw[name], path, missing=True) for name in optional_integers}
    return pd.DataFrame(columns)


def _read(path: Path) -> pd.DataFrame:
    try:
        with open(path, newline="", encoding="utf-8-sig") as handle:
            header, *lines = [*csv.reader(handle, delimiter="\t")] or [[]]
    except (csv.Error, UnicodeDecodeError) as error:
        raise _no_table(path, error) from error
    while lines and not any(lines[-1]):
        lines.pop()
    long = [place for place, line in enumerate(lines, start=2) if len(line) > len(header)]
    if not any(header) or long:
        raise _no_table(path, f"more cells in line {long[0]}" if long else "no names in line 1")
    names = [name.strip() for name in header]
    if len(set(names)) < len(names):
        raise DataError(
            "two columns have one name", file=path, found=", ".join(names),
            expected="each column once", fix="rename or remove one of them",
        )  # fmt: skip
    # Editors drop empty cells at the end of a line, so short lines are filled up.
    rows = [[*map(_cell, line), *[""] * (len(names) - len(line))] for line in lines]
    return pd.DataFrame(rows, columns=names, dtype=str)


def _cell(text: str) -> str:
    bare = text.strip()
    return "" if bare == MISSING else bare


def _no_table(path: Path, found: object) -> DataError:
    return DataError(
        "the table cannot be read",
        file=path,
        expected="tab-separated text, UTF-8, as many cells in each line as names in the first",
        found=found,
        fix="write it again with tabs between the columns",
    )


def _integers(column: pd.Series[str], path: Path, *, missing: bool) -> pd.Series[int]:
    good = column.str.fullmatch(_INTEGER) | (missing & column.eq(""))
    refuse_rows(
        column,
        ~good,
        path,
        lambda cell: f"{cell!r}" if cell else "nothing",
        problem=f"the column {column.name} holds something that is not a whole number",
        expected="whole numbers" + (", or n/a" if missing else ""),
        fix=f"correct the column {column.name}",
    )
    numbers = [int(cell) if cell else pd.NA for cell in column]  # exact beyond 2**53
    return pd.Series(numbers, dtype="Int64" if missing else "int64", name=column.name)


def refuse_rows(
    column: pd.Series[str],
    bad: pd.Series[bool],
    path: Path,
    show: Callable[[str], str],
    *,
    problem: str,
    expected: str,
    fix: str,
) -> None:
    """Raise a `DataError` that names the first row (the header is line 1) where ``bad`` holds."""
    if not bad.any():
        return
    row = int(bad.to_numpy().argmax())
    raise DataError(
        problem,
        file=path,
        expected=expected,
        found=f"{show(column.iloc[row])} in line {row + 2} ({int(bad.sum())} such lines)",
        fix=f"{fix} in line {row + 2}",
    )
