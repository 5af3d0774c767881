"""The report's configuration and stage, light enough for the command line to import."""

from __future__ import annotations

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
}
OTHER = "encode/other-"  # parents that are shown beside the main encoder
DECODER = "decode/other-"  # and beside the main decoder


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
        " overrides of this run (prior=none).",
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


def _cites(config: Any) -> Mapping[str, tuple[str, str]]:
    named = enumerate(config.report.others, start=1)
    found = {f"{OTHER}{number}": ("encode", reference) for number, reference in named}
    named = enumerate(config.report.decoders, start=1)
    return found | {f"{DECODER}{number}": ("decode", reference) for number, reference in named}


def _label(config: Any) -> str:
    return "-".join(("report", *sorted(config.report.stages)))


STAGES: tuple[Stage, ...] = (
    Stage(
        name="report",
        version=3,
        about="one HTML page: data, split, scores, figures, Methods text, errors, provenance",
        reads=("report",),
        parents=lambda config: needed(config.report.stages),
        cites=_cites,
        run="neuroattn.reports.stage:run",
        label=_label,
        tolerant=True,
    ),
)
