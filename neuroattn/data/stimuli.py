"""Pictures by image id, from a folder of files or from one array; see `dataset.Stimuli`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.fingerprint import file_digest
from neuroattn.data.array_files import KeptArray, open_hdf5_array, open_npy
from neuroattn.data.pictures import decode


class PictureFiles:
    """One file per picture; the digest is that of the file's bytes.

    Parameters
    ----------
    files : image id -> file.
    root : folder of the dataset, to which names are relative.
    """

    def __init__(self, files: Mapping[int, Path], root: Path) -> None:
        self.files = dict(files)
        self.root = root
        self.ids: NDArray[np.int64] = np.array(sorted(self.files), dtype=np.int64)

    def file(self, image: int) -> str:
        """Name relative to the dataset's folder."""
        return self._path(image).relative_to(self.root).as_posix()

    def read(self, image: int) -> NDArray[np.uint8]:
        """Decode the picture: (height, width, 3)."""
        return decode(self._path(image))

    def digest(self, image: int) -> str:
        """SHA-256 of the file."""
        return file_digest(self._path(image))

    def read_with_digest(self, image: int) -> tuple[NDArray[np.uint8], str]:
        """The picture and the digest of the very bytes that it was decoded from."""
        path = self._path(image)
        if not path.is_file():
            return decode(path), ""  # says what is missing
        content = path.read_bytes()
        return decode(content, name=str(path)), hashlib.sha256(content).hexdigest()

    def _path(self, image: int) -> Path:
        if image not in self.files:
            raise _no_picture(image, self.root, f"{len(self.files)} files")
        return self.files[image]


class NpyPictures:
    """Pictures in one memory-mapped ``.npy`` (images, height, width, 3) uint8."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._array = open_npy(path)
        check_pictures(self._array.shape, self._array.dtype, path)
        self.ids: NDArray[np.int64] = np.arange(len(self._array), dtype=np.int64)

    def file(self, image: int) -> str:
        """Place in the array, as in ``images.npy[17]``."""
        return f"{self.path.name}[{image}]"

    def read(self, image: int) -> NDArray[np.uint8]:
        """A copy of the picture: (height, width, 3)."""
        if not 0 <= image < len(self._array):
            raise _no_picture(image, self.path, f"0 to {len(self._array) - 1}")
        return np.array(self._array[image], dtype=np.uint8, order="C")

    def digest(self, image: int) -> str:
        """SHA-256 of the picture's values in C order."""
        return hashlib.sha256(self.read(image).tobytes()).hexdigest()

    def read_with_digest(self, image: int) -> tuple[NDArray[np.uint8], str]:
        """The picture and the digest of its values."""
        picture = self.read(image)
        return picture, hashlib.sha256(picture.tobytes()).hexdigest()


class Hdf5Pictures:
    """Pictures in one HDF5 array (images, height, width, 3) uint8, read one at a time."""

    def __init__(self, path: Path, key: str = "images") -> None:
        self.path, self.key = path, key
        with open_hdf5_array(path, key) as array:
            check_pictures(array.shape, array.dtype, path)
            self.count = int(array.shape[0])
        self._array = KeptArray(path, key)
        self.ids: NDArray[np.int64] = np.arange(self.count, dtype=np.int64)

    def file(self, image: int) -> str:
        """Place in the array, as in ``imgBrick[17]``."""
        return f"{self.key}[{image}]"

    def read(self, image: int) -> NDArray[np.uint8]:
        """The picture: (height, width, 3)."""
        if not 0 <= image < self.count:
            raise _no_picture(image, self.path, f"0 to {self.count - 1}")
        return self._array.read(image)

    def digest(self, image: int) -> str:
        """SHA-256 of the picture's values in C order."""
        return hashlib.sha256(self.read(image).tobytes()).hexdigest()

    def read_with_digest(self, image: int) -> tuple[NDArray[np.uint8], str]:
        """The picture and the digest of its values."""
        picture = self.read(image)
        return picture, hashlib.sha256(picture.tobytes()).hexdigest()


def read_with_digest(stimuli: Any, image: int) -> tuple[NDArray[np.uint8], str]:
    """A picture and its digest, from one reading where the reader can do that."""
    once = getattr(stimuli, "read_with_digest", None)
    if once is None:
        return stimuli.read(image), stimuli.digest(image)
    found: tuple[NDArray[np.uint8], str] = once(image)
    return found


def check_pictures(shape: tuple[int, ...], dtype: np.dtype[Any], path: Path) -> None:
    """Refuse arrays of pictures that are not (images, height, width, 3) uint8.

    Raises
    ------
    DataError : another type or shape.
    """
    if dtype != np.uint8:
        raise DataError(
            "the pictures are not 8-bit",
            file=path,
            expected="uint8, 0 to 255",
            found=str(dtype),
            fix="write them as numpy.uint8, 0 to 255, as they were shown",
        )
    if len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise DataError(
            "the array of pictures has another shape",
            file=path,
            expected="(images, height, width, 3)",
            found=str(tuple(shape)),
            fix="reorder its axes; repeat a greyscale channel three times",
        )


def _no_picture(image: int, file: Path, found: str) -> DataError:
    return DataError(
        f"there is no picture of image {image}",
        file=file,
        expected=f"image {image}",
        found=found,
        fix="ask for an image that the table of images lists",
    )
