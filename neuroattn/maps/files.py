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
BIDS_HEMISPHERE = {"lh": "L", "rh": "R"}
_INTENTS = {"p": "NIFTI_INTENT_PVAL", "r": "NIFTI_INTENT_CORREL"}


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


def mgz_bytes(values: NDArray[np.floating[Any]]) -> bytes:
    """A ``.mgz`` of one map (vertices,): float32 of shape (vertices, 1, 1).

    MGZ has no place for names. The gzip header carries no time, so equal maps are equal bytes.
    """
    image = nib.freesurfer.mghformat.MGHImage(
        np.asarray(values, dtype=np.float32).reshape(-1, 1, 1), np.eye(4)
    )
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write(image.to_bytes())
    return buffer.getvalue()


def file_name(stat: str, hemisphere: str, space: str, suffix: str) -> str:
    """Name in the form of BIDS derivatives."""
    return f"hemi-{BIDS_HEMISPHERE[hemisphere]}_space-{space}_stat-{stat}_statmap{suffix}"
