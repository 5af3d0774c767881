"""Which files make a dataset in the form of THINGS-EEG2; nothing large is read here.

::

    sub-01/preprocessed_eeg_training.npy   pickled dictionary: preprocessed_eeg_data (images,
    sub-01/preprocessed_eeg_test.npy         repeats, channels, times), ch_names, times
    training_images/00001_aardvark/aardvark_01b.jpg     pictures in the order of the first axis:
    test_images/00001_aircraft_carrier/…                  sorted, or as image_metadata.npy lists

The folders of subjects may stand in ``preprocessed_data``, ``Preprocessed_data_250Hz``… and the
pictures in ``image_set``, as people unpack the archives. THINGS-MEG is read in the same form from
``preprocessed_meg_training.pkl`` and ``preprocessed_meg_zs_test.pkl`` (key ``meg_data``; images by
concept, so one axis more).

Both are read as well as the authors of the blur prior publish them (Wu et al. 2025)::

    Preprocessed_data_250Hz_whiten/sub-01/train.pt, test.pt   torch.save of a dictionary: eeg
    Preprocessed_data/sub-01/train.pt, test.pt                  (images, repeats, channels, times),
    Image_set/training_images/… or train_images/…               img (paths, in that order); of EEG
                                                                ch_names and times, of MEG neither
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from neuroattn.core.errors import ConfigError, DataError, LeakError, MissingDataError
from neuroattn.core.resources import user_path
from neuroattn.data.files import existing_file, named
from neuroattn.data.mapped_pickle import read_mapped_dictionary
from neuroattn.data.registry import ThingsEeg2Config, ThingsMegConfig

SIDES = ("training", "test")
METADATA = "image_metadata.npy"
SIMULATED = "simulated.json"
_PICTURES = (".jpg", ".jpeg", ".png")
_IMAGE_FOLDERS = ("", "image_set", "images", "Image_set", "Image_set_Resize")
_EEG = {
    "training": ("preprocessed_eeg_training.npy", "train.pt"),
    "test": ("preprocessed_eeg_test.npy", "test.pt"),
}
_MEG = {
    "training": ("preprocessed_meg_training.pkl", "preprocessed_meg_training.npy", "train.pt"),
    "test": (
        "preprocessed_meg_zs_test.pkl", "preprocessed_meg_test.pkl", "preprocessed_meg_test.npy",
        "test.pt",
    ),
}  # fmt: skip
ARCHIVE = ".pt"
KEYS = {"eeg": "preprocessed_eeg_data", "meg": "meg_data"}


@dataclass(frozen=True)
class Shown:
    """One picture: its concept, as in its folder's name, and its file."""

    concept: str
    path: Path

    @property
    def thing(self) -> str:
        """The concept without its number, which both sides count from 1."""
        number, _, name = self.concept.partition("_")
        return name if number.isdigit() and name else self.concept


@dataclass(frozen=True)
class ThingsFiles:
    """The files of the subjects kept.

    Parameters
    ----------
    responses : subject -> side -> file.
    pictures : side -> pictures in the order of the responses.
    metadata : the list of pictures, where there is one.
    simulated : the file that only a simulation has.
    """

    root: Path
    responses: Mapping[str, Mapping[str, Path]]
    pictures: Mapping[str, list[Shown]]
    metadata: Path | None
    simulated: Path | None = None

    def all(self) -> dict[str, Path]:
        """Every file by its name relative to the dataset's folder."""
        files = [path for sides in self.responses.values() for path in sides.values()]
        files += [one.path for side in self.pictures.values() for one in side]
        files += [path for path in (self.metadata, self.simulated) if path]
        return {path.relative_to(self.root).as_posix(): path for path in files}


def leaves(config: ThingsEeg2Config) -> dict[str, Path]:
    """Every input file by its name relative to the dataset's folder."""
    return find(config).all()


def find(config: ThingsEeg2Config) -> ThingsFiles:
    """Find the files of the subjects of ``config``.

    Raises
    ------
    ConfigError : the root is not set, or the subject left out is none of those read.
    MissingDataError, DataError : a file is not there, or lists do not fit.
    LeakError : a concept stands on both sides.
    """
    if not config.root:
        raise ConfigError(
            "the folder of the dataset is not set", expected="dataset.root=DIR", found="nothing",
            fix="set dataset.root=DIR; docs/datasets.md says what it holds",
        )  # fmt: skip
    if config.leave_out is not None and (
        config.leave_out not in config.subjects or len(config.subjects) < 2
    ):
        raise ConfigError(
            "the subject that is left out is none of those that are read, or the only one",
            expected=f"one of {named(config.subjects)}, and another beside it",
            found=f"dataset.leave_out={config.leave_out}",
            fix="list it, and those to train on, in dataset.subjects",
        )
    root = user_path(config.root)
    if not root.is_dir():
        raise MissingDataError(
            "the folder of the dataset is missing", file=root, expected="a folder",
            found="nothing", fix="correct dataset.root=DIR",
        )  # fmt: skip
    names = _MEG if isinstance(config, ThingsMegConfig) else _EEG
    folder = _subjects_in(root, config, names)
    responses = {
        subject: {side: _one_of(folder / subject, names[side], side) for side in SIDES}
        for subject in config.subjects
    }
    pictures, metadata = _pictures(root, responses[config.subjects[0]])
    marker = root / SIMULATED
    simulated = marker if marker.is_file() else None
    return ThingsFiles(root, responses, pictures, metadata, simulated)


def _subjects_in(
    root: Path, config: ThingsEeg2Config, names: Mapping[str, tuple[str, ...]]
) -> Path:
    """The folder that holds the folders of subjects: the one named, or the only one there is."""
    if config.folder:
        return root / config.folder
    first = config.subjects[0]
    places = [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    found = [p for p in places if any((p / first / name).is_file() for name in names["training"])]
    if len(found) == 1:
        return found[0]
    raise MissingDataError(
        f"the recordings of {first} are {'in several places' if found else 'missing'}",
        file=root,
        expected=f"{first}/{names['training'][0]}, in the root or in one folder of it",
        found=named(path.relative_to(root).as_posix() or "." for path in found) or "nothing",
        fix="set dataset.folder=NAME" if found else "unpack the archive of this subject there",
    )


def _one_of(folder: Path, names: tuple[str, ...], side: str) -> Path:
    there = [folder / name for name in names if (folder / name).exists()]
    return existing_file(
        (there or [folder / names[0]])[0],
        f"the {side} file of {folder.name}",
        fix="unpack the archive of this subject again",
    )


def _pictures(
    root: Path, responses: Mapping[str, Path]
) -> tuple[dict[str, list[Shown]], Path | None]:
    """Pictures of both sides in the order of the responses, and the file that lists them.

    Parameters
    ----------
    responses : side -> file of some subject, which may list its pictures itself.
    """
    places = [root / name for name in _IMAGE_FOLDERS]
    holder = next((place for place in places if _side_folder(place, "training").is_dir()), None)
    if holder is None:
        raise MissingDataError(
            "the pictures are missing", file=root / "training_images",
            expected="training_images/CONCEPT/*.jpg and test_images/CONCEPT/*.jpg",
            found="no such folder", fix="unpack both archives of pictures into the root",
        )  # fmt: skip
    listed = (place / METADATA for place in (root, holder))
    metadata = next((path for path in listed if path.is_file()), None)
    table = read_mapped_dictionary(metadata) if metadata else {}
    pictures = {
        side: _of_side(_side_folder(holder, side), side, _listed(table, side, responses[side]))
        for side in SIDES
    }
    both = {one.thing for one in pictures["training"]} & {one.thing for one in pictures["test"]}
    if both:
        raise LeakError(
            "concepts stand on both sides", file=holder,
            expected="other things in training than in test, as published",
            found=named(sorted(both)), fix="unpack the pictures again, each side into its folder",
        )  # fmt: skip
    return pictures, metadata


def _side_folder(place: Path, side: str) -> Path:
    """The folder of a side's pictures; the blur prior's authors shorten one name."""
    short = place / "train_images"
    return short if side == "training" and short.is_dir() else place / f"{side}_images"


def _listed(table: Mapping[str, Any], side: str, response: Path) -> list[tuple[str, str]] | None:
    """Concept and name of each picture in order: as the responses list them, or the metadata."""
    if response.suffix == ARCHIVE:
        own = own_pictures(read_mapped_dictionary(response), response)
        if own is not None:
            return own
    short = "train" if side == "training" else side
    files, concepts = table.get(f"{short}_img_files"), table.get(f"{short}_img_concepts")
    if files is None or concepts is None:
        return None
    return list(zip(_texts(concepts), _texts(files), strict=True))


def own_pictures(table: Mapping[str, Any], path: Path) -> list[tuple[str, str]] | None:
    """Concept and name of each picture that a file of responses lists in ``img``, if it does.

    Raises
    ------
    DataError : they are no paths, or a row of repeats has several pictures.
    """
    listed = table.get("img")
    if listed is None:
        return None
    rows = listed[:, :1] if getattr(listed, "ndim", 1) == 2 else listed
    if getattr(listed, "ndim", 1) == 2 and not (listed == rows).all():
        raise _no_paths(path, "several pictures for one row of repeats")
    parts = [PurePosixPath(text).parts[-2:] for text in _texts(rows)]
    if any(len(each) != 2 for each in parts):
        raise _no_paths(path, "names without a folder")
    return [(concept, name) for concept, name in parts]


def _no_paths(path: Path, found: str) -> DataError:
    return DataError(
        "the list of pictures has another form", file=path,
        expected="img: one path, …/CONCEPT/FILE, for each row of eeg", found=found,
        fix="fetch this file again",
    )  # fmt: skip


def _of_side(folder: Path, side: str, listed: list[tuple[str, str]] | None) -> list[Shown]:
    shown = (
        list(_walk(folder))
        if listed is None
        else [Shown(concept, folder / concept / name) for concept, name in listed]
    )
    absent = [one.path for one in shown if not one.path.is_file()]
    if absent or not shown:
        raise MissingDataError(
            f"pictures of the {side} side are missing", file=absent[0] if absent else folder,
            expected=f"{len(shown) or 'some'} pictures", found=f"{len(absent)} not there",
            fix="unpack the archive of these pictures again",
        )  # fmt: skip
    return shown


def _texts(values: Any) -> list[str]:
    if not isinstance(values, list | tuple) and not hasattr(values, "tolist"):
        raise DataError(
            "the list of pictures has another form", expected="lists of names",
            found=type(values).__name__, fix=f"fetch {METADATA} again",
        )  # fmt: skip
    found = values if isinstance(values, list | tuple) else values.reshape(-1).tolist()
    return [str(value) for value in found]


def _walk(folder: Path) -> Iterator[Shown]:
    """Concepts in the order of their names, and pictures within them likewise."""
    for concept in sorted(path for path in folder.glob("*") if path.is_dir()):
        for path in sorted(concept.iterdir()):
            if path.suffix.lower() in _PICTURES:
                yield Shown(concept.name, path)
