"""A prepared dataset, read back: the one form in which later stages see any dataset.

Responses stay on disk; of what is asked for each row is read once per pass and checked, so
memory is bounded by what is returned plus one block. The store knows no
split: z-scores that are fitted on training trials come from `Prepared.session_scale` and are
applied while reading (`Prepared.scaled`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.tables import IMAGES, MISSING, TARGETS, TRIALS, read_tsv
from neuroattn.data.dataset import ResponseBlock, Splits
from neuroattn.data.files import named
from neuroattn.data.registry import ResponsesMode
from neuroattn.data.store import RESPONSES, session_codes
from neuroattn.data.store_read import Columns, indices
from neuroattn.data.store_scale import SessionScale
from neuroattn.data.subject_store import Block, Scale, SubjectScales, count_of, put, sums_of

BLOCK = 256 << 20
NCSNR = "ncsnr.tsv"
_TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {  # columns, and those with text
    "trials.tsv": (TRIALS, ("subject",)),
    "images.tsv": (IMAGES, ("file", "sha256", "source")),
    "targets.tsv": (TARGETS, ("subject", "hemisphere", "rois")),
}
Ids = NDArray[np.int64]
Floats = NDArray[np.float64]


class Prepared:
    """Reader of a ``prepare`` artefact, or of one subject in it.

    Rows are trials and columns are targets. Where subjects have targets of their own, a row is
    NaN at the targets of all others; `of_subject` gives a view without such gaps, in which
    everything is as if that subject had been prepared alone.

    Parameters
    ----------
    artefact : a finished artefact of the stage ``prepare``.
    scale : z-scores in which responses are read; None reads them as they came.
    """

    def __init__(self, artefact: Artefact, scale: Scale | None = None) -> None:
        if artefact.stage != "prepare":
            raise ConfigError(
                "this artefact is no prepared dataset", file=artefact.folder, expected="prepare",
                found=artefact.stage, fix="give an artefact that `neuroattn prepare` wrote",
            )  # fmt: skip
        self.artefact, self.scale = artefact, scale
        self.subject: str | None = None
        self._read: dict[str, pd.DataFrame] = {}  # tables as they stand, shared by all views

    def scaled(self, scale: Scale | None) -> Prepared:
        """The same dataset, read in these z-scores; None reads responses as they came."""
        other = copy.copy(self)  # with the tables that were read already
        other.scale = scale
        vars(other).pop("_blocks", None)
        return other

    @cached_property
    def subjects(self) -> list[str]:
        """Subjects in the order of their targets, or of their trials where they share these."""
        source = self.targets if self._apart else self.trials
        return [str(name) for name in source["subject"].unique()]

    @property
    def several(self) -> bool:
        """Whether this holds several subjects with targets of their own."""
        return self._apart and self.subject is None

    def of_subject(self, name: str) -> Prepared:
        """One subject alone: its trials, images and targets, counted from 0 again.

        Raises
        ------
        DataError : there is no such subject.
        """
        if name not in self.subjects:
            raise DataError(
                f"the dataset has no subject {name}", file=self.artefact.folder,
                expected=named(self.subjects), found=name, fix="name one of these subjects",
            )  # fmt: skip
        if self.subject is not None:
            return self
        view = Prepared(self.artefact)
        view.subject, view._read = name, self._read
        if isinstance(self.scale, SubjectScales):
            view.scale = self.scale.parts[name]
        elif self.scale is not None:
            kept = view._blocks[0].kept
            view.scale = SessionScale(*(part[kept] for part in vars(self.scale).values()))
            vars(view).pop("_blocks")
        return view

    @cached_property
    def rows(self) -> Ids:
        """Trials of this view among those of the artefact."""
        subject = self._table("trials.tsv")["subject"]
        return self._of_view(subject)

    @cached_property
    def columns(self) -> Ids:
        """Targets of this view among those of the artefact."""
        subject = self._table("targets.tsv")["subject"]
        return self._of_view(subject) if self._apart else np.arange(len(subject))

    def _of_view(self, subject: pd.Series[str]) -> Ids:
        if self.subject is None:
            return np.arange(len(subject))
        return np.flatnonzero(subject.to_numpy() == self.subject)

    @cached_property
    def _apart(self) -> bool:
        """Whether every subject has a store of its own."""
        return not self.artefact.has(RESPONSES)

    @cached_property
    def description(self) -> dict[str, Any]:
        """Name, species, modality, units, space, licence, citation, simulated, counts."""
        about = dict(self.artefact.json("dataset.json"))
        if self.subject is None:
            return about
        tables = {"images": self.images, "trials": self.trials, "targets": self.targets}
        counts = {f"n_{name}": len(table) for name, table in tables.items()}
        return {**about, **counts, "n_subjects": 1}

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per row of responses: trial subject session run image repeat."""
        frame = self._table("trials.tsv").iloc[self.rows].reset_index(drop=True)
        return frame.assign(trial=np.arange(len(frame))) if self.subject else frame

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row per image shown: image file sha256 source."""
        frame = self._table("images.tsv")
        if self.subject is None:
            return frame
        return frame[frame["image"].isin(self.trials["image"])].reset_index(drop=True)

    @cached_property
    def targets(self) -> pd.DataFrame:
        """One row per column of responses: target subject hemisphere vertex rois."""
        frame = self._table("targets.tsv").iloc[self.columns].reset_index(drop=True)
        return frame.assign(target=np.arange(len(frame))) if self.subject else frame

    @cached_property
    def splits(self) -> Splits:
        """The dataset's own splits by name, over images that were shown."""
        splits: Splits = dict(self.artefact.json("splits.json"))
        if self.subject is None:
            return splits
        shown = set(self.image_ids.tolist())
        return {
            name: {side: [i for i in images if i in shown] for side, images in sides.items()}
            for name, sides in splits.items()
        }

    @cached_property
    def captions(self) -> dict[str, list[str]]:
        """Captions by image id as text, where known."""
        captions: dict[str, list[str]] = dict(self.artefact.json("captions.json"))
        if self.subject is None:
            return captions
        shown = set(map(str, self.image_ids.tolist()))
        return {image: texts for image, texts in captions.items() if image in shown}

    @cached_property
    def categories(self) -> dict[str, list[str]]:
        """Names of categories of what is seen by image id as text; empty where unknown."""
        if not self.artefact.has("categories.json"):
            return {}
        categories: dict[str, list[str]] = dict(self.artefact.json("categories.json"))
        shown = set(map(str, self.image_ids.tolist()))
        return {image: names for image, names in categories.items() if image in shown}

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
        return self.artefact.table(NCSNR)["ncsnr"].to_numpy(dtype=np.float64)[self.columns]

    def _table(self, name: str) -> pd.DataFrame:
        if name not in self._read:
            self._read[name] = _typed(self.artefact.path(name), *_TABLES[name])
        return self._read[name]

    @cached_property
    def _blocks(self) -> list[Block]:
        """The files of responses that this view reads, in the order of their trials."""
        if not self._apart:
            return [self._block("", np.arange(len(self.trials)), slice(0, len(self.targets)))]
        found = []
        for subject in self.subjects:
            rows = np.flatnonzero(self.trials["subject"].to_numpy() == subject)
            columns = np.flatnonzero(self.targets["subject"].to_numpy() == subject)
            found.append(self._block(subject, rows, slice(columns[0], columns[-1] + 1)))
        return found

    def _block(self, subject: str, rows: Ids, columns: slice) -> Block:
        codes = self.sessions[rows]
        kept = np.unique(codes)
        names = [self.session_names[code] for code in kept.tolist()]
        inner, stored = None, kept - kept.min(initial=len(names))
        if self.subject is not None and not self._apart:
            inner = self.rows
            stored = np.unique(session_codes(self._table("trials.tsv"))[inner])
        scale = self.scale.parts[subject] if isinstance(self.scale, SubjectScales) else self.scale
        return Block(
            artefact=self.artefact, subject=subject, rows=rows, columns=columns, inner=inner,
            sessions=np.searchsorted(kept, codes), kept=stored, names=names, scale=scale,
        )  # fmt: skip

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
        chosen = indices(columns, len(self.targets), "target")
        out = self._empty(len(wanted), len(chosen))
        for block in self._blocks:
            places, own = block.select(wanted)
            across, inside = block.targets(chosen)
            with block.open(inside) as reader:
                if not self.several:  # the only block holds all that is asked for
                    reader.into(own, out)
                    continue
                for place, values in reader.read(own):
                    put(out, places[place], across, values)
        return out

    def _empty(self, rows: int, columns: int) -> NDArray[np.float32]:
        """A table to be filled; with several subjects what is not filled is NaN."""
        if self.several:
            return np.full((rows, columns), np.nan, dtype=np.float32)
        return np.empty((rows, columns), dtype=np.float32)

    def response_blocks(
        self, columns: Columns = None, block: int = BLOCK
    ) -> Iterator[ResponseBlock]:
        """Yield (rows, values (rows, columns) float32) over all trials, in order.

        ``block`` bounds the bytes that are read at once, with all columns.
        """
        chosen = indices(columns, len(self.targets), "target")
        step = max(1, block // (4 * len(self.targets)))
        for part in self._blocks:
            across, inside = part.targets(chosen)
            with part.open(inside) as reader:
                for start in range(0, len(part.rows), step):
                    stop = min(start + step, len(part.rows))
                    values = self._empty(stop - start, len(chosen))
                    values[:, across] = reader.span(start, stop)
                    first = int(part.rows[0])
                    yield slice(first + start, first + stop), values

    def session_scale(self, images: ArrayLike | None) -> Scale:
        """Mean and standard deviation per session, over the trials of ``images`` alone.

        One pass over these trials, in their order, so that no other trial can change a bit of
        it while the store is float32. None takes all trials, test trials included, from the
        moments that ``prepare`` kept.

        Raises
        ------
        DataError : a session has fewer than two trials of these images.
        """
        if images is None:
            found = [block.moments() for block in self._blocks]
        else:
            rows = np.sort(self.trial_rows(images)[0])
            blocks = self.scaled(None)._blocks
            found = [block.fitted(block.select(rows)[1]) for block in blocks]
        return (
            SubjectScales(dict(zip(self.subjects, found, strict=True)))
            if self.several
            else found[0]
        )

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
            return self._first_trials(rows, positions, columns)
        return self.trial_means(rows, positions, columns=columns, block=block)

    def _first_trials(self, rows: Ids, positions: Ids, columns: Columns) -> NDArray[np.float32]:
        chosen = indices(columns, len(self.targets), "target")
        out = self._empty(count_of(positions), len(chosen))
        for part in self._blocks:
            places, _ = part.select(rows)
            images, first = np.unique(positions[places], return_index=True)
            across, inside = part.targets(chosen)
            if len(images):
                values = self.responses(rows[places[first]], part.columns.start + inside)
                put(out, images, across, values)
        return out

    def trial_means(
        self, rows: Ids, positions: Ids, *, columns: Columns = None, block: int = BLOCK
    ) -> NDArray[np.float32]:
        """Means (positions, columns) float32 of the trials that share a position.

        ``positions`` are ascending from 0 without a gap, as `trial_rows` gives them. Each
        subject's targets have the mean of its own trials, NaN where it has none.
        """
        chosen = indices(columns, len(self.targets), "target")
        out = self._empty(count_of(positions), len(chosen))
        for part in self._blocks:
            places, own = part.select(rows)
            images, slots = np.unique(positions[places], return_inverse=True)
            across, inside = part.targets(chosen)
            with part.open(inside) as reader:
                for span, counts, sums, _ in sums_of(reader, own, slots, block):
                    put(out, images[span], across, sums / counts[:, None])
        return out

    def repeat_sums(
        self, images: ArrayLike, *, columns: Columns = None, block: int = BLOCK
    ) -> Iterator[tuple[Ids, Floats, Floats]]:
        """Yield (number of repeats, sums, sums of squares) of some ``images`` at a time.

        Sums are float64 (images, columns), over the trials of each image; see
        `neuroattn.stats.ceiling.Repeats`.

        Raises
        ------
        DataError : there are several subjects, each with repeats of its own.
        """
        if self.several:
            raise DataError(
                "subjects have repeats of their own", file=self.artefact.folder,
                expected="one subject", found=named(self.subjects),
                fix="ask for one: prepared.of_subject(name).repeat_sums(images)",
            )  # fmt: skip
        rows, positions = self.trial_rows(images)
        with self._blocks[0].open(columns) as reader:
            # Two tables of float64 are held, so half as many images at a time.
            blocks = sums_of(reader, rows, positions, block // 2, squares=True)
            for _, counts, sums, squares in blocks:
                yield counts, sums, squares


def _typed(path: Path, columns: tuple[str, ...], text: tuple[str, ...]) -> pd.DataFrame:
    whole = {name: "Int64" for name in ("run", "vertex") if name in columns}
    return read_tsv(path, columns).fillna(dict.fromkeys(text, MISSING)).astype(whole)


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
