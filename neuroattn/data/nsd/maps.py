"""Maps over the places of a space: labels, t-values, ncsnr, masks, indices of vertices.

One file holds one value per place of one part of the space, in the order of `betas`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.data.array_files import open_npy
from neuroattn.data.nsd import layout
from neuroattn.data.volumes import open_image, readable

Values = NDArray[np.float32]
_NO_DATA = 9999  # in the transforms of NSD


def read_map(path: Path, shape: tuple[int, ...] | None) -> Values:
    """Values (places,) of a NIfTI or MGH file, first axis fastest.

    Parameters
    ----------
    shape : that of the betas' places; None accepts any.

    Raises
    ------
    DataError : it is damaged, or has another shape: it belongs to another subject or space.
    """
    with open_image(path) as image, readable(path):
        values = np.asarray(image.dataobj).astype(np.float32)
    found = values.shape + (1,) * (3 - values.ndim)
    if shape is not None and found != shape + (1,) * (3 - len(shape)):
        raise DataError(
            "a map has another shape than the betas",
            file=path,
            expected=f"{shape}, as the betas of this subject and space",
            found=str(values.shape),
            fix="fetch the file of this subject and space; names are alike for all subjects",
        )
    return values.reshape(-1, order="F")


def read_labels(path: Path, shape: tuple[int, ...] | None) -> NDArray[np.int64]:
    """Labels (places,): -1 outside the cortex, 0 without a label, 1 and up regions.

    Raises
    ------
    DataError : values that are no labels, such as those of a continuous map.
    """
    values = read_map(path, shape)
    whole = np.nan_to_num(values, nan=np.inf)
    if not np.isfinite(whole).all() or (whole != np.round(whole)).any():
        raise DataError(
            "this is no file of labels", file=path, expected="whole numbers from -1",
            found="a continuous map", fix="name a label collection in dataset.rois, dataset.mask",
        )  # fmt: skip
    return whole.astype(np.int64)


def read_nearest(path: Path, source: int) -> NDArray[np.int64]:
    """For each vertex of fsaverage, that of the subject's surface, from 0; -1 where none is.

    Raises
    ------
    DataError : it points outside the ``source`` vertices of the subject.
    """
    values = read_map(path, None)
    index = np.where(values == _NO_DATA, 0, values).astype(np.int64) - layout.FIRST_ID
    if index.min() < -1 or index.max() >= source:
        raise DataError(
            "the way from fsaverage to the subject's surface leads outside it", file=path,
            expected=f"vertices 1 to {source}", found=f"{values.min():g} to {values.max():g}",
            fix="fetch the transforms and the labels of one subject",
        )  # fmt: skip
    return index


def carried(values: NDArray[Any], nearest: NDArray[np.int64], *, fill: float) -> NDArray[Any]:
    """``values`` of the subject's vertices on fsaverage, by the nearest vertex.

    Labels are not interpolated: a mean of two labels would be a third region.
    """
    return np.where(nearest < 0, np.asarray(fill, values.dtype), values[nearest])


def read_mask(path: Path, shapes: list[tuple[int, ...]]) -> list[NDArray[np.bool_]]:
    """A mask that a user brings: one of all places, cut into the parts of the space.

    ``.npy`` has the shape of the volume, or all places in order (left hemisphere first);
    NIfTI that of the volume. Values above 0 are kept, as label files mean them.

    Raises
    ------
    DataError : another size.
    """
    if path.suffix == ".npy":
        array = np.asarray(open_npy(path))
        values = (array > 0).reshape(-1, order="F")
    else:
        values = read_map(path, shapes[0] if len(shapes) == 1 else None) > 0
    sizes = [int(np.prod(shape)) for shape in shapes]
    if values.size != sum(sizes):
        raise DataError(
            "the mask has another size than the betas", file=path,
            expected=f"{sum(sizes)} places, {' and '.join(map(str, shapes))}",
            found=f"{values.size}", fix="make the mask in this subject and space",
        )  # fmt: skip
    return [np.asarray(part) for part in np.split(values, np.cumsum(sizes)[:-1])]
