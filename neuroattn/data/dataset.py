"""The contract of every dataset, and how to open one.

A reader (one module per layout on disk) yields tables, pictures by image id and responses
in blocks. Nothing here depends on a layout, and nothing here imports pandas or torch, so
that a plan can ask for the input files of a dataset at no cost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError
from neuroattn.core.resources import user_path
from neuroattn.data.files import existing_file
from neuroattn.data.registry import DATASETS, DatasetConfig, SplitKind

if TYPE_CHECKING:
    import pandas as pd

Splits = dict[str, dict[str, list[int]]]
ResponseBlock = tuple[slice, NDArray[np.float32]]


@dataclass(frozen=True)
class Description:
    """What was recorded, from whom, and on what terms; ``simulated`` follows every figure.

    ``degrees`` is the visual angle of a picture's side, None where it is not known.
    """

    name: str
    species: str
    modality: str
    units: str
    space: str
    licence: str
    citation: str
    description: str = ""
    simulated: bool = False
    degrees: float | None = None


@runtime_checkable
class Stimuli(Protocol):
    """Pictures by image id."""

    @property
    def ids(self) -> NDArray[np.int64]:
        """Every image id with a picture, ascending."""

    def file(self, image: int) -> str:
        """Where the picture stands inside the dataset: ``images/00017.jpg``, ``imgBrick[17]``."""

    def read(self, image: int) -> NDArray[np.uint8]:
        """The picture as (height, width, 3) sRGB.

        Raises
        ------
        DataError : there is no such picture, or it cannot be decoded.
        """

    def digest(self, image: int) -> str:
        """SHA-256 of the picture's bytes: those of its file, or of its part of the array."""


@runtime_checkable
class Dataset(Protocol):
    """One dataset, restricted to the subjects asked for.

    ``trials`` has the columns trial, subject, session, run, image, repeat, and ``targets``
    the columns target, subject, hemisphere, vertex, rois (joined by ``|``); their row orders
    are the rows and columns of the responses. ``images`` has a row (image, file, source) for
    every image that was shown. Missing text is ``""``, missing numbers are NA. ``captions``
    is keyed by image id as text.

    Trials of one session (of one subject) follow one another where it can be had: sessions are
    then stored, and resumed, one at a time. ``source`` names the photographs or exemplars that
    a picture is made of, joined by ``|``.

    ``splits`` may hold any names; these are known to kinds of `SplitConfig`. ``shared1000``
    and ``shared515``: on the test side the images that all subjects were to see, and those of
    them that all saw three times; the kind ``algonauts2023`` takes the former as its shared
    images. ``exemplars``: on the test side pictures of unseen sources alone; without it, whole
    sources are drawn. A side may name images that were not shown to the subjects kept.
    """

    @property
    def description(self) -> Description:
        """What was recorded."""

    @property
    def trials(self) -> pd.DataFrame:
        """One row per row of responses."""

    @property
    def images(self) -> pd.DataFrame:
        """One row per image shown, by ascending id."""

    @property
    def targets(self) -> pd.DataFrame:
        """One row per column of responses."""

    @property
    def stimuli(self) -> Stimuli:
        """The pictures."""

    @property
    def splits(self) -> Splits:
        """Splits that come with the dataset, by name."""

    @property
    def captions(self) -> dict[str, list[str]]:
        """Captions by image id as text."""

    @property
    def categories(self) -> dict[str, list[str]]:
        """Names of the categories of things seen, sorted, by image id as text.

        Empty where unknown; an image that is left out shows nothing of any category.
        """

    @property
    def supplied_ncsnr(self) -> NDArray[np.float32] | None:
        """Noise-ceiling signal-to-noise ratio (targets,) that came with the data, or None.

        It has seen every trial, test images included; NaN where none could be computed.
        """

    def response_blocks(self) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, targets)) over all trials, in order, each row once.

        A block holds ``block_mib`` at most, unless one row is larger: a session's file is
        never held whole. A reader may also have ``response_blocks_from(first)``, which yields
        the same from row ``first`` on; then a resumed ``prepare`` reads no session twice.
        """

    def response_origin(self, row: int) -> tuple[Path, str]:
        """File and place, in the words of the layout, from which a row of responses came."""


def open_dataset(config: DatasetConfig) -> Dataset:
    """Open the dataset of a typed config; its tables are checked, its responses are not read.

    Raises
    ------
    ConfigError : ``dataset.root`` is not set.
    MissingDataError, DataError, LeakError, SecurityError : what is wrong, where, and the remedy.
    """
    reader = DATASETS.load(config.name)
    if len(config.subjects) > 1 and getattr(reader, "one_subject", False):
        from neuroattn.data.subjects import SeveralSubjects  # brings pandas

        parts = {name: reader(replace(config, subjects=[name])) for name in config.subjects}
        return SeveralSubjects(parts)
    return cast("Dataset", reader(config))


def leaves(config: Any) -> Mapping[str, Path]:
    """Input files of ``prepare`` by stable name, from the root config."""
    return DATASETS.leaves(config.dataset)


def split_leaves(config: Any) -> Mapping[str, Path]:
    """The file of a split given by file, from the root config; a leaf of whatever fits on it."""
    split = config.dataset.split
    return {"split.json": split_file(split.file)} if split.kind is SplitKind.file else {}


def split_file(name: str | None) -> Path:
    """Path of ``dataset.split.file``.

    Raises
    ------
    ConfigError : it is not set.
    MissingDataError : it is not there.
    """
    if not name:
        raise ConfigError(
            "dataset.split.kind=file needs a file",
            expected='a JSON file {"train": [image, …], "test": [image, …]}',
            found="dataset.split.file is not set",
            fix="set dataset.split.file=FILE, or dataset.split.kind=kfold",
        )
    return existing_file(user_path(name), "the split", fix="correct dataset.split.file=FILE")
