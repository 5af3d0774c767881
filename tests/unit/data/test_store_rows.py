"""Rows of a table in a file: any of them, in any order, none with a flipped bit."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neuroattn.core.errors import ArtefactError, StorageError
from neuroattn.data import store_rows
from neuroattn.data.store_read import Rows, Store
from neuroattn.data.store_rows import (
    Place,
    RowReader,
    checksums,
    create_table,
    find_table,
    put_rows,
)
from neuroattn.data.store_scale import Linear
from tests.chain import Ran
from tests.faults import in_child, limit_files

ROWS, WIDTH = 300, 700
VALUES = np.random.default_rng(0).normal(size=(ROWS, WIDTH)).astype("<f4")
SESSIONS = np.arange(ROWS) // 100
LINEAR = Linear(*np.random.default_rng(1).uniform(1, 2, size=(2, 3, WIDTH)))


def written(path: Path, values: Any = VALUES) -> Place:
    """A file with these rows."""
    create_table(path, values.shape, values.dtype)
    place = find_table(path, values.shape, values.dtype)
    assert place is not None
    with open(path, "r+b", buffering=0) as file:
        for start in range(0, len(values), 7):
            put_rows(file.fileno(), place, start, values[start : start + 7])
    return place


def read(place: Place, rows: Any, sums: Any = None) -> Any:
    """Rows by position, through two threads."""
    out = np.full((len(rows), place.shape[1]), np.nan, dtype=place.dtype)
    reader = RowReader(place, checksums(VALUES) if sums is None else sums)

    def take(position: int, row: Any) -> None:
        out[position] = row

    try:
        with ThreadPoolExecutor(2) as pool:
            reader.ahead(np.asarray(rows, dtype=np.int64))
            reader.read(np.asarray(rows, dtype=np.int64), [take, take], pool)
    finally:
        reader.close()
    return out


def test_the_file_is_plain_hdf5(tmp_path: Path) -> None:
    written(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["responses"][:], VALUES)
    assert checksums(VALUES).tolist() == [zlib.crc32(row.tobytes()) for row in VALUES]


@pytest.mark.parametrize("run", [1, 2800 * 3, 256 << 10])
def test_any_ascending_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: int) -> None:
    monkeypatch.setattr(store_rows, "_RUN", run)
    place = written(tmp_path / "a.h5")
    random = np.random.default_rng(2)
    for rows in (
        [],
        [ROWS - 1],
        range(ROWS),
        [5, 5, 6, 6, 6],
        np.sort(random.integers(0, ROWS, 99)),
    ):
        np.testing.assert_array_equal(read(place, rows), VALUES[list(rows)])


def test_every_flipped_bit_is_named_with_its_row(tmp_path: Path) -> None:
    place = written(tmp_path / "a.h5")
    random = np.random.default_rng(3)
    for bit in random.integers(0, 8 * VALUES.nbytes, 40).tolist():
        row = bit // 8 // place.row_bytes
        with open(place.path, "r+b") as file:
            file.seek(place.offset + bit // 8)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ (1 << bit % 8)]))
            file.flush()
            with pytest.raises(ArtefactError, match=f"row {row} with the checksum"):
                read(place, range(ROWS))
            others = [other for other in range(ROWS) if other != row]
            np.testing.assert_array_equal(read(place, others), VALUES[others])
            file.seek(place.offset + bit // 8)
            file.write(bytes([byte]))


def test_rows_in_each_others_place_are_named(tmp_path: Path) -> None:
    swapped = VALUES.copy()
    swapped[[3, 4]] = VALUES[[4, 3]]
    with pytest.raises(ArtefactError, match="row 3 with the checksum"):
        read(written(tmp_path / "a.h5", swapped), range(ROWS))


def test_a_file_that_was_cut_is_named(tmp_path: Path) -> None:
    place = written(tmp_path / "a.h5")
    os.truncate(place.path, place.offset + 10 * place.row_bytes)
    with pytest.raises(ArtefactError, match="fewer bytes"):
        read(place, [2, 20])
    assert find_table(place.path, place.shape, place.dtype) is None


@pytest.mark.parametrize("content", [None, b"", b"no HDF5 at all"])
def test_what_is_no_table_is_not_found(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.h5"
    if content is not None:
        path.write_bytes(content)
    assert find_table(path, VALUES.shape, VALUES.dtype) is None
    written(path)
    assert find_table(path, (ROWS, 3), VALUES.dtype) is None
    assert find_table(path, VALUES.shape, np.dtype("<f2")) is None


def test_a_full_disk_is_told_before_a_row_is_written(tmp_path: Path) -> None:
    def create() -> Ran:
        with pytest.raises(StorageError, match="size limit"):
            create_table(tmp_path / "a.h5", VALUES.shape, VALUES.dtype)
        return Ran(0, "", "")

    assert in_child(create, lambda: limit_files(100_000)).code == 0


@pytest.mark.parametrize("kind", ["<f4", "<f2"])
@pytest.mark.parametrize("linear", [None, LINEAR], ids=["stored", "scaled"])
@pytest.mark.parametrize(
    "columns", [None, slice(20, 400), np.array([5, 3, 699])], ids=["all", "range", "some"]
)
def test_both_ways_of_reading_agree(
    tmp_path: Path, kind: str, linear: Linear | None, columns: Any
) -> None:
    values = VALUES.astype(kind)
    place = written(tmp_path / "a.h5", values)
    rows = np.random.default_rng(4).integers(0, ROWS, 150)
    with h5py.File(place.path) as file:
        table = file["responses"]
        direct = Rows(Store(table, checksums(values)), linear, SESSIONS, columns)
        library = Rows(Store(table), linear, SESSIONS, columns)
        found, expected = np.empty((2, len(rows), len(direct.columns)), dtype=np.float32)
        for at, block in direct.read(rows):
            found[at] = block
        library.into(rows, expected)
        np.testing.assert_array_equal(found, expected)
        direct.into(rows, found)
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(direct.block(7, 9), library.block(7, 9))
    chosen = values[rows].astype(np.float64)[:, direct.columns]
    if linear is not None:
        session, at = SESSIONS[rows][:, None], direct.columns
        chosen = chosen * linear.gain[session, at] + linear.offset[session, at]
    np.testing.assert_allclose(found, chosen, rtol=1e-6, atol=1e-6)
