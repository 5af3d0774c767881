"""NIfTI and MGH files, opened so that their handle is closed and damage is named.

The library opens an MGH by name and never closes it, and starts a gzip stream again for
every block that is read by name; given an open file it does neither.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
from nibabel.filebasedimages import ImageFileError
from nibabel.freesurfer.mghformat import MGHError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from neuroattn.core.errors import DataError, NeuroattnError

_DAMAGE = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    OverflowError,
    MGHError,
    RuntimeError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)


@contextmanager
def open_image(path: Path) -> Iterator[Any]:
    """Open a NIfTI (``.nii``, ``.nii.gz``) or MGH (``.mgh``, ``.mgz``); values are not read.

    Raises
    ------
    DataError : it is cut off, damaged or of another kind.
    """
    surface = path.suffix in (".mgh", ".mgz")
    opener = gzip.open if path.suffix in (".gz", ".mgz") else open
    with opener(path, "rb") as handle:
        with readable(path):
            kind = nib.MGHImage if surface else nib.Nifti1Image
            image = kind.from_stream(handle)
        yield image


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a damaged file raises while it is read into one `DataError` that names it."""
    try:
        yield
    except _DAMAGE as error:
        if isinstance(error, NeuroattnError):
            raise
        raise DataError(
            "the file cannot be read",
            file=path,
            expected="a whole NIfTI, MGH or HDF5 file",
            found=error,
            fix="copy the file again; it is cut off, damaged or of another kind",
        ) from error
