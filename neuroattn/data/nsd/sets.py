"""The experiments of NSD as trial sets: the scenes, NSD-synthetic, and NSD-imagery.

Each yields the same three things: trials in the order of the betas, pictures, and which
rows of the files of betas the trials are (all of them, but for imagery).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import DataError
from neuroattn.core.tables import TRIALS
from neuroattn.data.dataset import Splits, Stimuli
from neuroattn.data.nsd import design as designs
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.files import NsdFiles
from neuroattn.data.nsd.simulated import simulated_sources, simulated_splits
from neuroattn.data.nsd.stimuli import (
    SyntheticPictures,
    check_shared,
    read_captions,
    read_categories,
    read_stim_info,
    source_of,
)
from neuroattn.data.registry import NsdTrials
from neuroattn.data.stimuli import Hdf5Pictures, PictureFiles
from neuroattn.data.tables import read_input_table

_KEPT_SETS = ("A", "B")  # set C has words for targets, and no picture of its own
_PREFIX = {NsdTrials.imagery: "img", NsdTrials.imagery_seen: "vis"}


@dataclass(frozen=True)
class TrialSet:
    """Trials with the columns of `TRIALS`, pictures, and what is known of the images.

    ``rows`` maps a session to the betas that are kept, ascending; a session that is not in
    it keeps all. ``note`` says in words what a reader of the results must know.
    """

    trials: pd.DataFrame
    stimuli: Stimuli
    splits: Splits = field(default_factory=dict)
    sources: Mapping[int, str] = field(default_factory=dict)
    captions: dict[str, list[str]] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)
    rows: Mapping[int, NDArray[np.int64]] = field(default_factory=dict)
    note: str = ""


def open_trials(
    kind: NsdTrials,
    files: NsdFiles,
    found: Mapping[int, int],
    sets: Sequence[str] = _KEPT_SETS,
) -> TrialSet:
    """The trial set ``kind``; ``found`` maps sessions to their numbers of betas.

    Parameters
    ----------
    sets : of NSD-imagery, those that are kept; images have the same ids whichever are.

    Raises
    ------
    DataError : design, behaviour, stimuli and betas do not fit each other.
    """
    if kind is NsdTrials.core:
        return _core(files, found)
    if kind is NsdTrials.synthetic:
        return _synthetic(files, found[1])
    return _imagery(_PREFIX[kind], files, found[1], sets)


def _core(files: NsdFiles, found: Mapping[int, int]) -> TrialSet:
    design, subject = designs.read_design(files.design[0]), files.subject
    _check_subject(design, files)
    behaviour = None
    if files.behaviour:
        behaviour = designs.read_behaviour(files.behaviour)
        designs.check_behaviour(design, subject, behaviour, files.behaviour)
    starts = designs.session_starts(
        found, design, behaviour, next(iter(files.sessions.values()))[0]
    )
    trials = designs.trial_table(design, subject, found, starts, behaviour)
    stimuli = Hdf5Pictures(files.stimuli[0], layout.STIMULI_KEY)
    _check_pictures(trials, stimuli, files.stimuli[0])
    info = read_stim_info(files.stim_info) if files.stim_info else {}
    if files.stim_info:
        check_shared(info, design.shared, files.stim_info)
    shown = np.unique(trials["image"].to_numpy(dtype=np.int64))
    captions = read_captions(files.captions, info, shown) if info else {}
    categories = read_categories(files.instances, info, shown) if info else {}
    stated = int(behaviour["session"].max()) if behaviour is not None else max(found)
    note = f"{len(found)} of {stated} sessions" if len(found) < stated else f"{stated} sessions"
    note += "" if files.behaviour else ", not compared with the behaviour"
    sides = designs.shared_by_all(design, subject, found, behaviour)
    splits = _shared_splits(shown, dict(zip(("shared1000", "shared515"), sides, strict=True)))
    splits |= simulated_splits(files.truth, stimuli.ids)
    sources = {image: source_of(info, image) for image in shown.tolist()}
    sources |= simulated_sources(files.truth)
    return TrialSet(trials, stimuli, splits, sources, captions, categories, note=note)


def _shared_splits(shown: NDArray[np.int64], tests: Mapping[str, NDArray[np.int64]]) -> Splits:
    """Splits of the images ``shown`` by those on the test side, where both sides have some."""
    splits = {
        name: {
            "train": np.setdiff1d(shown, test).tolist(),
            "test": np.intersect1d(shown, test).tolist(),
        }
        for name, test in tests.items()
    }
    return {name: sides for name, sides in splits.items() if all(sides.values())}


def _check_subject(design: designs.Design, files: NsdFiles) -> None:
    number = layout.subject_number(files.subject) or 0
    if number > len(design.images):
        raise DataError(
            "the design does not know this subject", file=files.design[0],
            expected=f"subj01 to {layout.subject_name(len(design.images))}",
            found=files.subject, fix="correct dataset.subjects=[…]",
        )  # fmt: skip


def _check_pictures(trials: pd.DataFrame, stimuli: Stimuli, path: Path) -> None:
    highest, last = int(trials["image"].max()), int(stimuli.ids.max(initial=-1))
    if highest > last:
        raise DataError(
            "images were shown of which there is no picture", file=path,
            expected=f"pictures up to {highest}, counted from 0", found=f"up to {last}",
            fix="fetch the stimuli again, in full",
        )  # fmt: skip


def _synthetic(files: NsdFiles, count: int) -> TrialSet:
    content = designs.read_matlab(files.design[0], ("masterordering",))
    order = content.get("masterordering", np.zeros(0)).reshape(-1).astype(np.int64)
    if len(order) != count or order.min(initial=1) < layout.FIRST_ID:
        raise _misfit(files, f"{count} trials from 1 in masterordering", f"{len(order)} trials")
    number = layout.subject_number(files.subject) or 1
    shared, own = files.stimuli
    stimuli = SyntheticPictures(shared, own, number)
    image = stimuli.image_of(order - layout.FIRST_ID)
    trials = _table(files.subject, image, pd.array([pd.NA] * count, dtype="Int64"))
    _check_pictures(trials, stimuli, files.stimuli[0])
    note = (
        "NSD-synthetic; image ids count its own pictures, those made for the subject last; "
        "pictures cut to the field of the scenes and given in their values"
    )
    return TrialSet(trials, stimuli, note=note)


def _imagery(prefix: str, files: NsdFiles, count: int, sets: Sequence[str]) -> TrialSet:
    tables = {
        run: read_input_table(
            path,
            integers=("TRIAL",),
            text=("CONDITION",),
            optional_text=("IMAGEFILE", "FRAMEFILE"),
        )
        for run, path in zip(layout.IMAGERY_RUNS, files.design, strict=True)
    }
    # An attention trial was modelled as two events, its cue and its target.
    lengths = [len(table) * (2 if run.startswith("att") else 1) for run, table in tables.items()]
    if sum(lengths) != count:
        raise _misfit(files, f"{count} events in the tables of the runs", str(sum(lengths)))
    starts = dict(zip(tables, np.cumsum([0, *lengths[:-1]]).tolist(), strict=True))
    pictures = _imagined(tables, files)
    ids = {target: number for number, target in enumerate(sorted(pictures))}
    runs = [run for run in tables if run.startswith(prefix) and run[3] in sets]
    ordered = {run: tables[run].sort_values("TRIAL") for run in runs}
    image = [ids[run[3], condition] for run in runs for condition in ordered[run]["CONDITION"]]
    number = [layout.IMAGERY_RUNS.index(run) + 1 for run in runs for _ in range(len(tables[run]))]
    rows = np.concatenate([starts[run] + np.arange(len(tables[run])) for run in runs])
    trials = _table(files.subject, np.array(image), pd.array(number, dtype="Int64"))
    kept = {ids[target]: path for target, path in pictures.items() if target[0] in sets}
    stimuli = PictureFiles(kept, files.root)
    note = (
        f"NSD-imagery, runs {', '.join(runs)}; betas of a run in the order of its trials; "
        "attention trials have two betas each, and are left out, as is set C"
        + ("" if set(sets) == set(_KEPT_SETS) else f"; set {', '.join(sets)} alone")
    )
    return TrialSet(trials, stimuli, rows={1: rows}, note=note)


def _imagined(tables: Mapping[str, pd.DataFrame], files: NsdFiles) -> dict[tuple[str, str], Path]:
    """(set, condition) -> its picture: by the lists of pairs, else what its vision run shows."""
    by_name = {path.name: path for path in reversed(files.stimuli)}
    pictures = {
        (letter, cue): by_name[target]
        for letter, path in files.pairs.items()
        if letter in _KEPT_SETS
        for cue, target in designs.read_pairs(path).items()
        if target in by_name
    }
    for run, table in tables.items():
        if run[:3] != "vis" or run[3] not in _KEPT_SETS:
            continue
        named = zip(table["CONDITION"], table["IMAGEFILE"], table["FRAMEFILE"], strict=True)
        for condition, *candidates in named:
            files_of = [PurePosixPath(name.replace("\\", "/")).name for name in candidates]
            known = [by_name[name] for name in files_of if name in by_name]
            if known:
                pictures.setdefault((run[3], condition), known[0])
    shown = {
        (run[3], condition)
        for run, table in tables.items()
        if run[3] in _KEPT_SETS and not run.startswith("att")
        for condition in table["CONDITION"]
    }
    absent = sorted(shown - set(pictures))
    if absent:
        raise _misfit(files, "a picture for each condition of the vision runs", f"none of {absent}")
    return {target: pictures[target] for target in shown}


def _table(
    subject: str, image: NDArray[np.int64], run: pd.api.extensions.ExtensionArray
) -> pd.DataFrame:
    repeat = pd.Series(image).groupby(image).cumcount().to_numpy() + 1
    columns = {
        "trial": np.arange(len(image)),
        "subject": subject,
        "session": 1,
        "run": run,
        "image": image,
        "repeat": repeat,
    }
    return pd.DataFrame(columns)[list(TRIALS)]


def _misfit(files: NsdFiles, expected: str, found: str) -> DataError:
    return DataError(
        "the betas and the design of this experiment do not fit", file=files.design[0],
        expected=expected, found=found, fix="fetch betas, design and pictures of one release",
    )  # fmt: skip
