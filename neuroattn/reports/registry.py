"""The report's configuration and stage, light enough for the command line to import."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from neuroattn.core.config import Section, science
from neuroattn.core.stage import Stage

# What a report on a stage needs: itself and everything it was made from, oldest first.
CHAINS: dict[str, tuple[str, ...]] = {
    "encode": ("prepare", "features", "encode"),
    "map": ("prepare", "features", "encode", "map"),
}


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


def _label(config: Any) -> str:
    return "-".join(("report", *sorted(config.report.stages)))


STAGES: tuple[Stage, ...] = (
    Stage(
        name="report",
        version=1,
        about="one HTML page: data, split, scores, figures, Methods text, errors, provenance",
        reads=("report",),
        parents=lambda config: needed(config.report.stages),
        run="neuroattn.reports.stage:run",
        label=_label,
        tolerant=True,
    ),
)
