"""Surface files that other programs read, with all that says what they hold.

nilearn's own writer leaves out the intent, the hemisphere and the mesh; FreeView, wb_view and
nilearn need them to overlay a map on the right surface.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Mapping
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.gifti import GiftiDataArray, GiftiImage, GiftiMetaData
from numpy.typing import NDArray

STRUCTURE = {"lh": "CortexLeft", "rh": "CortexRight"}
BIDS_HEMISPHERE = {"lh": "hemi-L_", "rh": "hemi-R_", "": ""}
_INTENTS = {"p": "NIFTI_INTENT_PVAL", "q": "NIFTI_INTENT_PVAL", "r": "NIFTI_INTENT_CORREL"}
_PLACE = np.eye(4)


def gifti_bytes(
    values: NDArray[np.floating[Any]], hemisphere: str, *, name: str, facts: Mapping[str, str]
) -> bytes:
    """A ``.func.gii`` of one map (vertices,), NaN where there are no data.

    Parameters
    ----------
    name : of the map, as in ``r``; decides the NIfTI intent.
    facts : mesh, units, source: written as metadata of the map.
    """
    array = GiftiDataArray(
        np.asarray(values, dtype=np.float32),
        intent=_INTENTS.get(name, "NIFTI_INTENT_ESTIMATE"),
        datatype="NIFTI_TYPE_FLOAT32",
        meta=GiftiMetaData({"Name": name, **facts}),
    )
    image = GiftiImage(
        darrays=[array],
        meta=GiftiMetaData({"AnatomicalStructurePrimary": STRUCTURE[hemisphere]}),
    )
    content: bytes = image.to_bytes()
    return content


def mgz_bytes(
    values: NDArray[np.floating[Any]], affine: NDArray[np.floating[Any]] = _PLACE
) -> bytes:
    """A ``.mgz`` of one map in float32: a volume (x, y, z), or (vertices,) as (vertices, 1, 1).

    MGZ has no place for names.
    """
    table = np.asarray(values, dtype=np.float32)
    table = table.reshape(-1, 1, 1) if table.ndim == 1 else table
    return _packed(nib.freesurfer.mghformat.MGHImage(table, affine).to_bytes())


def nifti_bytes(
    values: NDArray[np.floating[Any]], affine: NDArray[np.floating[Any]], *, name: str, unit: str
) -> bytes:
    """A ``.nii.gz`` of one map (x, y, z) in float32, NaN where there are no data.

    The description holds name and unit, as far as its 79 characters go.
    """
    image = nib.Nifti1Image(np.asarray(values, dtype=np.float32), affine)
    image.header["descrip"] = f"{name}; {unit}"[:79].encode("ascii", "replace")
    image.header.set_xyzt_units("mm")
    image.header.set_intent(_INTENTS.get(name, "NIFTI_INTENT_ESTIMATE"), name=name[:15])
    return _packed(image.to_bytes())


def _packed(content: bytes) -> bytes:
    """Content under gzip, without the time: equal maps are equal bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write(content)
    return buffer.getvalue()


def file_name(stat: str, hemisphere: str, space: str, suffix: str) -> str:
    """Name in the form of BIDS derivatives; ``r-difference`` is the difference of r.

    A volume has no hemisphere.
    """
    name, _, kind = stat.partition("-")
    described = f"_desc-{kind}" if kind else ""
    return f"{BIDS_HEMISPHERE[hemisphere]}space-{space}_stat-{name}{described}_statmap{suffix}"
