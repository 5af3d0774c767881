"""Which image every trial showed: ``nsd_expdesign.mat``, checked against the behaviour.

One order of trials serves all subjects: trial ``p`` shows a subject's image number
``masterordering[p]``, and ``subjectim`` turns that into a 73k id (Allen et al. 2022, Nature
Neuroscience 25:116; NSD data manual). The files count from 1; all arrays here count from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from neuroattn.core.errors import DataError
from neuroattn.core.tables import TRIALS
from neuroattn.data.nsd import layout

Ids = NDArray[np.int64]
_REPEATS = 3


@dataclass(frozen=True)
class Design:
    """The experiment, counted from 0.

    ``ordering`` (trials,) places in a row of ``images`` (subjects, images) of 73k ids;
    ``shared`` the ids that all subjects share; ``runs`` (sessions, runs) stimulus trials, or
    None where the file does not tell.
    """

    ordering: Ids
    images: Ids
    shared: Ids
    runs: Ids | None

    def shown(self, subject: int) -> Ids:
        """73k ids (trials,) of all trials of a subject, counted from 1."""
        row: Ids = self.images[subject - 1]
        return row[self.ordering]


def read_matlab(path: Path, keys: tuple[str, ...]) -> dict[str, NDArray[np.float64]]:
    """Numeric arrays of a MATLAB file of either kind (5 or 7.3), axes as MATLAB has them.

    Keys that are not there are left out.

    Raises
    ------
    DataError : no MATLAB file, or something else than numbers under a key.
    """
    try:
        if h5py.is_hdf5(path):
            with h5py.File(path, "r") as file:
                found = {key: np.asarray(file[key]).T for key in keys if key in file}
        else:
            content = loadmat(path, variable_names=list(keys))
            found = {key: np.asarray(content[key]) for key in keys if key in content}
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError) as error:
        raise DataError(
            "the MATLAB file cannot be read", file=path, expected="a whole .mat file",
            found=error, fix="copy the file again",
        ) from error  # fmt: skip
    strange = [key for key, value in found.items() if value.dtype.kind not in "fiub"]
    if strange:
        raise _wrong(path, f"numbers in {strange[0]}", str(found[strange[0]].dtype))
    return {key: value.astype(np.float64) for key, value in found.items()}


def read_design(path: Path) -> Design:
    """Read ``nsd_expdesign.mat``.

    Raises
    ------
    DataError : a key is missing, or its values are not indices from 1.
    """
    content = read_matlab(path, ("masterordering", "subjectim", "sharedix", "stimpattern"))
    for key in ("masterordering", "subjectim", "sharedix"):
        if key not in content or content[key].size == 0:
            raise _wrong(path, f"the array {key}", ", ".join(content) or "none of the arrays")
    images = _from_zero(content["subjectim"], path, "subjectim")
    ordering = _from_zero(content["masterordering"], path, "masterordering").reshape(-1)
    if images.ndim != 2 or ordering.max() >= images.shape[1]:
        raise _wrong(
            path,
            f"masterordering from 1 to the {images.shape[-1]} columns of subjectim",
            f"up to {ordering.max() + 1}",
        )
    pattern = content.get("stimpattern")
    runs = None
    if pattern is not None and pattern.ndim == 3:
        runs = (pattern > 0).sum(axis=2).astype(np.int64)
    shared = np.sort(_from_zero(content["sharedix"], path, "sharedix").reshape(-1))
    return Design(ordering, images, shared, runs)


def read_pairs(path: Path) -> dict[str, str]:
    """Name of the target by cue, of a set of NSD-imagery: rows of number, name and cue.

    Raises
    ------
    DataError : no such list.
    """
    try:
        rows = loadmat(path, variable_names=["pair_list"])["pair_list"]
        pairs = {_text(cue): _text(target) for _, target, cue in rows}
    except (OSError, ValueError, TypeError, KeyError, NotImplementedError, MatReadError) as error:
        raise DataError(
            "the list of cues and targets cannot be read", file=path,
            expected="pair_list, rows of number, name of the target and cue", found=error,
            fix="copy the file again",
        ) from error  # fmt: skip
    return pairs


def _text(cell: NDArray[np.generic]) -> str:
    """The text in a cell of a MATLAB cell array."""
    return str(np.asarray(cell).ravel()[0])


def _from_zero(values: NDArray[np.float64], path: Path, key: str) -> Ids:
    whole = values.astype(np.int64)
    if (whole != values).any() or whole.min() < layout.FIRST_ID:
        raise _wrong(path, f"whole numbers from {layout.FIRST_ID} in {key}", f"{values.min():g}")
    return whole - layout.FIRST_ID


def read_behaviour(path: Path) -> pd.DataFrame:
    """Session, run and image (0-based 73k id) of every trial in ``responses.tsv``, in order.

    Raises
    ------
    DataError : a column is missing, or holds something else than whole numbers.
    """
    try:
        table = pd.read_csv(path, sep="\t", usecols=["SESSION", "RUN", "73KID"])
        whole = table.astype(np.int64)
    except (ValueError, OverflowError, UnicodeDecodeError) as error:
        raise DataError(
            "the table of behaviour cannot be read",
            file=path,
            expected="columns " + ", ".join(layout.RESPONSES_COLUMNS),
            found=error,
            fix="copy the file again",
        ) from error
    return pd.DataFrame(
        {
            "session": whole["SESSION"],
            "run": whole["RUN"],
            "image": whole["73KID"] - layout.FIRST_ID,
        }
    )


def session_starts(
    found: Mapping[int, int], design: Design, behaviour: pd.DataFrame | None, path: Path
) -> dict[int, int]:
    """First trial of each session, from the number of betas ``found`` in each session's file.

    Where a session stands in the experiment follows from the behaviour, else from the
    pattern of stimuli in the design, else from the files, which then hold equally many.

    Raises
    ------
    DataError : the sources disagree, or more betas than trials.
    """
    stated = _stated_counts(design, behaviour)
    for session, count in found.items():
        if stated is not None and stated.get(session, 0) != count:
            raise DataError(
                f"session {session} has another number of betas than of trials",
                file=path,
                expected=f"{stated.get(session, 0)} trials, by the design and the behaviour",
                found=f"{count} betas",
                fix="fetch the betas, nsd_expdesign.mat and responses.tsv of one release",
            )
    if stated is None and len(set(found.values())) > 1:
        raise DataError(
            "sessions differ in length, and nothing tells where each begins", file=path,
            expected="stimpattern in the design, or responses.tsv",
            found=f"{dict(found)} betas", fix="fetch responses.tsv of the subject",
        )  # fmt: skip
    each = next(iter(found.values()))
    counts = stated if stated is not None else dict.fromkeys(range(1, max(found) + 1), each)
    starts = {s: sum(counts.get(before, 0) for before in range(1, s)) for s in found}
    last = max(starts[s] + found[s] for s in found)
    if last > len(design.ordering):
        raise _wrong(
            path, f"at most {len(design.ordering)} trials, as in masterordering", str(last)
        )
    return starts


def shared_by_all(
    design: Design, subject: str, found: Mapping[int, int], behaviour: pd.DataFrame | None
) -> tuple[Ids, Ids]:
    """Images that all subjects were to see, and those of them that all saw three times.

    One order of trials serves all, so the second follows from the sessions that even the
    subjects with the fewest completed.
    """
    fewest, stated = min(layout.SESSIONS), _stated_counts(design, behaviour) or {}
    each = next(iter(found.values()))
    common = sum(stated.get(session, each) for session in range(1, fewest + 1))
    images = design.images[(layout.subject_number(subject) or 0) - 1]
    times = np.bincount(design.ordering[:common], minlength=len(images))
    return design.shared, np.intersect1d(images[times >= _REPEATS], design.shared)


def _stated_counts(design: Design, behaviour: pd.DataFrame | None) -> dict[int, int] | None:
    if behaviour is not None:
        sessions, counts = np.unique(behaviour["session"].to_numpy(), return_counts=True)
        return dict(zip(sessions.tolist(), counts.tolist(), strict=True))
    if design.runs is not None:
        return {row + 1: int(count) for row, count in enumerate(design.runs.sum(axis=1))}
    return None


def trial_table(
    design: Design,
    subject: str,
    found: Mapping[int, int],
    starts: Mapping[int, int],
    behaviour: pd.DataFrame | None,
) -> pd.DataFrame:
    """The trials of the sessions ``found`` (session -> betas), with the columns of `TRIALS`.

    ``repeat`` counts an image's presentations over the whole experiment, so that the second
    of three stays the second where a session is left out.
    """
    number = layout.subject_number(subject) or 0
    shown = design.shown(number)
    repeat = pd.Series(shown).groupby(shown).cumcount().to_numpy() + 1
    rows = np.concatenate([np.arange(starts[s], starts[s] + found[s]) for s in found])
    session = np.concatenate([np.full(found[s], s) for s in found])
    if behaviour is not None:
        run = pd.array(behaviour["run"].to_numpy()[rows], dtype="Int64")
    else:
        run = pd.array(_runs(design, found), dtype="Int64")
    columns = {
        "trial": np.arange(len(rows)),
        "subject": subject,
        "session": session,
        "run": run,
        "image": shown[rows],
        "repeat": repeat[rows],
    }
    return pd.DataFrame(columns)[list(TRIALS)]


def _runs(design: Design, found: Mapping[int, int]) -> list[int | None]:
    if design.runs is None:
        return [None] * sum(found.values())
    runs: list[int | None] = []
    for session in found:
        for run, count in enumerate(design.runs[session - 1], start=1):
            runs += [run] * int(count)
    return runs


def check_behaviour(design: Design, subject: str, behaviour: pd.DataFrame, path: Path) -> None:
    """Compare the ids that a subject answered to with those that the design says were shown.

    Raises
    ------
    DataError : they differ, or sessions are not in order.
    """
    shown = design.shown(layout.subject_number(subject) or 0)[: len(behaviour)]
    said = behaviour["image"].to_numpy()
    if len(shown) < len(said) or not behaviour["session"].is_monotonic_increasing:
        raise DataError(
            "the behaviour is not in the order of the experiment", file=path,
            expected=f"{len(design.ordering)} trials at most, by session",
            found=f"{len(said)} trials", fix="copy the file again",
        )  # fmt: skip
    wrong = np.flatnonzero(shown != said)
    if wrong.size:
        row = int(wrong[0])
        raise DataError(
            "the behaviour and the design name different images",
            file=path,
            expected=f"73KID {shown[row] + layout.FIRST_ID} in line {row + 2}, by the design",
            found=f"{said[row] + layout.FIRST_ID} ({wrong.size} such lines)",
            fix="fetch responses.tsv of this subject and nsd_expdesign.mat again",
        )


def _wrong(path: Path, expected: str, found: str) -> DataError:
    return DataError(
        "the design of the experiment has another form", file=path, expected=expected,
        found=found, fix="fetch nsd_expdesign.mat again",
    )  # fmt: skip
