"""Pickled dictionaries: read where they are plain, refused unexecuted where they are not."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from neuroattn.core.errors import DataError, SecurityError
from neuroattn.data.restricted_pickle import read_labels_dictionary

NAMES = {0: "Unknown", 1: "V1v", 2: "mid temporal faces"}


def _save(path: Path, value: object) -> Path:
    np.save(path, np.array(value, dtype=object), allow_pickle=True)
    return path


def _pickled(path: Path, content: bytes) -> Path:
    """An object array whose pickle is ``content``."""
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    path.write_bytes(stream.getvalue() + content)
    return path


class _Runs:
    """Unpickling this writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (os.system, (f"touch {self.mark}",))


class _Opens(_Runs):
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (open, (str(self.mark), "w"))


class _Evaluates(_Runs):
    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (eval, (f"open({str(self.mark)!r}, 'w').close()",))


class _Numpy(_Runs):
    """Functions of the one package that may be named at all."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (np.savetxt, (str(self.mark), [1.0]))


def test_plain_dictionaries(tmp_path: Path) -> None:
    assert read_labels_dictionary(_save(tmp_path / "m.npy", NAMES)) == NAMES


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("core", ["numpy._core", "numpy.core"])
def test_files_of_other_versions(tmp_path: Path, protocol: int, core: str) -> None:
    content = pickle.dumps(np.array(NAMES, dtype=object), protocol=protocol)
    if protocol < 4:  # names have no length before protocol 4
        content = content.replace(b"numpy._core.multiarray", f"{core}.multiarray".encode())
    assert read_labels_dictionary(_pickled(tmp_path / "m.npy", content)) == NAMES


def test_numpy_scalars_become_plain(tmp_path: Path) -> None:
    path = _save(tmp_path / "m.npy", {np.int64(3): "V1v", np.uint8(4): "V1d"})
    assert read_labels_dictionary(path) == {3: "V1v", 4: "V1d"}


@pytest.mark.parametrize("kind", [_Runs, _Opens, _Evaluates, _Numpy])
def test_nothing_is_executed(tmp_path: Path, kind: type[_Runs]) -> None:
    mark = tmp_path / "mark"
    hostile = kind(mark)
    for number, value in enumerate(({0: hostile}, {hostile: "V1v"}, hostile)):
        path = _save(tmp_path / f"{number}.npy", value)
        with pytest.raises(SecurityError, match="nothing of it was executed") as caught:
            read_labels_dictionary(path)
        assert path.name in str(caught.value)
    bare = _pickled(tmp_path / "bare.npy", pickle.dumps(hostile))
    with pytest.raises(SecurityError):
        read_labels_dictionary(bare)
    assert not mark.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # the text protocol
        b"(S'true'\nios\nsystem\n.",  # INST
        b"cnumpy\nndarray\n(I1000000000000\ntR.",  # an array of any size
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I1000000000000\ntS'f8'\ntR.",
        b"cnumpy\ndtype\n(S'f8,f8'\ntR.",
        b"cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O'\ntRS'x'\ntR.",
        b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'__init__'\ntR.",
        b"\x80\x02\x82\x01.",  # an entry of the extension registry
        b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.",
        b"P0\n.",  # a persistent id
        b"\x80\x04.",
        b"",
    ],
)
def test_hand_written_programs(tmp_path: Path, program: bytes) -> None:
    with pytest.raises((SecurityError, DataError)):
        read_labels_dictionary(_pickled(tmp_path / "p.npy", program))


@pytest.mark.parametrize(
    "value", [{}, [1, 2], {"V1v": 1}, {1: ["V1v"]}, {1.5: "a"}, {True: "a"}, 3]
)
def test_other_values(tmp_path: Path, value: object) -> None:
    with pytest.raises(DataError, match="no dictionary of label names"):
        read_labels_dictionary(_save(tmp_path / "v.npy", value))


def test_other_files(tmp_path: Path) -> None:
    np.save(tmp_path / "n.npy", np.arange(3))
    np.save(tmp_path / "o.npy", np.array([NAMES, NAMES], dtype=object), allow_pickle=True)
    (tmp_path / "t.npy").write_bytes((_save(tmp_path / "m.npy", NAMES)).read_bytes()[:-20])
    (tmp_path / "h.npy").write_text("<html></html>")
    (tmp_path / "l.npy").write_bytes(b"\x93NUMPY" + bytes((1 << 20) + 1))
    for name in "notlh":
        if name != "m":
            with pytest.raises(DataError):
                read_labels_dictionary(tmp_path / f"{name}.npy")
