"""What stands under a root: finished, running, failed and abandoned artefacts; and their gc."""

from __future__ import annotations

import shutil
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


class State(Enum):
    """How far an artefact is."""

    done = "done"
    running = "running"
    failed = "failed"
    unfinished = "unfinished"
    absent = "absent"


@dataclass(frozen=True)
class Row:
    """One artefact folder as `status` shows it."""

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
        yield Row(
            stage=folder.parent.name,
            label=folder.name,
            state=state,
            note=note,
            bytes=sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()),
            modified=folder.stat().st_mtime,
            folder=folder,
        )


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

    Nothing that a live process holds, and nothing younger than ``older_than_days``.
    """
    limit = time.time() - older_than_days * 86400
    found = []
    for row in scan(root):
        if row.modified > limit or owner_of(row.folder) is not None:
            continue
        if row.state in (State.failed, State.unfinished):
            found.append(row.folder)
        elif row.state is State.done:
            found += [row.folder / name for name in (WORK, CLAIM) if (row.folder / name).exists()]
    found += [call for call in root.glob(f"{JOBS}/*/*") if call.stat().st_mtime <= limit]
    return sorted(found)


def remove(folders: list[Path]) -> None:
    """Delete what `garbage` found."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
