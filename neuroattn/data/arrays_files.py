"""Which files make a dataset in the ``arrays`` layout, found and named; nothing is read here.

::

    dataset.yaml              name, species, modality, units, space, licence, citation
    images/00000.jpg|png…     or images.npy, or images.h5:/images   (n, height, width, 3) uint8
    responses.npy             or responses.h5:/responses            (trials, targets)
    trials.tsv                trial  image  session  repeat  [subject]  [run]
    rois.tsv                  target  roi  hemisphere  [vertex]
    splits.json               optional
    captions.json             optional
    categories.json           optional: names of what is seen
    images_sources.tsv        optional: image  source (the photograph a picture was cut from)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neuroattn.core.errors import ConfigError, DataError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.files import existing_file, named
from neuroattn.data.registry import DatasetConfig

PICTURE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm"}
)
_REQUIRED = {
    "dataset.yaml": "the description of the dataset",
    "trials.tsv": "the table of trials",
    "rois.tsv": "the table of targets and ROIs",
}
_OPTIONAL = {
    "splits.json": "the splits",
    "captions.json": "the captions",
    "categories.json": "the categories",
    "images_sources.tsv": "the table of source photographs",
}
_RESPONSES = ("responses.npy", "responses.h5")
_ARRAYS = ("images.npy", "images.h5")
_FOLDER = "images"


@dataclass(frozen=True)
class ArraysFiles:
    """The files of one dataset; ``pictures`` (image id -> file) is empty for an array."""

    root: Path
    tables: Mapping[str, Path]
    responses: Path
    picture_array: Path | None = None
    pictures: Mapping[int, Path] = field(default_factory=dict)

    def table(self, name: str) -> Path | None:
        """A file by its name in the layout, None where an optional one is not there."""
        return self.tables.get(name)

    def all(self) -> dict[str, Path]:
        """Every file by its name relative to the dataset's folder."""
        files = [*self.tables.values(), self.responses, *self.pictures.values()]
        if self.picture_array is not None:
            files.append(self.picture_array)
        return {path.relative_to(self.root).as_posix(): path for path in sorted(files)}


def leaves(config: DatasetConfig) -> dict[str, Path]:
    """Every input file by its name relative to the dataset's folder."""
    return find(config).all()


def find(config: DatasetConfig) -> ArraysFiles:
    """Find the files of the dataset in ``config.root``.

    Raises
    ------
    ConfigError : the root is not set.
    MissingDataError : the root or a required file is not there, or was not fetched.
    DataError : two files where the layout allows one; a picture without a number.
    """
    root = _root(config.root)
    tables = {
        name: existing_file(root / name, what, fix=f"add {name} (see the arrays layout in docs/)")
        for name, what in _REQUIRED.items()
    }
    for name, what in _OPTIONAL.items():
        if (root / name).exists() or (root / name).is_symlink():
            tables[name] = existing_file(root / name, what, fix=f"add or remove {name}")
    responses = existing_file(
        _only(root, _RESPONSES, "responses"), "the array of responses", fix="copy the file again"
    )
    images = _only(root, (_FOLDER, *_ARRAYS), "pictures")
    if images.name == _FOLDER:
        return ArraysFiles(root, tables, responses, pictures=_pictures(images))
    array = existing_file(images, "the array of pictures", fix="copy the file again")
    return ArraysFiles(root, tables, responses, picture_array=array)


def _root(name: str | None) -> Path:
    if not name:
        raise ConfigError(
            "the folder of the dataset is not set",
            expected="dataset.root=DIR, a folder in the arrays layout",
            found="dataset.root is empty",
            fix="add dataset.root=DIR to the command",
        )
    root = user_path(name)
    if not root.is_dir():
        raise MissingDataError(
            "the folder of the dataset is not there",
            file=root,
            expected="a folder with dataset.yaml, trials.tsv, rois.tsv, responses and images",
            found="a file" if root.exists() else "nothing",
            fix="correct dataset.root=DIR",
        )
    return root


def _only(root: Path, names: tuple[str, ...], what: str) -> Path:
    present = [name for name in names if (root / name).exists() or (root / name).is_symlink()]
    if len(present) == 1:
        return root / present[0]
    if not present:
        raise MissingDataError(
            f"the {what} are missing",
            file=root,
            expected=" or ".join(names),
            found="none of them",
            fix=f"add one of {', '.join(names)}",
        )
    raise DataError(
        f"the {what} are there more than once",
        file=root,
        expected=f"one of {', '.join(names)}",
        found=" and ".join(present),
        fix="keep the one that was recorded, remove the others",
    )


def _pictures(folder: Path) -> dict[int, Path]:
    if not folder.is_dir():
        raise DataError(
            "images is not a folder", file=folder, expected="a folder of pictures", found="a file",
            fix="put the pictures into a folder called images",
        )  # fmt: skip
    pictures: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in PICTURE_SUFFIXES or path.name.startswith("."):
            continue
        number = _number(path)
        if number in pictures:
            raise DataError(
                f"image {number} has two pictures",
                file=folder,
                expected="one file per image number",
                found=f"{pictures[number].name} and {path.name}",
                fix="remove one of them",
            )
        pictures[number] = existing_file(path, f"the picture of image {number}", fix="restore it")
    if not pictures:
        raise MissingDataError(
            "there are no pictures",
            file=folder,
            expected="files such as 00000.jpg",
            found=named(sorted(path.name for path in folder.iterdir())) or "an empty folder",
            fix="copy the pictures, named by image number",
        )
    return pictures


def _number(path: Path) -> int:
    if not (path.stem.isascii() and path.stem.isdigit()):
        raise DataError(
            "the name of a picture is not an image number",
            file=path,
            expected="digits and a suffix, such as 00017.jpg",
            found=path.name,
            fix="rename it to its number in trials.tsv, or move it out of the folder",
        )
    return int(path.stem)
