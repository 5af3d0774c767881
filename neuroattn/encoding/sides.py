"""What a fold means for each subject: its own training and test images, and its training rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.atomic import storage_errors
from neuroattn.core.errors import ConfigError, DataError
from neuroattn.core.seeding import generator
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import ResponsesMode
from neuroattn.data.splits import Fold, check_no_leak

Ids = NDArray[np.int64]
BLOCK = 256 << 20  # bytes of the training table that are read at a time
FEWEST = 2  # test images of a subject that can be correlated


@dataclass(frozen=True, eq=False)
class Unit:
    """A subject of several, or a dataset that is one unit.

    Parameters
    ----------
    name : the subject; empty where there is one unit.
    data : what is known of it alone.
    columns : (targets,) its targets among those of the dataset.
    """

    name: str
    data: Prepared
    columns: Ids


@dataclass(frozen=True, eq=False)
class Side:
    """One unit in one fold: its images on either side, and its responses on their scale.

    Parameters
    ----------
    view : responses on the scale that is fitted and tested on.
    chosen : targets of the unit that are fitted; None fits all.
    """

    unit: Unit
    view: Prepared
    train: Ids
    test: Ids
    chosen: Ids | None = None

    @property
    def fitted(self) -> Ids:
        """Targets of the unit that are fitted."""
        return np.arange(len(self.unit.columns)) if self.chosen is None else self.chosen


def units_of(prepared: Prepared) -> list[Unit]:
    """The subjects of a dataset, where they have targets of their own, or all of it."""
    if not prepared.several:
        return [Unit("", prepared, np.arange(len(prepared.targets)))]
    views = [prepared.of_subject(name) for name in prepared.subjects]
    return [Unit(str(view.subject), view, view.columns) for view in views]


def images_of(
    fold: Fold, unit: Unit, count: int | None, seed: int, sessions: Sequence[int] = ()
) -> tuple[Ids, Ids]:
    """Training and test images of a unit in a fold, ascending.

    Parameters
    ----------
    count : training images to draw; None takes all. A smaller draw is part of a larger one.
    sessions : sessions in which training images were shown; all if empty.

    Raises
    ------
    DataError : the unit has too few images on a side.
    ConfigError : there are fewer training images than asked for, or none in these sessions.
    """
    train, test = fold.train, fold.test
    if unit.name:
        train, test = (np.intersect1d(side, unit.data.image_ids) for side in (train, test))
        if not len(train) or len(test) < FEWEST:
            raise DataError(
                f"{unit.name} has too few images in the fold {fold.name}",
                expected=f"a training image, and {FEWEST} test images at least",
                found=f"{len(train)} and {len(test)}",
                fix="choose another dataset.split, or leave this subject out",
            )
    if sessions:
        train = np.intersect1d(train, _shown_in(unit.data, sessions))
        if not len(train):
            raise ConfigError(
                f"no training image of the fold {fold.name} was shown in these sessions",
                expected=f"sessions of {sorted(set(unit.data.trials['session']))}",
                found=list(sessions),
                fix="correct encoder.sessions, or leave it out to take all",
            )
    if count is None:
        return train, test
    if count > len(train):
        raise ConfigError(
            "there are fewer training images than asked for",
            expected=f"encoder.images of at most {len(train)}"
            + (f", for {unit.name}" if unit.name else ""),
            found=count,
            fix="lower encoder.images, or leave it out to take all",
        )
    drawn = generator(seed, "images", fold.name, unit.name).permutation(train)
    return np.sort(drawn[:count]), test


def _shown_in(data: Prepared, sessions: Sequence[int]) -> Ids:
    trials = data.trials
    shown = trials.loc[trials["session"].isin(list(sessions)), "image"]
    return np.unique(shown.to_numpy(dtype=np.int64))


def check_sides(fold: Fold, prepared: Prepared, sides: Sequence[tuple[Ids, Ids]]) -> None:
    """Refuse a fold in which what one subject is trained on is what another is tested on.

    Raises
    ------
    LeakError : a picture stands on both sides, over all subjects.
    """
    train, test = (np.unique(np.concatenate(images)) for images in zip(*sides, strict=True))
    digests = dict(zip(prepared.images["image"], prepared.images["sha256"], strict=True))
    check_no_leak(Fold(fold.index, fold.name, train, test), prepared.trials, digests)


def training_rows(
    prepared: Prepared,
    images: Ids,
    mode: ResponsesMode,
    targets: Ids | None = None,
    file: Path | None = None,
    *,
    sessions: Sequence[int] = (),
) -> tuple[Ids, NDArray[np.float32]]:
    """Rows that a readout learns from: image ids (rows,) and responses (rows, targets).

    ``mean`` gives one row per image. ``single`` gives one per trial. ``weighted`` gives each
    image's mean as often as it was shown (counts without their common factor): for squared
    errors the same fit as on single trials.

    Parameters
    ----------
    targets : the columns to read; None reads all.
    file : where the table of responses is put, `BLOCK` bytes at a time, and mapped from, so that
        memory does not grow with the number of images; None keeps it in memory.
    sessions : sessions whose trials count; all if empty. Every image was shown in one of them.
    """
    width = len(prepared.targets) if targets is None else len(targets)
    rows, take = _rows(Trials(prepared, tuple(sessions)), images, mode, targets)
    table = _empty(file, (len(rows), width))
    step = max(1, BLOCK // max(1, 4 * width))
    for start in range(0, len(rows), step):
        part = slice(start, start + step)
        table[part] = take(part)
    return rows, table


def _empty(file: Path | None, shape: tuple[int, int]) -> NDArray[np.float32]:
    if file is None:
        return np.empty(shape, np.float32)
    with storage_errors(file):
        return np.lib.format.open_memmap(file, mode="w+", dtype=np.float32, shape=shape)


@dataclass(frozen=True)
class Trials:
    """The trials of a dataset, or of some sessions of it.

    Parameters
    ----------
    sessions : numbers as in ``trials.tsv``; all if empty.
    """

    prepared: Prepared
    sessions: tuple[int, ...] = ()

    def of(self, images: Ids) -> tuple[Ids, Ids]:
        """Rows, and the position of each row's image, as `Prepared.trial_rows` gives them."""
        rows, positions = self.prepared.trial_rows(images)
        if not self.sessions:
            return rows, positions
        kept = self.prepared.trials["session"].isin(self.sessions).to_numpy()[rows]
        return rows[kept], positions[kept]


def _rows(
    trials: Trials, images: Ids, mode: ResponsesMode, targets: Ids | None
) -> tuple[Ids, Callable[[slice], NDArray[np.float32]]]:
    """Image ids (rows,), and what reads the responses of some of them."""
    prepared = trials.prepared
    if mode is ResponsesMode.single:
        chosen, positions = trials.of(images)
        return images[positions], lambda part: prepared.responses(chosen[part], targets)
    rows = images
    if mode is ResponsesMode.weighted:
        counts = np.bincount(trials.of(images)[1], minlength=len(images))
        rows = np.repeat(images, counts // np.gcd.reduce(counts))

    def means(part: slice) -> NDArray[np.float32]:
        some, inverse = np.unique(rows[part], return_inverse=True)
        found = prepared.trial_means(*trials.of(some), columns=targets)
        return np.asarray(found[inverse])

    return rows, means
