"""What stands under a root: finished, running, failed and abandoned artefacts; and their gc."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from neuroattn.core.artefact import CLAIM, FAILED, WORK, Artefact, is_done
from neuroattn.core.atomic import read_json
from neuroattn.core.claims import owner_of
from neuroattn.core.errors import ArtefactError
from neuroattn.core.fingerprint import difference
from neuroattn.pipeline.plan import Node, find

JOBS = "jobs"
RESULTS = "results"  # in the folder of a call: how each of its jobs ended


class State(Enum):
    """How far an artefact is."""

    done = "done"
    running = "running"
    failed = "failed"
    unfinished = "unfinished"
    absent = "absent"


@dataclass(frozen=True)
class Row:
    """One artefact folder as `status` shows it; ``modified``: when anything in it last was."""

    stage: str
    label: str
    state: State
    note: str
    bytes: int
    modified: float
    folder: Path


def state_of(folder: Path) -> tuple[State, str]:
    """State of an artefact folder, and who or why."""
    if not folder.is_dir():
        return State.absent, ""
    if is_done(folder):
        return State.done, ""
    owner = owner_of(folder)
    if owner is not None:
        return State.running, f"process {owner.get('pid')} on {owner.get('hostname')}"
    if (folder / FAILED).exists():
        problem = str(read_json(folder / FAILED).get("problem", ""))
        return State.failed, (problem.splitlines() or [""])[0]
    return State.unfinished, "resumes when its stage is run"


def scan(root: Path) -> Iterator[Row]:
    """Yield every artefact folder below ``root``, by stage and label."""
    for records in sorted(root.glob("*/*/fingerprint.json")):
        folder = records.parent
        state, note = state_of(folder)
        stats = list(_stats(folder))
        yield Row(
            stage=folder.parent.name,
            label=folder.name,
            state=state,
            note=note,
            bytes=sum(each.st_size for each in stats if stat.S_ISREG(each.st_mode)),
            modified=max(each.st_mtime for each in stats),
            folder=folder,
        )


def _stats(folder: Path) -> Iterator[os.stat_result]:
    """Of the folder and of all in it: what is written in a subfolder leaves its own time alone."""
    yield folder.stat()
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(FileNotFoundError):  # a live process took it away
                yield Path(place, name).lstat()


def explain(left: str, right: str, root: Path) -> list[tuple[str, Any, Any]]:
    """Rows (stage: key, left, right) in which two artefacts differ, down to the first cause.

    A parent that differs is followed into that parent, since its fingerprint alone says
    nothing.
    """
    return _explain(find(left, root), find(right, root), root)


def _explain(left: Artefact, right: Artefact, root: Path) -> list[tuple[str, Any, Any]]:
    rows: list[tuple[str, Any, Any]] = []
    for key, a, b in difference(left.fingerprint_payload, right.fingerprint_payload):
        parent = key.removeprefix("parents.")
        below = _parents_difference(left, right, parent, root) if parent != key else []
        rows += below or [(f"{left.stage}: {key}", a, b)]
    return rows


def _parents_difference(
    left: Artefact, right: Artefact, parent: str, root: Path
) -> list[tuple[str, Any, Any]]:
    try:
        stage = parent.partition("/")[0]  # one of several is called encode/ridge
        a, b = (
            find(str(side.inputs[parent]["label"]), root, stage=stage) for side in (left, right)
        )
    except (ArtefactError, KeyError):  # removed since, or only one side has this parent
        return []
    return _explain(a, b, root)


def plan_rows(node: Node) -> list[tuple[str, str, State, str]]:
    """Rows (stage, label, state, note) of a plan, parents first."""
    return [(each.stage.name, each.label, *state_of(each.folder)) for each in node.chain()]


def plan_lines(node: Node) -> Iterator[str]:
    """The same as lines of text."""
    for stage, label, state, note in plan_rows(node):
        yield f"{stage:<12} {label:<40} {state.value:<11} {note}".rstrip()


def garbage(root: Path, *, older_than_days: float) -> list[Path]:
    """Folders that nobody will read: unfinished or failed artefacts, remains, old job records.

    Nothing that a live process holds, that jobs in a queue need, or in which anything is younger
    than ``older_than_days``.
    """
    limit = time.time() - older_than_days * 86400
    found, alive = [], set()
    for row in scan(root):
        owner = owner_of(row.folder)
        if owner is not None:
            alive.add(str(owner.get("pid")))
        if owner is not None or row.modified > limit:
            continue
        if row.state in (State.failed, State.unfinished):
            found.append(row.folder)
        elif row.state is State.done:
            found += [row.folder / name for name in (WORK, CLAIM) if (row.folder / name).exists()]
    found += [
        call
        for call in root.glob(f"{JOBS}/*/*")
        if _caller(call) not in alive
        and not _queued(call)
        and max(each.st_mtime for each in _stats(call)) <= limit
    ]
    return sorted(found)


def _caller(call: Path) -> str:
    """Number of the process that made this call: the last word of its folder's name."""
    return call.name.removesuffix("-sweep").rpartition("-")[2]


def _queued(call: Path) -> bool:
    """Whether a job that was handed to another process or to a cluster has left no result yet."""
    # It may wait for days, and then needs the pickle that submitit keeps here.
    handed = len(list(call.glob(".submitit/*/*_submitted.pkl")))
    return handed > len(list(call.glob(f"{RESULTS}/*.json")))


def remove(folders: list[Path]) -> None:
    """Delete what `garbage` found."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
