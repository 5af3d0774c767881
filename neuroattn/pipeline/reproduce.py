"""Reproducing a published result: its figures beside what to expect, as a small file.

The file is what a lab can send back: figures, versions, fingerprints, digests of every payload,
the machine without its name, no path. Whoever reads it can tell whether it is the experiment as
shipped (``changed``) and on which data it ran (``simulated``).
"""

from __future__ import annotations

import os
import platform
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from neuroattn.core.artefact import Artefact
from neuroattn.core.atomic import ensure_folder, write_json
from neuroattn.core.config import plain, walk
from neuroattn.core.provenance import code_state, versions
from neuroattn.core.tables import read_tsv
from neuroattn.pipeline.config import RootConfig
from neuroattn.pipeline.plan import Node, is_overrides
from neuroattn.pipeline.published import ExpectedConfig

FORM = 1
FOLDER = "reproduce"
SCORES = "scores."
_OWN = ("dataset.subjects",)  # a choice of every run, and no deviation from the experiment


class Verdict(Enum):
    """What became of an expectation."""

    within = "within"
    outside = "outside"
    not_measured = "not measured"  # the artefact has no such figure
    not_known = "not known"  # nobody has told us the published one
    other_subject = "other subject"
    other_data = "other data"  # simulated responses beside a figure of recordings, or the reverse


@dataclass(frozen=True)
class Row:
    """One figure beside its expectation."""

    figure: str
    found: float | None
    verdict: Verdict
    expected: ExpectedConfig

    def told(self) -> dict[str, Any]:
        """It as plain values."""
        about = {name: plain(value) for name, value in asdict(self.expected).items()}
        away = None
        if self.found is not None and self.expected.value is not None:
            away = distance(self.expected, self.found)
        own = {"found": self.found, "verdict": self.verdict.value, "distance": away}
        return {"figure": about.pop("figure"), **own, **about}


def distance(expected: ExpectedConfig, found: float) -> float:
    """How far a figure lies from what was published: 0 inside a range."""
    low = expected.value if expected.value is not None else found
    high = low if expected.upper is None else expected.upper
    return max(low - found, found - high, 0.0) if high > low else abs(found - low)


def rows(config: RootConfig, artefact: Artefact, simulated: bool) -> list[Row]:
    """Every expected figure beside what the artefact has."""
    subjects = list(config.dataset.subjects)
    made = []
    for expected in config.published.expected:
        found = figure(expected.figure, artefact)
        fits = simulated is config.published.simulated
        made.append(Row(expected.figure, found, judged(expected, found, subjects, fits), expected))
    return made


def judged(
    expected: ExpectedConfig, found: float | None, subjects: Sequence[str], fits: bool
) -> Verdict:
    """The verdict on one figure.

    Parameters
    ----------
    subjects : of the run; empty where the dataset has no names for them.
    fits : whether figure and expectation are both of recordings, or both of simulations.
    """
    if not fits:
        return Verdict.other_data
    if expected.subject and list(subjects) != [expected.subject]:
        return Verdict.other_subject
    if expected.value is None:
        return Verdict.not_known
    if found is None:
        return Verdict.not_measured
    rounding = 1e-9  # 0.5 + 0.1 is not 0.6 for a computer
    is_near = distance(expected, found) <= expected.tolerance + rounding
    return Verdict.within if is_near else Verdict.outside


def figure(name: str, artefact: Artefact) -> float | None:
    """A figure by the name that `ExpectedConfig.figure` describes; None where there is none."""
    over, _, under = name.partition(" / ")
    if under:
        top, bottom = figure(over, artefact), figure(under, artefact)
        return top / bottom if top is not None and bottom else None
    if name.startswith(SCORES):
        return _column(name.removeprefix(SCORES), artefact)
    value = artefact.metrics.get(name)
    return None if value is None else float(value)


def _column(name: str, artefact: Artefact) -> float | None:
    column, _, side = name.partition(".")
    if not artefact.has("scores.tsv"):
        return None
    table = read_tsv(artefact.path("scores.tsv"))
    if side:
        table = table[table["hemisphere"] == side]
    if column not in table or not table[column].notna().any():
        return None
    return float(table[column].mean())


def overall(found: Sequence[Row]) -> str:
    """One word for all: outside if any figure is, within if those that count are."""
    verdicts = {row.verdict for row in found}
    if Verdict.outside in verdicts:
        return Verdict.outside.value
    return Verdict.within.value if Verdict.within in verdicts else "nothing to compare"


def described(node: Node) -> dict[str, Any]:
    """The description of the dataset of a finished chain."""
    prepared = [link for link in node.chain() if link.stage.name == "prepare"]
    return Artefact(prepared[0].folder).json("dataset.json") if prepared else {}


def changed(config: RootConfig, shipped: RootConfig) -> dict[str, Any]:
    """Science keys in which a run differs from the experiment as shipped, with their values."""
    theirs = {key.path: key.value for key in walk(shipped)}
    lines = {
        f"compare.members.{name}": without_paths(line)
        for name, line in config.compare.members.items()
        if shipped.compare.members.get(name) != line
    }
    return lines | {
        key.path: key.value
        for key in walk(config)
        if key.role == "science"
        and key.path not in _OWN
        and (key.path not in theirs or theirs[key.path] != key.value)
    }


def without_paths(line: str) -> str:
    """A member of a comparison without the paths of this machine."""
    if not is_overrides(line):
        return "a finished artefact"
    words = (word.partition("=") for word in shlex.split(line))
    return " ".join(f"{key}{sign}{'…' if '/' in value else value}" for key, sign, value in words)


def outcome(name: str, config: RootConfig, shipped: RootConfig, node: Node) -> dict[str, Any]:
    """All that the result file holds, from a finished chain.

    Parameters
    ----------
    shipped : the experiment's config without further overrides.
    """
    artefact, about = Artefact(node.folder), described(node)
    simulated = bool(about.get("simulated", False))
    found = rows(config, artefact, simulated)
    own, published = ("name", "species", "modality", "units", "space"), config.published
    return {
        "form": FORM,
        "experiment": name,
        "about": published.about,
        "source": published.source,
        "verdict": overall(found),
        "simulated": simulated,
        "figures": [row.told() for row in found],
        "changed": changed(config, shipped),
        "subjects": list(config.dataset.subjects),
        "dataset": {key: value for key, value in about.items() if key in own or key[:2] == "n_"},
        "metrics": artefact.metrics,
        "artefacts": [_record(Artefact(link.folder)) for link in node.chain()],
        "versions": versions(),
        "code": code_state(),
        "machine": machine(),
        "written": time.strftime("%Y-%m-%d"),
    }


_KEPT = ("device", "threads", "seed", "wall_seconds", "peak_memory_bytes")


def _record(artefact: Artefact) -> dict[str, Any]:
    payload, made = artefact.fingerprint_payload, artefact.provenance
    return {
        "stage": artefact.stage,
        "label": artefact.label,
        "fingerprint": artefact.fingerprint,
        "version": payload.get("version"),
        "science": payload.get("science", {}),
        "code": made.get("code", {}),
        "digests": {name: entry["sha256"] for name, entry in artefact.files.items()},
        **{name: made.get(name) for name in _KEPT},
    }


def machine() -> dict[str, Any]:
    """What this machine is, without its name."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "accelerator": _accelerator(),
    }


def _accelerator() -> str | None:
    import torch  # the run has loaded it, where it computed anything

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def write(root: Path, node: Node, result: Mapping[str, Any]) -> Path:
    """Write the result file below ``root``; equal runs have one file."""
    name = f"{result['experiment']}-{node.fingerprint.short}.json"
    path = ensure_folder(root / FOLDER) / name
    write_json(path, dict(result))
    return path


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """Lines of text: figures beside expectations, what differs, the verdict."""
    yield f"{'figure':<44} {'found':>8} {'expected':>14}  verdict"
    for row in result["figures"]:
        whose = f" ({row['subject']})" if row["subject"] else ""
        yield (
            f"{row['figure'] + whose:<44} {number(row['found']):>8} {stated(row):>14} "
            f" {row['verdict']}"
        )
    if result["changed"]:
        yield f"not as shipped: {', '.join(sorted(result['changed']))}"
    if result["simulated"]:
        yield "simulated responses: these figures say nothing about brains"
    yield f"verdict: {result['verdict']}"


def stated(row: Mapping[str, Any]) -> str:
    """What was published, with its tolerance or as a range."""
    if row["value"] is None:
        return "not known"
    if row["upper"] is not None:
        return f"{row['value']:g} to {row['upper']:g}"
    return f"{row['value']:g} ± {row['tolerance']:g}"


def number(value: float | None) -> str:
    """A figure to three places, or a dash."""
    return "-" if value is None else f"{value:.3f}"
