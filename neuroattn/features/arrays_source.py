"""Features from a file of arrays: whatever was computed elsewhere, by image id.

``.npy`` holds one layer, named ``array``; ``.h5`` holds a dataset for each layer and may hold the
image ids as ``/image``. Shapes are (rows, dim), (rows, tokens, dim) or (rows, height, width,
dim). Without ids row k belongs to image k.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.hdf5 import open_hdf5
from neuroattn.data.prepared import Prepared
from neuroattn.features.registry import ArraysSourceConfig
from neuroattn.features.sources import Source
from neuroattn.features.store import LayerShape

NAME = "array"
IDS = "image"


def leaves(config: ArraysSourceConfig) -> Mapping[str, Path]:
    """The files that are read, by stable name.

    Raises
    ------
    ConfigError, MissingDataError : no file was named, or it is not there.
    """
    files = {"features": _file(config.file, "backbone.file")}
    return files if config.ids is None else files | {"ids": _file(config.ids, "backbone.ids")}


def _file(name: str | None, key: str) -> Path:
    if not name:
        raise ConfigError(
            "which file holds the features is not set", expected=f"{key}=FILE.npy or FILE.h5",
            found="nothing", fix=f"set {key}=FILE",
        )  # fmt: skip
    path = Path(name).expanduser()
    if not path.is_file():
        raise MissingDataError("the features are missing", file=path, fix=f"correct {key}=FILE")
    return path


class ArraysSource(Source):
    """Arrays of a file as features.

    Parameters
    ----------
    config : file, ids, layers.
    prepared : the dataset whose images must all be there.
    """

    def __init__(self, config: ArraysSourceConfig, prepared: Prepared) -> None:
        self._path = leaves(config)["features"]
        self._layers = list(config.layers)
        layers = self._shapes()
        self.shapes = {name: _tokens(shape, self._path) for name, shape in layers.items()}
        self._rows = self._rows_of(config, prepared, {shape[0] for shape in layers.values()})
        self.methods = (
            f"Features were the arrays {', '.join(self.shapes)} of the file {self._path.name},"
            " stored in half precision."
        )

    def read(self, images: list[int]) -> dict[str, NDArray[Any]]:
        """Tokens (images, tokens, dim) of each layer."""
        rows = np.array([self._rows[image] for image in images])
        if self._path.suffix == ".npy":
            found = {NAME: _open(self._path)[rows]}
        else:
            order = np.argsort(rows)  # HDF5 reads ascending rows
            with open_hdf5(self._path) as file:
                found = {k: file[k][np.unique(rows)][np.argsort(order)] for k in self.shapes}
        return {
            name: values.reshape(len(images), shape.tokens, shape.dim)
            for (name, values), shape in zip(found.items(), self.shapes.values(), strict=True)
        }

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        if self._path.suffix == ".npy":
            known = {NAME: _open(self._path).shape}
        else:
            with open_hdf5(self._path) as file:
                known = {
                    name: item.shape for name, item in file.items()
                    if name != IDS and getattr(item, "ndim", 0) >= 2
                }  # fmt: skip
        absent = [name for name in self._layers if name not in known]
        if absent or not known:
            raise DataError(
                f"the file holds no layer {', '.join(absent)}", file=self._path,
                expected="arrays (rows, dim), (rows, tokens, dim) or (rows, height, width, dim)",
                found=", ".join(known) or "none", fix="correct backbone.layers or backbone.file",
            )  # fmt: skip
        return {name: known[name] for name in self._layers or known}

    def _rows_of(
        self, config: ArraysSourceConfig, prepared: Prepared, sizes: set[int]
    ) -> dict[int, int]:
        ids = self._ids(config)
        rows = {image: image for image in range(min(sizes))}
        if ids is not None:
            rows = {int(image): row for row, image in enumerate(ids)}
        wanted = prepared.image_ids.tolist()
        absent = [image for image in wanted if image not in rows]
        if absent or len(sizes) > 1 or (ids is not None and sizes != {len(rows)}):
            raise DataError(
                "the file does not hold one row for each image", file=self._path,
                expected=f"{len(wanted)} images, the first of them {wanted[:3]}",
                found=f"{sorted(sizes)} rows; {len(absent)} images are missing, as {absent[:3]}",
                fix="set backbone.ids=FILE.npy with the image id of each row, each once",
            )  # fmt: skip
        return rows

    def _ids(self, config: ArraysSourceConfig) -> NDArray[np.int64] | None:
        if config.ids is not None:
            return _open(leaves(config)["ids"]).astype(np.int64).reshape(-1)
        if self._path.suffix == ".npy":
            return None
        with open_hdf5(self._path) as file:
            return np.asarray(file[IDS][:], dtype=np.int64) if IDS in file else None


def _open(path: Path) -> NDArray[Any]:
    """A mapped array; objects, which only a pickle could hold, are refused."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError as error:
        raise DataError(
            "this is no file of numbers", file=path, expected="an array in .npy form",
            found=str(error), fix="write it with numpy.save from an array of numbers",
        ) from error  # fmt: skip


def _tokens(shape: tuple[int, ...], file: Path) -> LayerShape:
    """Grid and channels; tokens without a known grid are a square, or one row of cells."""
    if len(shape) == 2:
        return LayerShape((1, 1), shape[1])
    if len(shape) == 3:
        side = isqrt(shape[1])
        return LayerShape((side, side) if side * side == shape[1] else (1, shape[1]), shape[2])
    if len(shape) == 4:
        return LayerShape((shape[1], shape[2]), shape[3])
    raise DataError(
        "an array has too many or too few axes", file=file,
        expected="(rows, dim), (rows, tokens, dim) or (rows, height, width, dim)",
        found=" x ".join(map(str, shape)), fix="reshape it",
    )  # fmt: skip
