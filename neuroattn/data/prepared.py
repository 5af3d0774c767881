"""A prepared dataset, read back: the one form in which later stages see any dataset.

Responses stay on disk; what is asked for is read in spans of whole chunks, each at most
once per pass, so memory is bounded by what is returned plus one block.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import IMAGES, TARGETS, TRIALS, read_tsv
from neuroattn.data.dataset import ResponseBlock, Splits
from neuroattn.data.files import named
from neuroattn.data.registry import ResponsesMode

BLOCK = 256 << 20
RESPONSES = "responses.h5"
Columns = slice | NDArray[Any] | None
Ids = NDArray[np.int64]


class Prepared:
    """Reader of a ``prepare`` artefact.

    Parameters
    ----------
    artefact : a finished artefact of the stage ``prepare``.
    """

    def __init__(self, artefact: Artefact) -> None:
        if artefact.stage != "prepare":
            raise ConfigError(
                "this artefact is no prepared dataset", file=artefact.folder, expected="prepare",
                found=artefact.stage, fix="give an artefact that `neuroattn prepare` wrote",
            )  # fmt: skip
        self.artefact = artefact

    @cached_property
    def description(self) -> dict[str, Any]:
        """Name, species, modality, units, space, licence, citation, simulated, counts."""
        return dict(self.artefact.json("dataset.json"))

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per row of responses: trial subject session run image repeat."""
        frame = self._table("trials.tsv", TRIALS, text=("subject",))
        return frame.astype({"run": "Int64"})

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image shown: image file sha256 source."""
        return self._table("images.tsv", IMAGES, text=("file", "sha256", "source"))

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per column of responses: target subject hemisphere vertex rois."""
        frame = self._table("targets.tsv", TARGETS, text=("subject", "hemisphere", "rois"))
        return frame.astype({"vertex": "Int64"})

    @cached_property
    def splits(self) -> Splits:
        """The dataset's own splits by name, over images that were shown."""
        return dict(self.artefact.json("splits.json"))

    @cached_property
    def captions(self) -> dict[str, list[str]]:
        """Captions by image id as text, where known."""
        return dict(self.artefact.json("captions.json"))

    @cached_property
    def image_ids(self) -> Ids:
        """Image ids in the order of ``images.tsv``, ascending."""
        return self.images["image"].to_numpy(dtype=np.int64)

    def _table(self, name: str, columns: tuple[str, ...], text: tuple[str, ...]) -> pd.DataFrame:
        frame = read_tsv(self.artefact.path(name), columns)
        # A subject "01" would come back as the number 1, so text is read again as text.
        words = pd.read_csv(
            self.artefact.path(name), sep="\t", usecols=list(text), dtype=str, keep_default_na=False
        )
        return frame.assign(**{column: words[column] for column in text})

    def responses(
        self, rows: ArrayLike | slice | None = None, columns: Columns = None
    ) -> NDArray[np.float32]:
        """Responses (rows, columns) float32, in the order asked for; None is all.

        Parameters
        ----------
        rows : trials, as a slice or integers; a trial may be asked for twice.
        columns : targets, as a slice, integers or a mask.
        """
        with self.artefact.hdf5(RESPONSES) as file:
            array = file["responses"]
            wanted = _indices(rows, array.shape[0], "trial")
            chosen = _indices(columns, array.shape[1], "target")
            out = np.empty((len(wanted), len(chosen)), dtype=np.float32)
            for place, values in _read(array, wanted, chosen):
                out[place] = values
        return out

    def response_blocks(
        self, columns: Columns = None, block: int = BLOCK
    ) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, columns) float32) over all trials, in order.

        ``block`` bounds the bytes that are read at once, with all columns.
        """
        with self.artefact.hdf5(RESPONSES) as file:
            array = file["responses"]
            chosen = _indices(columns, array.shape[1], "target")
            step = max(1, block // (4 * array.shape[1]))
            for start in range(0, array.shape[0], step):
                stop = min(start + step, array.shape[0])
                yield slice(start, stop), _take(array[start:stop], chosen)

    def trial_rows(self, images: ArrayLike) -> tuple[Ids, Ids]:
        """Trials of ``images``: (rows, position of each row's image in ``images``).

        Rows of one image are ascending, so its first row is its first trial. A fit on single
        trials reads ``responses(rows)`` and repeats its features by the positions.
        """
        wanted = _ids(images)
        shown = self.trials["image"].to_numpy(dtype=np.int64)
        order = np.argsort(shown, kind="stable")
        starts = np.searchsorted(shown[order], wanted, side="left")
        counts = np.searchsorted(shown[order], wanted, side="right") - starts
        if not counts.all():
            raise DataError(
                "images without trials",
                file=self.artefact.folder / "trials.tsv",
                expected="images of images.tsv",
                found=f"images {named(wanted[counts == 0])}",
                fix="ask for images that this dataset shows",
            )
        positions = np.repeat(np.arange(len(wanted)), counts)
        within = np.arange(len(positions)) - np.repeat(np.cumsum(counts) - counts, counts)
        return order[np.repeat(starts, counts) + within], positions

    def repeats(self, images: ArrayLike) -> Ids:
        """Number of trials of each image: what a ``weighted`` fit weighs its means by."""
        wanted = _ids(images)
        _, positions = self.trial_rows(wanted)
        return np.bincount(positions, minlength=len(wanted)).astype(np.int64)

    def image_responses(
        self,
        images: ArrayLike,
        mode: ResponsesMode | str = ResponsesMode.mean,
        *,
        columns: Columns = None,
        block: int = BLOCK,
    ) -> NDArray[np.float32]:
        """One response per image: (images, columns) float32, in the order of ``images``.

        ``mean`` and ``weighted`` average the repeats, over all subjects of the dataset
        (``weighted`` differs in the fit alone, see `repeats`); ``single`` takes the first.
        Sums are float64, taken in the order of trials, so ``block`` (bytes of sums held at
        once) does not change a bit of the result.
        """
        wanted, how = _ids(images), _mode(mode)
        rows, positions = self.trial_rows(wanted)
        if how is ResponsesMode.single:
            first = np.unique(positions, return_index=True)[1]
            return self.responses(rows[first], columns)
        with self.artefact.hdf5(RESPONSES) as file:
            array = file["responses"]
            chosen = _indices(columns, array.shape[1], "target")
            out = np.empty((len(wanted), len(chosen)), dtype=np.float32)
            step = max(1, block // (8 * max(1, len(chosen))))
            for start in range(0, len(wanted), step):
                out[start : start + step] = _means(
                    array, rows, positions, slice(start, start + step), chosen
                )
        return out


def _means(
    array: h5py.Dataset, rows: Ids, positions: Ids, part: slice, columns: Ids
) -> NDArray[np.float64]:
    """Means (images, columns) over the rows of the images whose positions are in ``part``."""
    lower, upper = np.searchsorted(positions, [part.start, part.stop])
    rows, slots = rows[lower:upper], positions[lower:upper] - part.start
    counts = np.bincount(slots)
    sums = np.zeros((len(counts), len(columns)))
    for place, values in _read(array, rows, columns):
        for slot, value in zip(slots[place], values, strict=True):
            sums[slot] += value
    return sums / counts[:, None]


def _read(
    array: h5py.Dataset, rows: Ids, columns: Ids
) -> Iterator[tuple[Ids, NDArray[np.float32]]]:
    """Yield (positions in ``rows``, values (positions, columns)), in ascending order of rows."""
    order = np.argsort(rows, kind="stable")
    ascending = rows[order]
    for start, stop in _spans(ascending, array.shape, array.chunks):
        lower, upper = np.searchsorted(ascending, [start, stop])
        values = array[start:stop][ascending[lower:upper] - start]
        yield order[lower:upper], _take(values, columns)


def _spans(
    ascending: Ids, shape: tuple[int, int], chunks: tuple[int, ...] | None
) -> list[tuple[int, int]]:
    """Ranges of rows, aligned to chunks, that cover ``ascending`` and no chunk without need.

    Neighbouring chunks are read together up to 16 MiB.
    """
    height = chunks[0] if chunks else max(1, min(shape[0], (1 << 20) // (4 * shape[1])))
    most = max(1, (16 << 20) // (4 * shape[1] * height))
    spans: list[tuple[int, int]] = []
    for chunk in np.unique(ascending // height):
        start, stop = int(chunk) * height, min((int(chunk) + 1) * height, shape[0])
        if spans and spans[-1][1] == start and stop - spans[-1][0] <= most * height:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((start, stop))
    return spans


def _take(values: NDArray[np.float32], columns: Ids) -> NDArray[np.float32]:
    if len(columns) == values.shape[1] and np.array_equal(columns, np.arange(values.shape[1])):
        return values
    return values[:, columns]


def _indices(chosen: Any, size: int, what: str) -> Ids:
    if chosen is None or isinstance(chosen, slice):
        return np.arange(size, dtype=np.int64)[chosen if chosen is not None else slice(None)]
    given = np.asarray(chosen)
    if given.dtype == np.bool_ and given.shape == (size,):
        return np.flatnonzero(given)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise DataError(
            f"the choice of {what}s has another form",
            expected=f"whole numbers, or a mask of {size}",
            found=f"{given.dtype} of shape {given.shape}",
            fix="give a slice, integers or a mask",
        )
    if given.size and (given.min() < 0 or given.max() >= size):
        raise DataError(
            f"a {what} that does not exist", expected=f"0 to {size - 1}",
            found=f"{given.min()} to {given.max()}", fix=f"correct the {what}s",
        )  # fmt: skip
    return given.astype(np.int64)


def _ids(images: ArrayLike) -> Ids:
    return np.asarray(images, dtype=np.int64).reshape(-1)


def _mode(mode: ResponsesMode | str) -> ResponsesMode:
    try:
        return ResponsesMode(mode)
    except ValueError as error:
        raise ConfigError(
            "there is no such mode of responses",
            expected=" | ".join(known.value for known in ResponsesMode),
            found=mode,
            fix="set dataset.responses to one of them",
        ) from error
