from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import ArtefactError, DataError, StorageError
from neuroattn.features import rows as module
from neuroattn.features.rows import RowStore, RowStoreWriter, row_digest, to_half

SHAPE = (10, 3, 4)


def _values(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float16)


def _writer(folder: Path) -> RowStoreWriter:
    return RowStoreWriter(folder, "layer", *SHAPE)


def _complete(folder: Path) -> np.ndarray:
    writer, values = _writer(folder), _values()
    writer.write(0, values)
    writer.finish()
    return values


def _store(folder: Path) -> RowStore:
    return RowStore(folder / "layer.npy", folder / "layer.rows.npy", SHAPE)


def test_rows_come_back_in_the_order_asked_for_and_as_often(tmp_path: Path) -> None:
    values = _complete(tmp_path)
    wanted = [7, 0, 7, 9, 3]
    assert np.array_equal(_store(tmp_path).read(wanted), values[wanted])
    assert _store(tmp_path).read([]).shape == (0, 3, 4)


def test_any_tool_can_map_the_files(tmp_path: Path) -> None:
    values = _complete(tmp_path)
    mapped = np.load(tmp_path / "layer.npy", mmap_mode="r", allow_pickle=False)
    assert mapped.dtype == np.float16
    assert np.array_equal(mapped, values)
    digests = np.load(tmp_path / "layer.rows.npy", allow_pickle=False)
    assert digests.dtype == np.uint64
    assert digests.tolist() == [row_digest(row) for row in values]


def test_rows_may_be_written_in_any_order(tmp_path: Path) -> None:
    writer, values = _writer(tmp_path), _values()
    writer.write(6, values[6:])
    writer.write(0, values[:6])
    writer.finish()
    assert np.array_equal(_store(tmp_path).read(range(10)), values)


def test_a_killed_run_keeps_exactly_the_rows_that_were_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = _values()
    writer = _writer(tmp_path)
    writer.write(0, values[:4])
    put = RowStoreWriter._put

    def killed(file: object, part: module._Rows, first: int, rows: np.ndarray) -> None:
        if part.dtype == module.DIGEST:
            raise KeyboardInterrupt  # between a row and its digest
        put(file, part, first, rows)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(RowStoreWriter, "_put", staticmethod(killed))
        with pytest.raises(KeyboardInterrupt):
            writer.write(4, values[4:6])
    writer.close()
    resumed = _writer(tmp_path)
    assert resumed.done.tolist() == [True] * 4 + [False] * 6
    resumed.write(4, values[4:])
    resumed.finish()
    assert np.array_equal(_store(tmp_path).read(range(10)), values)


def test_a_row_that_a_power_cut_lost_is_made_anew(tmp_path: Path) -> None:
    _complete(tmp_path)
    mapped = np.load(tmp_path / "layer.npy", mmap_mode="r+")
    mapped[5] = 0  # the digest reached the disk, the row did not
    mapped.flush()
    resumed = _writer(tmp_path)
    assert np.flatnonzero(~resumed.done).tolist() == [5]
    resumed.close()


def test_files_of_another_shape_are_begun_again(tmp_path: Path) -> None:
    _complete(tmp_path)
    other = RowStoreWriter(tmp_path, "layer", 10, 4, 3)  # the same bytes, another form
    assert not other.done.any()
    other.close()
    assert np.load(tmp_path / "layer.npy", mmap_mode="r").shape == (10, 4, 3)


def test_an_incomplete_store_is_not_finished(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    writer.write(0, _values()[:9])
    with pytest.raises(ArtefactError, match="9 rows"):
        writer.finish()
    with pytest.raises(ArtefactError, match="row 9"):
        _store(tmp_path).read([9])


def test_rows_of_zeros_count_as_written(tmp_path: Path) -> None:
    writer = _writer(tmp_path)
    writer.write(0, np.zeros(SHAPE, dtype=np.float16))
    writer.finish()
    assert not _store(tmp_path).read([2]).any()


@pytest.mark.parametrize(("rows", "first"), [((2, 3, 5), 0), ((2, 3, 4), 9), ((2, 3, 4), -1)])
def test_rows_that_do_not_fit_are_refused(
    tmp_path: Path, rows: tuple[int, ...], first: int
) -> None:
    writer = _writer(tmp_path)
    with pytest.raises(ArtefactError, match="do not fit"):
        writer.write(first, np.zeros(rows, dtype=np.float16))
    writer.close()


@pytest.mark.parametrize("row", [0, 4, 9])
@pytest.mark.parametrize("byte", [0, 11, 23])
def test_one_flipped_bit_is_found_in_the_row_that_has_it(
    tmp_path: Path, row: int, byte: int
) -> None:
    _complete(tmp_path)
    path = tmp_path / "layer.npy"
    content = bytearray(path.read_bytes())
    content[len(content) - (10 - row) * 24 + byte] ^= 0b100
    path.write_bytes(content)
    store = _store(tmp_path)
    with pytest.raises(ArtefactError) as caught:
        store.read([1, row])
    for word in (str(path), f"row {row}", "run the stage features again"):
        assert word in str(caught.value)
    others = [index for index in range(10) if index != row]
    assert np.array_equal(store.read(others), _values()[others])


@pytest.mark.parametrize("name", ["layer.npy", "layer.rows.npy"])
@pytest.mark.parametrize("damage", ["cut", "header", "gone"])
def test_damaged_files_are_refused_when_opened(tmp_path: Path, name: str, damage: str) -> None:
    _complete(tmp_path)
    path = tmp_path / name
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        content[20] ^= 1
        path.write_bytes(content[:-5] if damage == "cut" else content)
    with pytest.raises(ArtefactError, match=name):
        _store(tmp_path)


def test_a_full_disk_is_found_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StorageError, match="no space"):
        _writer(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_cannot_reserve_still_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    monkeypatch.setattr(os, "posix_fallocate", unable)
    values = _complete(tmp_path)
    assert np.array_equal(_store(tmp_path).read([8]), values[[8]])


def test_the_range_of_half_precision_is_kept() -> None:
    values = np.full((2, 1, 2), 65504.0, dtype=np.float32)
    assert to_half(values, "blocks.1", [5, 6]).max() == 65504


@pytest.mark.parametrize("value", [70000.0, -1e6, np.inf, np.nan])
def test_a_value_that_does_not_fit_names_layer_and_image(value: float) -> None:
    values = np.zeros((3, 2, 2), dtype=np.float32)
    values[1, 1, 0] = value
    with pytest.raises(DataError) as caught:
        to_half(values, "blocks.1", [70, 71, 72])
    for word in ("blocks.1", "image 71", "token 1", "backbone.layers"):
        assert word in str(caught.value)
