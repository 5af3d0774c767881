"""The report's configuration and stage, light enough for the command line to import."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from neuroattn.core.config import Section, execution, science
from neuroattn.core.stage import Stage

# What a report on a stage needs: itself and everything it was made from, oldest first.
CHAINS: dict[str, tuple[str, ...]] = {
    "encode": ("prepare", "features", "encode"),
    "compare": ("prepare", "compare"),
    "predict": ("prepare", "encode", "predict"),
    "decode": ("prepare", "features", "decode"),
    "ablate": ("prepare", "features", "decode", "ablate"),
    "imagery": ("prepare", "features", "decode", "imagery"),
    "caption": ("prepare", "features", "encode", "caption"),
    "synthesize": ("prepare", "features", "encode", "synthesize"),
    "map": ("prepare", "features", "encode", "map"),
    "showcase": ("showcase",),
}
OTHER = "encode/other-"  # parents that are shown beside the main encoder
DECODER = "decode/other-"  # and beside the main decoder
SYNTHESIS = "synthesize/other-"  # and beside the main set of pictures


def _known(stages: Any) -> bool:
    return bool(stages) and set(stages) <= set(CHAINS)


@dataclass(kw_only=True)
class ReportConfig(Section):
    """What the report shows."""

    title: str | None = science(None, "Heading of the report; None names the dataset.")
    stages: list[str] = science(
        ["encode"],
        "Results to report, each with everything it was made from.",
        check=_known,
        must=f"name one or more of {', '.join(CHAINS)}",
    )
    others: list[str] = execution(
        [],
        "Other encode artefacts shown beside the main one, by reference (folder, label or"
        " fingerprint) or by overrides of this run. Their fingerprints enter that of the report.",
        check=lambda names: len(set(names)) == len(names),
        must="name none twice",
    )
    decoders: list[str] = execution(
        [],
        "Other decode artefacts whose retrieval stands beside the main one's, by reference or by"
        " overrides of this run (prior=none); several values of a key, by commas, are as many"
        " artefacts ('dataset.subjects=[a],[b] seed=0,1').",
        check=lambda names: len(set(names)) == len(names),
        must="name none twice",
    )
    syntheses: list[str] = execution(
        [],
        "Other synthesize artefacts that stand beside the main one, by reference or by overrides of"
        " this run: at other scales they make a curve (guidance.scale=0.3), by other methods a"
        " comparison (guidance=captions).",
        check=lambda names: len(set(names)) == len(names),
        must="name none twice",
    )
    attention_queries: int = science(
        6,
        "Regions whose attention is shown over pictures, best predicted first; 0 shows none.",
        check=lambda count: 0 <= count <= 40,
        must="be between 0 and 40",
    )
    attention_images: int = science(
        5,
        "Pictures shown for each of them.",
        check=lambda count: 1 <= count <= 12,
        must="be between 1 and 12",
    )
    max_targets_in_table: int = science(
        10,
        "How many of the best and of the worst predicted targets are listed; scores.tsv has all.",
        check=lambda count: 1 <= count <= 500,
        must="be between 1 and 500",
    )
    max_rois: int = science(
        60,
        "How many regions of interest are drawn and listed, best first.",
        check=lambda count: 1 <= count <= 500,
        must="be between 1 and 500",
    )


def needed(stages: Iterable[str]) -> tuple[str, ...]:
    """Every stage that a report on ``stages`` reads, each once, parents first."""
    return tuple(dict.fromkeys(parent for stage in stages for parent in CHAINS[stage]))


def each_of(entry: str) -> list[str]:
    """Lines of overrides that an entry with several values of a key stands for, or itself.

    Values are parted by commas outside of brackets and quotes, as in a sweep of the command line.
    """
    try:
        words = shlex.split(entry)
    except ValueError:  # an open quote: composing it says so
        return [entry]
    if not words or not all("=" in word for word in words):
        return [entry]  # a reference
    keys = [word.partition("=")[0] for word in words]
    choices = [_parted(word.partition("=")[2]) for word in words]
    if all(len(values) == 1 for values in choices):
        return [entry]
    return [
        shlex.join(f"{key}={value}" for key, value in zip(keys, values, strict=True))
        for values in itertools.product(*choices)
    ]


def _parted(value: str) -> list[str]:
    """Parts of ``value`` between commas that stand in no bracket and no quotes."""
    parts, depth, quote = [""], 0, ""
    for character in value:
        if quote or character in "'\"":
            quote = "" if character == quote else quote or character
        depth += (character in "[{(") - (character in "]})") if not quote else 0
        if character == "," and not depth and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _expanded(entries: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(line for entry in entries for line in each_of(entry)))


def _cites(config: Any) -> Mapping[str, tuple[str, str]]:
    report = config.report
    lists = (
        (OTHER, "encode", report.others),
        (DECODER, "decode", report.decoders),
        (SYNTHESIS, "synthesize", report.syntheses),
    )
    return {
        f"{alias}{number}": (stage, reference)
        for alias, stage, references in lists
        for number, reference in enumerate(_expanded(references), start=1)
    }


def _label(config: Any) -> str:
    return "-".join(("report", *sorted(config.report.stages)))


STAGES: tuple[Stage, ...] = (
    Stage(
        name="report",
        version=5,
        about="one HTML page: data, split, scores, figures, Methods text, errors, provenance",
        reads=("report",),
        parents=lambda config: needed(config.report.stages),
        cites=_cites,
        run="neuroattn.reports.stage:run",
        label=_label,
        tolerant=True,
    ),
)
