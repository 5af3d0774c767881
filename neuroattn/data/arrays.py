"""Reader of the ``arrays`` layout: your own data as arrays and tables.

With `arrays_files` and `arrays_tables` the only code that knows this layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import ConfigError, DataError
from neuroattn.data import arrays_tables
from neuroattn.data.array_files import open_hdf5_array, open_npy
from neuroattn.data.arrays_files import ArraysFiles, find
from neuroattn.data.dataset import Description, ResponseBlock, Splits, Stimuli
from neuroattn.data.files import named
from neuroattn.data.registry import DatasetConfig
from neuroattn.data.split_files import read_splits
from neuroattn.data.stimuli import Hdf5Pictures, NpyPictures, PictureFiles

_MIB = 1 << 20


class ArraysDataset:
    """A dataset in the ``arrays`` layout; see `neuroattn.data.dataset.Dataset`.

    Opening reads and checks every table, and the shapes of the arrays, not their values.
    """

    def __init__(self, config: DatasetConfig) -> None:
        files = find(config)
        self.config, self.files = config, files
        self.stimuli: Stimuli = _open_pictures(files)
        pictures = frozenset(self.stimuli.ids.tolist())
        n_rows, n_targets = _response_shape(files.responses)
        self.description: Description
        self.description, claimed = arrays_tables.read_description(files.tables["dataset.yaml"])
        found = {"n_images": len(pictures), "n_trials": n_rows, "n_targets": n_targets}
        arrays_tables.check_counts(claimed, found, files.tables["dataset.yaml"])
        trials = arrays_tables.read_trials(
            files.tables["trials.tsv"], n_rows, files.responses, pictures
        )
        self._kept = _kept(trials, config.subjects, files.tables["trials.tsv"])
        self.trials: pd.DataFrame = trials[self._kept].reset_index(drop=True)
        self.trials["trial"] = np.arange(len(self.trials))
        self.images: pd.DataFrame = self._images(pictures)
        self.targets: pd.DataFrame = arrays_tables.read_targets(
            files.tables["rois.tsv"], n_targets, _subject_of_targets(self.trials)
        )
        splits = files.table("splits.json")
        self.splits: Splits = read_splits(splits, pictures) if splits else {}
        self.captions: dict[str, list[str]] = self._texts("captions", pictures)
        self.categories: dict[str, list[str]] = self._texts("categories", pictures)
        self.supplied_ncsnr: NDArray[np.float32] | None = None

    def response_blocks(self) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, targets) float32) over the kept trials, in order."""
        return self.response_blocks_from(0)

    def response_blocks_from(self, first: int) -> Iterator[ResponseBlock]:
        """The same from row ``first`` on, which a resumed run has not stored yet."""
        done, begin = first, int(np.flatnonzero(self._kept)[first])
        with _open_responses(self.files.responses) as array:
            row = array.shape[1] * max(4, array.dtype.itemsize)
            step = max(1, self.config.block_mib * _MIB // row)
            for start in range(begin, array.shape[0], step):
                kept = self._kept[start : start + step]
                if not kept.any():
                    continue
                # Values beyond float32 become infinite here, and prepare refuses those.
                with np.errstate(over="ignore"):
                    block = np.asarray(array[start : start + step])
                    values = np.asarray(block if kept.all() else block[kept], dtype=np.float32)
                yield slice(done, done + len(values)), values
                done += len(values)

    def response_origin(self, row: int) -> tuple[Path, str]:
        """The file of responses, and the trial in it."""
        return self.files.responses, f"trial {int(np.flatnonzero(self._kept)[row])}"

    def _texts(self, what: str, pictures: frozenset[int]) -> dict[str, list[str]]:
        table = self.files.table(f"{what}.json")
        return arrays_tables.read_texts(table, pictures, what) if table else {}

    def _images(self, pictures: frozenset[int]) -> pd.DataFrame:
        shown = np.unique(self.trials["image"].to_numpy())
        table = self.files.table("images_sources.tsv")
        sources = arrays_tables.read_sources(table, pictures) if table else {}
        return pd.DataFrame(
            {
                "image": shown,
                "file": [self.stimuli.file(int(image)) for image in shown],
                "source": [sources.get(int(image), "") for image in shown],
            }
        )


def _open_pictures(files: ArraysFiles) -> Stimuli:
    if files.picture_array is None:
        return PictureFiles(files.pictures, files.root)
    reader = NpyPictures if files.picture_array.suffix == ".npy" else Hdf5Pictures
    return reader(files.picture_array)


@contextmanager
def _open_responses(path: Path) -> Iterator[Any]:
    opened: AbstractContextManager[Any] = (
        nullcontext(open_npy(path)) if path.suffix == ".npy" else open_hdf5_array(path, "responses")
    )
    with opened as array:
        yield array


def _response_shape(path: Path) -> tuple[int, int]:
    with _open_responses(path) as array:
        shape, dtype = tuple(array.shape), array.dtype
    if dtype.kind not in "fiu":
        raise DataError(
            "the responses are not real numbers",
            file=path,
            expected="floating-point or whole numbers",
            found=str(dtype),
            fix="write them as float32",
        )
    if len(shape) != 2 or shape[1] == 0:
        raise DataError(
            "the array of responses has another shape",
            file=path,
            expected="(trials, targets), one target at least",
            found=str(shape),
            fix="write it with trials as rows and targets as columns",
        )
    return shape[0], shape[1]


def _kept(trials: pd.DataFrame, subjects: list[str], path: Path) -> NDArray[np.bool_]:
    present = sorted(trials["subject"].unique())
    unknown = [subject for subject in subjects if subject not in present]
    if unknown:
        raise ConfigError(
            "the dataset has no such subject",
            file=path,
            expected=f"among {named(present)}",
            found=named(unknown),
            fix="correct dataset.subjects=[…], or leave it out to keep all",
        )
    chosen = subjects or present
    return np.asarray(trials["subject"].isin(chosen), dtype=np.bool_)


def _subject_of_targets(trials: pd.DataFrame) -> str:
    """The one subject; with several, the columns are shared and belong to none."""
    subjects = trials["subject"].unique()
    return str(subjects[0]) if len(subjects) == 1 else ""
