"""Checks of NSD's tables: design, behaviour, stimulus table, stimuli; each against the others."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.errors import NeuroattnError
from neuroattn.data.manifests.copy import CopiedFile, Copy
from neuroattn.data.manifests.findings import Finding, finding_of
from neuroattn.data.nsd import layout
from neuroattn.data.nsd.design import Design, check_behaviour, read_behaviour, read_design

Ids = NDArray[np.int64]
TRIALS = 750  # stimulus trials of a session of NSD
_SUBJECTS, _IMAGES, _ORDERED, _SHARED = 8, 10_000, 30_000, 1_000
_OWN = "fetch the file of this subject; names are alike for all subjects"


@dataclass
class Known:
    """What the tables say, as far as they can be trusted."""

    design: Design | None = None
    behaviour: dict[str, pd.DataFrame] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def trials(self, subject: str, session: int) -> int | None:
        """Stimulus trials of a session, None where no table tells."""
        table = self.behaviour.get(subject)
        if table is not None:
            return int((table["session"] == session).sum())
        runs = self.design.runs if self.design else None
        if runs is not None and session <= len(runs):
            return int(runs[session - 1].sum())
        return None

    def shown(self, subject: str, session: int, trials: int) -> Ids | None:
        """73k ids (from 0) of a session's trials, None where the design does not tell."""
        number = layout.subject_number(subject) or 0
        if self.design is None or number > len(self.design.images):
            return None
        start = sum(self.trials(subject, each) or trials for each in range(1, session))
        ids = self.design.shown(number)[start : start + trials]
        return ids if len(ids) == trials else None


def read_tables(copy: Copy) -> Known:
    """Read what there is; damage and contradictions become findings."""
    known = Known()
    file = copy.one("expdesign")
    if file:
        try:
            known.design = read_design(file.path)
            known.findings += _check_design(known.design, file, copy)
        except NeuroattnError as error:
            known.findings.append(finding_of(file.name, error))
    for table in copy.sound_of("responses"):
        known.findings += _read_behaviour(table, known)
    known.findings += [*_check_stim_info(copy, known.design), *_check_stimuli(copy, known.design)]
    return known


def _check_design(design: Design, file: CopiedFile, copy: Copy) -> Iterator[Finding]:
    form = (len(design.ordering), design.images.shape, len(design.shared))
    wanted = (_ORDERED, (_SUBJECTS, _IMAGES), _SHARED)
    if not copy.is_simulated and form != wanted:
        yield Finding(
            file.name,
            "this is not the design of NSD",
            "30000 trials, 8 subjects x 10000 images, 1000 shared",
            str(form),
        )
    for row in design.images:
        if len(np.unique(row)) != len(row):
            yield Finding(
                file.name,
                "a subject has an image twice in subjectim",
                "distinct ids",
                f"{len(row) - len(np.unique(row))} ids again",
            )
            break
    common = set.intersection(*(set(row.tolist()) for row in design.images))
    if not set(design.shared.tolist()) <= common:
        yield Finding(
            file.name,
            "sharedix names images that are not shared",
            "ids that stand in every row of subjectim",
            f"{len(set(design.shared.tolist()) - common)} others",
        )


def _read_behaviour(file: CopiedFile, known: Known) -> list[Finding]:
    subject = file.entry.values["subject"]
    try:
        table = read_behaviour(file.path)
    except NeuroattnError as error:
        return [finding_of(file.name, error)]
    owner = _owner(file)
    number = layout.subject_number(subject)
    if owner not in (None, number):
        return [
            Finding(file.name, "the behaviour is another subject's", f"SUBJECT {number}",
                    f"SUBJECT {owner}", _OWN)
        ]  # fmt: skip
    if known.design is not None:
        try:
            check_behaviour(known.design, subject, table, file.path)
        except NeuroattnError as error:
            return [_contradiction(file, table, known.design, error)]
    known.behaviour[subject] = table
    return []


def _owner(file: CopiedFile) -> int | None:
    with open(file.path, newline="", encoding="utf-8-sig") as handle:
        rows = csv.DictReader(handle, delimiter="\t")
        text = (next(rows, None) or {}).get("SUBJECT", "")
    return int(text) if text and text.isdigit() else None


def _contradiction(
    file: CopiedFile, table: pd.DataFrame, design: Design, error: NeuroattnError
) -> Finding:
    """Whose behaviour it is, if the design says so of another subject."""
    said = table["image"].to_numpy()
    for number in range(1, len(design.images) + 1):
        shown = design.shown(number)[: len(said)]
        if len(shown) == len(said) and (shown == said).all():
            return Finding(
                file.name,
                "the behaviour is another subject's",
                f"images of {file.entry.values['subject']}",
                f"those of {layout.subject_name(number)}",
                _OWN,
            )
    return finding_of(file.name, error)


def _check_stim_info(copy: Copy, design: Design | None) -> Iterator[Finding]:
    file = copy.one("stim_info")
    if file is None:
        return
    try:
        table = pd.read_csv(file.path)
    except (ValueError, UnicodeDecodeError) as error:
        yield Finding(file.name, "the stimulus table cannot be read", "a table", str(error))
        return
    absent = [name for name in layout.STIM_INFO_COLUMNS if name not in table.columns]
    if absent:
        yield Finding(
            file.name,
            "the stimulus table lacks columns",
            ", ".join(layout.STIM_INFO_COLUMNS),
            f"no {', '.join(absent)}",
        )
        return
    if (table["nsdId"].to_numpy() != np.arange(len(table))).any():
        yield Finding(
            file.name,
            "nsdId does not count the rows from 0",
            f"0 to {len(table) - 1}",
            "another order",
        )
    if not copy.is_simulated and len(table) != layout.N_STIMULI:
        yield Finding(file.name, "rows are missing", str(layout.N_STIMULI), str(len(table)))
    if design is not None and int(design.images.max()) >= len(table):
        yield Finding(
            file.name,
            "images of the design have no row",
            f"{int(design.images.max()) + 1} rows at least",
            str(len(table)),
        )
    shared = np.flatnonzero(table["shared1000"].astype(str).str.lower().isin(("true", "1")))
    if design is not None and not np.array_equal(shared, design.shared):
        yield Finding(
            file.name,
            "shared images differ from those of the design",
            f"{len(design.shared)} ids of sharedix",
            f"{len(np.intersect1d(shared, design.shared))} of them in {len(shared)}",
        )


def _check_stimuli(copy: Copy, design: Design | None) -> Iterator[Finding]:
    file = copy.one("stimuli")
    if file is None:
        return
    with h5py.File(file.path, "r") as content:
        array = content.get(layout.STIMULI_KEY)
        if not isinstance(array, h5py.Dataset):
            yield Finding(
                file.name,
                "the pictures have another key",
                f"/{layout.STIMULI_KEY}",
                ", ".join(f"/{key}" for key in content) or "none",
            )
            return
        shape, dtype = array.shape, array.dtype
    side = shape[1] if len(shape) == 4 else 0
    if len(shape) != 4 or shape[1:] != (side, side, 3):
        yield Finding(
            file.name,
            "the array of pictures has another shape",
            "(73000, 425, 425, 3), as h5py shows its axes",
            str(shape),
        )
        return
    if dtype != np.dtype(layout.STIMULI_DTYPE):
        yield Finding(file.name, "the pictures have another type", layout.STIMULI_DTYPE, str(dtype))
    if design is not None and shape[0] <= int(design.images.max()):
        yield Finding(
            file.name,
            "images of the design have no picture",
            f"{int(design.images.max()) + 1} pictures at least",
            str(shape[0]),
        )
