"""The file formats of NSD, written so that equal data give equal bytes.

gzip headers hold a time and MATLAB headers a date; both are fixed here. Nothing is atomic:
the whole folder takes its name at the end (`write.py`).
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import Any, Final

import h5py
import nibabel as nib
import numpy as np
from nibabel.freesurfer.mghformat import MGHHeader
from numpy.typing import NDArray
from scipy.io import savemat

from neuroattn.data.nsd.layout import BETAS_KEY, BETAS_SCALE

_MATLAB_HEADER: Final = b"MATLAB 5.0 MAT-file, simulated by neuroattn".ljust(116)
_MGH_DATA_OFFSET: Final = 284  # bytes before the values in an MGH file
_LEVEL: Final = 1  # of gzip: noise hardly shrinks
_UP: Final = 2  # PNG's number of the filter by the row above


def to_int16(betas: NDArray[np.float32]) -> NDArray[np.int16]:
    """Betas in % signal change as NSD stores them in volumes; NaN (no data) becomes 0."""
    limits = np.iinfo(np.int16)
    scaled = np.nan_to_num(np.rint(betas * np.float32(BETAS_SCALE)), copy=False)
    return np.asarray(np.clip(scaled, limits.min, limits.max), dtype=np.int16)


def write_mgh_betas(path: Path, betas: NDArray[np.float32]) -> None:
    """Betas (trials, vertices) as MGH (vertices, 1, 1, trials), big-endian float32, unscaled."""
    header = MGHHeader()
    header.set_data_dtype(np.float32)
    header.set_data_shape((betas.shape[1], 1, 1, betas.shape[0]))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        header.writehdr_to(file)
        file.seek(_MGH_DATA_OFFSET)
        # Vertices run fastest in the file, which is what rows of trials are in memory.
        file.write(np.ascontiguousarray(betas, dtype=">f4").data)
        header.writeftr_to(file)


def write_mgz(path: Path, values: NDArray[Any]) -> None:
    """One value per vertex (vertices,), int32 or float32; gzipped unless the name ends in .mgh."""
    dtype = np.int32 if values.dtype.kind in "iub" else np.float32
    image = nib.MGHImage(values.astype(dtype).reshape(-1, 1, 1), np.eye(4))
    content = image.to_bytes()
    _write(path, gzip.compress(content, 9, mtime=0) if path.suffix == ".mgz" else content)


def write_nifti(
    path: Path, values: NDArray[Any], affine: NDArray[np.float64], step: float = 1.0
) -> None:
    """A volume (x, y, z), or betas given as (trials, z, y, x), as gzipped NIfTI.

    ``step`` is what the header says of the fourth axis: in NSD, seconds between volumes.
    """
    is_betas = values.ndim == 4
    shape = values.shape[::-1] if is_betas else values.shape
    header = nib.Nifti1Image(np.zeros((1, 1, 1), values.dtype), affine).header
    header.set_data_shape(shape)
    header.set_zooms((*np.abs(np.diag(affine)[:3]), *([step] if is_betas else [])))
    header["vox_offset"] = 352
    header["scl_slope"], header["scl_inter"] = 1, 0
    buffer = io.BytesIO()
    header.write_to(buffer)
    start = buffer.getvalue().ljust(352, b"\0")
    data = values.tobytes("C" if is_betas else "F")
    _write(path, gzip.compress(start + data, _LEVEL, mtime=0))


def write_hdf5_betas(path: Path, betas: NDArray[np.int16], shape: tuple[int, ...] = (),
                     voxels: NDArray[np.int64] | None = None) -> None:  # fmt: skip
    """Betas (trials, places) as HDF5 with one place and all trials to a chunk, as NSD has them.

    Parameters
    ----------
    shape : (z, y, x) of a volume; none for a surface.
    voxels : (places, 3) z, y, x of each place; all others stay empty, which reads as 0.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    trials, count = betas.shape
    full = (trials, *shape) if shape else (trials, count)
    where = voxels if voxels is not None else np.arange(count)[:, None]
    columns = np.ascontiguousarray(betas.T, dtype="<i2")
    with h5py.File(path, "w", libver="latest") as file:
        data = file.create_dataset(
            BETAS_KEY, shape=full, dtype="<i2", chunks=(trials, *(1 for _ in full[1:]))
        )
        for place, column in zip(where.tolist(), columns, strict=True):
            data.id.write_direct_chunk((0, *place), column.tobytes())


def write_matlab(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    """Arrays as a MATLAB 5 file, compressed, keys in order, without a date."""
    buffer = io.BytesIO()
    savemat(buffer, dict(sorted(arrays.items())), do_compression=True)
    _write(path, _MATLAB_HEADER + buffer.getvalue()[len(_MATLAB_HEADER) :])


def write_ctab(path: Path, names: dict[int, str]) -> None:
    """Names of labels, a line each: number, space, name; 0 is Unknown."""
    rows = {0: "Unknown"} | names
    _write(path, "".join(f"{number} {name}\n" for number, name in rows.items()).encode())


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture (height, width, 3) as PNG, each row as its difference from the one above.

    Rows of an enlarged scene repeat, so this is ten times as fast as trying every filter.
    """
    height, width, _ = picture.shape
    rows = picture.reshape(height, -1)
    filtered = np.full((height, 1 + rows.shape[1]), _UP, dtype=np.uint8)
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(filtered.tobytes(), 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
