"""Which files make a subject of the Algonauts Project 2023 challenge; nothing is read here.

::

    subj01/training_split/training_images/train-0001_nsd-00013.png   (73k id from 0)
    subj01/training_split/training_fmri/{lh,rh}_training_fmri.npy    (images, vertices)
    subj01/test_split/test_images/test-0001_nsd-00845.png            (no responses)
    subj01/roi_masks/mapping_CLASS.npy                               pickled {label: name}
    subj01/roi_masks/{lh,rh}.CLASS_{challenge,fsaverage}_space.npy
    subj01/roi_masks/{lh,rh}.all-vertices_fsaverage_space.npy
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from neuroattn.core.errors import ConfigError, DataError, LeakError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.files import existing_file, named, of_all_subjects
from neuroattn.data.nsd import layout
from neuroattn.data.registry import Algonauts2023Config

HEMISPHERES = ("lh", "rh")
_NAME = re.compile(r"(train|test)-([0-9]+)_nsd-([0-9]+)\.png")
_FETCH = "copy the subject's folder from the challenge again"


@dataclass(frozen=True)
class Algonauts2023Files:
    """The files of one subject; pictures by 73k id, those of the training side in row order."""

    root: Path
    subject: str
    training: Mapping[int, Path]
    test: Mapping[int, Path]
    responses: tuple[Path, ...]
    vertices: tuple[Path, ...]
    names: Mapping[str, Path]
    simulated: Path | None = None

    def labels(self, collection: str, hemisphere: str, space: str) -> Path:
        """Labels of a collection on the vertices of the challenge, or on all of fsaverage."""
        return self._masks / f"{hemisphere}.{collection}_{space}_space.npy"

    def all(self) -> dict[str, Path]:
        """Every file by its name relative to the dataset's folder."""
        files = [*self.training.values(), *self.test.values(), *self.responses, *self.vertices]
        files += self.names.values()
        files += [
            self.labels(name, side, space)
            for name in self.names
            for side in HEMISPHERES
            for space in ("challenge", "fsaverage")
        ]
        found = {path.relative_to(self.root).as_posix(): path for path in sorted(files)}
        # The marker may stand above the root, and is the same wherever it stands.
        return found | ({self.simulated.name: self.simulated} if self.simulated else {})

    @property
    def _masks(self) -> Path:
        return self.root / self.subject / "roi_masks"


def leaves(config: Algonauts2023Config) -> dict[str, Path]:
    """Every input file by its name relative to the dataset's folder."""
    return of_all_subjects(config, lambda one: find(one).all())


def find(config: Algonauts2023Config) -> Algonauts2023Files:
    """Find the files of the subject of ``config``.

    Raises
    ------
    ConfigError : the root is not set.
    MissingDataError : a file is not there.
    DataError : a picture's name is another, or a number is missing.
    LeakError : an image stands on both sides.
    """
    root, subject = _root(config)
    folder = root / subject
    training = _pictures(folder / "training_split" / "training_images", "train")
    test_folder = folder / "test_split" / "test_images"
    test = _pictures(test_folder, "test") if test_folder.is_dir() else {}
    both = sorted(set(training) & set(test))
    if both:
        raise LeakError(
            "images stand in the training and in the test split", file=folder,
            expected="each image on one side", found=f"images {named(both)}", fix=_FETCH,
        )  # fmt: skip
    masks = folder / "roi_masks"
    names = {
        path.stem.removeprefix("mapping_"): path for path in sorted(masks.glob("mapping_*.npy"))
    }
    fmri = folder / "training_split" / "training_fmri"
    files = Algonauts2023Files(
        root=root,
        subject=subject,
        training=training,
        test=test,
        responses=tuple(fmri / f"{side}_training_fmri.npy" for side in HEMISPHERES),
        vertices=tuple(masks / f"{side}.all-vertices_fsaverage_space.npy" for side in HEMISPHERES),
        names=names,
        simulated=layout.simulation(root),
    )
    for name, path in files.all().items():
        existing_file(path, f"the file {name}", fix=_FETCH)
    return files


def _root(config: Algonauts2023Config) -> tuple[Path, str]:
    if not config.root:
        raise ConfigError(
            "the folder of the challenge is not set", expected="dataset.root=DIR",
            found="dataset.root is empty", fix="add dataset.root=DIR to the command",
        )  # fmt: skip
    root, subject = user_path(config.root), config.subjects[0]
    if not (root / subject / "training_split").is_dir():
        raise MissingDataError(
            "this subject of the challenge is not there", file=root / subject,
            expected="training_split, test_split and roi_masks", found="no training_split",
            fix="correct dataset.root=DIR (it holds subj01 …) or dataset.subjects=[subj01]",
        )  # fmt: skip
    return root, subject


def _pictures(folder: Path, side: str) -> dict[int, Path]:
    """73k id -> picture, in the order of the rows: that of the numbers in the names."""
    rows: dict[int, tuple[int, Path]] = {}
    for path in sorted(folder.glob("*.png")) if folder.is_dir() else []:
        match = _NAME.fullmatch(path.name)
        if not match or match[1] != side:
            raise DataError(
                "a picture has another name", file=path, expected=f"{side}-0001_nsd-00013.png",
                found=path.name, fix="move it out of the folder, or restore its name",
            )  # fmt: skip
        rows[int(match[2])] = (int(match[3]), path)
    absent = sorted(set(range(1, max(rows, default=0) + 1)) - set(rows))
    ids = [image for image, _ in rows.values()]
    if absent or not rows or len(set(ids)) < len(ids):
        raise MissingDataError(
            "pictures of the challenge are missing, or there twice", file=folder,
            expected=f"{side}-0001 … without a gap, each image once",
            found=f"no number {named(absent)}" if absent else f"{len(set(ids))} images",
            fix=_FETCH,
        )  # fmt: skip
    return {rows[number][0]: rows[number][1] for number in sorted(rows)}
