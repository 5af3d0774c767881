"""Is a file what its name says? Checks that need no other file.

Truncation shows in headers, sizes and checksums of the format itself; a flipped bit in plain
values does not (measured: 350 of 400 flips in ``.nii.gz`` load without a word unless the whole
stream is read), which is why a lock of digests follows.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neuroattn.core.errors import NeuroattnError
from neuroattn.data.array_files import open_npy
from neuroattn.data.files import existing_file
from neuroattn.data.manifests.findings import FETCH, Finding, finding_of
from neuroattn.data.manifests.schema import FileEntry
from neuroattn.data.pictures import decode

_HEAD = 512
_BLOCK = 1 << 22
_MGH_HEADER = 284
_MGH_TYPES = {0: ">u1", 1: ">i4", 3: ">f4", 4: ">i2"}
_WEB = (b"<!doctype html", b"<html", b"<head", b"<body")
# What libraries raise on files that are cut off or damaged.
DAMAGE: tuple[type[Exception], ...] = (
    OSError, EOFError, zlib.error, ValueError, TypeError, RuntimeError, struct.error, LookupError,
)  # fmt: skip


def check_content(
    path: Path, entry: FileEntry, name: str, *, through: bool = True
) -> list[Finding]:
    """Findings about one file by its bytes alone; ``name`` is its path in findings.

    A file that is not there, or not the file at all, has one finding; one of the right kind is
    checked against the type and shape that the manifest states. Without ``through`` an image
    is not read beyond its header, for callers who read it themselves.
    """
    disguised = _disguised(path, name)
    if disguised:
        return [disguised]
    check = _CHECKS.get(entry.format)
    if check is _check_image and not through:
        check = _check_header
    try:
        return check(path, entry, name) if check else []
    except NeuroattnError as error:
        return [finding_of(name, error)]
    except DAMAGE as error:
        kind = entry.format
        return [
            Finding(name, f"the {kind} file cannot be read", f"a whole {kind} file", str(error))
        ]


def _disguised(path: Path, name: str) -> Finding | None:
    """Nothing, a stub of git-annex or LFS, or a page that a server sent in place of the file."""
    try:
        existing_file(path, "the file", fix=FETCH)
    except NeuroattnError as error:
        return finding_of(name, error)
    with open(path, "rb") as handle:
        start = handle.read(_HEAD)
    if path.suffix in (".gz", ".mgz") and start[:2] == b"\x1f\x8b":
        return None
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_WEB):
        return _page(name, "an HTML page")
    if text.startswith((b"<?xml", b"<error>")):
        return _page(name, "an XML message" + (" of S3" if b"<error>" in text else ""))
    if not start.strip(b"\0"):
        return Finding(name, "the file begins with zeros only", "a header", f"{len(start)} zeros")
    return None


def _page(name: str, found: str) -> Finding:
    return Finding(
        name,
        "a server's answer was saved in place of the file",
        "the file itself",
        found,
        "delete it, check the address and your access, and fetch it again",
    )


def compare_form(entry: FileEntry, name: str, shape: tuple[int, ...], dtype: Any) -> list[Finding]:
    """Findings where shape or type differ from what the manifest states."""
    found: list[Finding] = []
    if entry.dtype is not None and _native(dtype) != _native(entry.dtype):
        found.append(
            Finding(name, "the values have another type", str(np.dtype(entry.dtype)), str(dtype))
        )
    trimmed, wanted = _trimmed(shape), _trimmed(entry.shape or ())
    if entry.shape is not None and trimmed != wanted:
        found.append(
            Finding(
                name,
                "the array has another shape",
                str(entry.shape),
                str(shape),
                "fetch the file of this subject and space",
            )
        )
    return found


def _native(dtype: Any) -> np.dtype[Any]:
    """Byte order is part of a format, and readers undo it."""
    native: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")
    return native


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without axes of length one at the end, which formats add and drop."""
    while shape and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def mgh_form(path: Path) -> tuple[tuple[int, ...], str, int]:
    """Shape, type and byte offset of the values of an MGH file.

    Raises
    ------
    ValueError : no MGH header.
    """
    opener = gzip.open if path.suffix == ".mgz" else open
    with opener(path, "rb") as handle:
        start = handle.read(28)
    version, *axes, kind, _ = struct.unpack(">7i", start)
    if version != 1:
        order = struct.unpack("<i", start[:4])[0]
        raise ValueError("a little-endian header" if order == 1 else "no MGH header")
    if kind not in _MGH_TYPES or min(axes) < 1:
        raise ValueError(f"an MGH header of type {kind}, shape {axes}")
    return tuple(axes), _MGH_TYPES[kind], _MGH_HEADER


def nifti_form(path: Path) -> tuple[tuple[int, ...], str, int]:
    """Shape, type (with byte order) and byte offset of the values of a NIfTI-1 file.

    Raises
    ------
    ValueError : no NIfTI-1 header.
    """
    import nibabel as nib

    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rb") as handle:
        start = handle.read(348)
    if len(start) < 348 or start[344:347] not in (b"n+1", b"ni1"):
        raise ValueError("no NIfTI header")
    header = nib.Nifti1Header(start, check=False)
    shape = tuple(int(size) for size in header.get_data_shape())
    if not shape or min(shape) < 1:
        raise ValueError(f"a NIfTI header of shape {shape}")
    return shape, header.get_data_dtype().str, int(header["vox_offset"])


def _check_header(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    shape, dtype, _ = (mgh_form if entry.format == "mgh" else nifti_form)(path)
    return compare_form(entry, name, shape, dtype)


def _check_image(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    shape, dtype, offset = (mgh_form if entry.format == "mgh" else nifti_form)(path)
    findings = compare_form(entry, name, shape, dtype)
    due = offset + math.prod(shape) * np.dtype(dtype).itemsize
    size = _plain_size(path)
    if size < due:
        findings.append(Finding(name, "the file is cut off", f"{due} bytes", f"{size} bytes"))
    return findings


def _plain_size(path: Path) -> int:
    """Bytes of the content; a gzip stream is read to its end, where its checksum stands."""
    if path.suffix not in (".gz", ".mgz"):
        return path.stat().st_size
    size = 0
    with gzip.open(path, "rb") as handle:
        while block := handle.read(_BLOCK):
            size += len(block)
    return size


def _check_hdf5(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    with h5py.File(path, "r") as file:
        arrays = [item for item in file.values() if isinstance(item, h5py.Dataset)]
        if len(arrays) != 1 and entry.note.startswith("/"):
            return [
                Finding(name, "the HDF5 file holds other arrays", entry.note.split(",")[0],
                        ", ".join(f"/{key}" for key in file) or "none")
            ]  # fmt: skip
        findings: list[Finding] = []
        for array in arrays:
            findings += compare_form(entry, name, array.shape, array.dtype)
            findings += _check_array(array, name)
    return findings


def _check_array(array: h5py.Dataset, name: str) -> list[Finding]:
    """An array without storage has never been written; its first and last values can be read."""
    if array.size and not array.id.get_storage_size() and not array.is_virtual:
        return [Finding(name, "the array was never written", f"values in {array.name}", "none")]
    if array.ndim and array.size:
        for row in {0, len(array) - 1}:
            array[row]
    return []


def _check_mat(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    del entry
    if h5py.is_hdf5(path):
        with h5py.File(path, "r") as file:
            keys = list(file)
    else:
        keys = [key for key in _matlab_keys(path) if not key.startswith("__")]
    return [] if keys else [Finding(name, "the MATLAB file is empty", "arrays", "none")]


def _matlab_keys(path: Path) -> list[str]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return list(loadmat(path))
    except MatReadError as error:
        raise ValueError(str(error)) from error


def _check_npy(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    array = open_npy(path)
    return compare_form(entry, name, array.shape, array.dtype)


def _check_pickled(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    """A pickle inside ``.npy`` is looked at, never loaded: it ends with its stop code."""
    del entry
    with open(path, "rb") as handle:
        version = np.lib.format.read_magic(handle)
        read = np.lib.format.read_array_header_1_0
        shape, _, dtype = (read if version == (1, 0) else np.lib.format.read_array_header_2_0)(
            handle
        )
        content = handle.read() if dtype.hasobject else b"."
    if not dtype.hasobject:
        return [
            Finding(name, "the array is not a pickled object", "a dictionary", f"{dtype} {shape}")
        ]
    whole = content.endswith(b".")
    return [] if whole else [Finding(name, "the file is cut off", "a whole pickle", "its start")]


def _check_table(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    delimiter = "\t" if entry.format == "tsv" else ","
    with open(path, newline="", encoding="utf-8-sig") as handle:
        rows = csv.reader(handle, delimiter=delimiter)
        width = len(next(rows, []))
        odd = next((n for n, row in enumerate(rows, start=2) if row and len(row) != width), None)
    if width < 2:
        return [Finding(name, "this is no table", "columns", f"{width} column")]
    if odd is not None:
        expected = f"{width} cells in each line"
        return [Finding(name, "a line of the table is cut off", expected, f"others in line {odd}")]
    return []


def _check_json(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    del entry
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        return [Finding(name, "the file is not valid JSON", "a whole JSON file", str(error))]
    return []


def _check_ctab(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    from neuroattn.data.nsd.rois import read_ctab

    del entry
    names = read_ctab(path)
    return [] if names else [Finding(name, "the table of names is empty", "`number name`", "none")]


def _check_picture(path: Path, entry: FileEntry, name: str) -> list[Finding]:
    del entry, name
    decode(path)
    return []


_CHECKS: dict[str, Callable[[Path, FileEntry, str], list[Finding]]] = {
    "mgh": _check_image,
    "nifti": _check_image,
    "hdf5": _check_hdf5,
    "mat": _check_mat,
    "npy": _check_npy,
    "pickled": _check_pickled,
    "tsv": _check_table,
    "csv": _check_table,
    "json": _check_json,
    "ctab": _check_ctab,
    "picture": _check_picture,
}
