"""A prepared dataset, read back: the one form in which later stages see any dataset.

Responses stay on disk; what is asked for is read in spans of whole chunks, each at most
once per pass, so memory is bounded by what is returned plus one block. The store knows no
split: z-scores that are fitted on training trials come from `Prepared.session_scale` and are
applied while reading (`Prepared.scaled`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import IMAGES, TARGETS, TRIALS, read_tsv
from neuroattn.data.dataset import ResponseBlock, Splits
from neuroattn.data.files import named
from neuroattn.data.registry import ResponsesMode
from neuroattn.data.store import RESPONSES, SESSIONS, Moments, session_codes
from neuroattn.data.store_read import Columns, Rows, indices
from neuroattn.data.store_scale import Linear, SessionScale, check_scale, raw

BLOCK = 256 << 20
NCSNR = "ncsnr.tsv"
Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


class Prepared:
    """Reader of a ``prepare`` artefact.

    Parameters
    ----------
    artefact : a finished artefact of the stage ``prepare``.
    scale : z-scores in which responses are read; None reads them as they came.
    """

    def __init__(self, artefact: Artefact, scale: SessionScale | None = None) -> None:
        if artefact.stage != "prepare":
            raise ConfigError(
                "this artefact is no prepared dataset", file=artefact.folder, expected="prepare",
                found=artefact.stage, fix="give an artefact that `neuroattn prepare` wrote",
            )  # fmt: skip
        self.artefact, self.scale = artefact, scale

    def scaled(self, scale: SessionScale | None) -> Prepared:
        """The same dataset, read in these z-scores; None reads responses as they came."""
        other = copy.copy(self)  # with the tables that were read already
        other.scale = scale
        vars(other).pop("_linear", None)
        return other

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

    @cached_property
    def sessions(self) -> Ids:
        """Running number of each trial's session (trials,), by first appearance."""
        return session_codes(self.trials)

    @cached_property
    def session_names(self) -> list[str]:
        """Sessions in words, in the order of their numbers."""
        first = np.unique(self.sessions, return_index=True)[1]
        rows = self.trials.iloc[first]
        pairs = zip(rows["subject"], rows["session"], strict=True)
        return [f"session {session} of subject {subject}" for subject, session in pairs]

    @cached_property
    def supplied_ncsnr(self) -> Floats | None:
        """The ncsnr (targets,) that came with the data, or None; it has seen every trial."""
        if not self.artefact.has(NCSNR):
            return None
        return self.artefact.table(NCSNR)["ncsnr"].to_numpy(dtype=np.float64)

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
        wanted = indices(rows, len(self.trials), "trial")
        with self._rows(columns) as reader:
            out = np.empty((len(wanted), len(reader.columns)), dtype=np.float32)
            for place, values in reader.read(wanted):
                out[place] = values
        return out

    def response_blocks(
        self, columns: Columns = None, block: int = BLOCK
    ) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, columns) float32) over all trials, in order.

        ``block`` bounds the bytes that are read at once, with all columns.
        """
        with self._rows(columns) as reader:
            total, targets = reader.array.shape
            step = max(1, block // (4 * targets))
            for start in range(0, total, step):
                stop = min(start + step, total)
                yield slice(start, stop), reader.block(start, stop)

    @contextmanager
    def _rows(self, columns: Columns) -> Iterator[Rows]:
        linear = self._linear
        with self.artefact.hdf5(RESPONSES) as file:
            yield Rows(file["responses"], linear, self.sessions, columns)

    @cached_property
    def _linear(self) -> Linear | None:
        with self.artefact.hdf5(RESPONSES) as file:
            array = file["responses"]
            half, targets = array.dtype == np.float16, array.shape[1]
        if half:
            with self.artefact.hdf5(SESSIONS) as file:
                linear = Linear(gain=file["scale"][:], offset=file["mean"][:])
        elif self.scale is None:
            return None
        else:
            linear = raw(len(self.session_names), targets)
        return linear if self.scale is None else linear.then(self.scale)

    def session_scale(self, images: ArrayLike | None) -> SessionScale:
        """Mean and standard deviation per session, over the trials of ``images`` alone.

        One pass over these trials, in their order, so that no other trial can change a bit of
        it while the store is float32. None takes all trials, test trials included, from the
        moments that ``prepare`` kept.

        Raises
        ------
        DataError : a session has fewer than two trials of these images.
        """
        if images is None:
            with self.artefact.hdf5(SESSIONS) as file:
                arrays = [file[name][:] for name in ("mean", "scale", "count")]
            return check_scale(SessionScale(*arrays), self.session_names)
        rows = np.sort(self.trial_rows(images)[0])
        with self.scaled(None)._rows(None) as reader:
            moments = Moments(len(self.session_names), len(reader.columns))
            for place, values in reader.read(rows):
                moments.add(values, self.sessions[rows[place]])
        fitted = SessionScale(moments.mean(), moments.scale(), moments.count)
        return check_scale(fitted, self.session_names)

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
        return self.trial_means(rows, positions, columns=columns, block=block)

    def trial_means(
        self, rows: Ids, positions: Ids, *, columns: Columns = None, block: int = BLOCK
    ) -> NDArray[np.float32]:
        """Means (positions, columns) float32 of the trials that share a position.

        ``positions`` are ascending from 0 without a gap, as `trial_rows` gives them.
        """
        count = int(positions[-1]) + 1 if len(positions) else 0
        with self._rows(columns) as reader:
            out = np.empty((count, len(reader.columns)), dtype=np.float32)
            for part, counts, sums, _ in _sums(reader, rows, positions, block):
                out[part] = sums / counts[:, None]
        return out

    def repeat_sums(
        self, images: ArrayLike, *, columns: Columns = None, block: int = BLOCK
    ) -> Iterator[tuple[Ids, Floats, Floats]]:
        """Yield (number of repeats, sums, sums of squares) of some ``images`` at a time.

        Sums are float64 (images, columns), over the trials of each image; see
        `neuroattn.stats.ceiling.Repeats`.
        """
        rows, positions = self.trial_rows(images)
        with self._rows(columns) as reader:
            # Two tables of float64 are held, so half as many images at a time.
            blocks = _sums(reader, rows, positions, block // 2, squares=True)
            for _, counts, sums, squares in blocks:
                yield counts, sums, squares


def _sums(
    reader: Rows, rows: Ids, positions: Ids, block: int, *, squares: bool = False
) -> Iterator[tuple[slice, Ids, Floats, Floats]]:
    """Yield (positions, trials of each, sums, sums of squares if asked) in bounded blocks."""
    count = int(positions[-1]) + 1 if len(positions) else 0
    width = len(reader.columns)
    step = max(1, block // (8 * max(1, width)))
    for start in range(0, count, step):
        part = slice(start, min(start + step, count))
        lower, upper = np.searchsorted(positions, [part.start, part.stop])
        slots = positions[lower:upper] - start
        sums = np.zeros((part.stop - start, width))
        powers = np.zeros_like(sums if squares else sums[:0])
        for place, values in reader.read(rows[lower:upper]):
            for slot, value in zip(slots[place], values, strict=True):
                sums[slot] += value
                if squares:
                    powers[slot] += np.square(value, dtype=np.float64)
        yield part, np.bincount(slots).astype(np.int64), sums, powers


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
