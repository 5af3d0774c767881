"""What an experiment file says of itself: source, what it costs, and the figures to expect.

It stands in the root config under ``published``, so that it is typed and checked as every key is.
All of it is execution: no fingerprint knows what anybody expected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from neuroattn.core.config import Section, execution
from neuroattn.core.errors import ConfigError
from neuroattn.core.resources import shipped


class Certainty(Enum):
    """How well a published figure is known."""

    read = "read"  # in a public source
    second_hand = "second_hand"  # somebody else's account of the source
    measured = "measured"  # by us, with this code
    unread = "unread"  # the source has it, and we have not seen it


@dataclass(kw_only=True)
class ExpectedConfig(Section):
    """One figure, and what it should be."""

    figure: str = execution(
        "",
        "A metric (test.r), the mean of a column of scores.tsv, on one side if named"
        " (scores.r_selection.lh), or a ratio of two (member.a.r / member.b.r).",
    )
    value: float | None = execution(None, "As published; null where it is not known.")
    upper: float | None = execution(None, "Upper end, where a range was published.")
    tolerance: float = execution(
        0.0,
        "How far a figure may lie from it, in its units.",
        check=lambda width: width >= 0,
        must="be 0 or more",
    )
    source: str = execution("", "Where it stands.")
    certainty: Certainty = execution(
        Certainty.unread, "read, second_hand, measured (by us) or unread."
    )
    subject: str = execution("", "The subject that it is of; empty where it is of no certain one.")
    note: str = execution("", "What sets it apart from the figure that is computed here.")

    def __post_init__(self) -> None:
        super().__post_init__()
        known = self.value is not None
        if known is (self.certainty is Certainty.unread):
            raise ConfigError(
                f"the expected figure {self.figure!r} does not say how it is known",
                expected="a value with certainty read, second_hand or measured, or unread without",
                found=f"value {self.value}, certainty {self.certainty.value}",
                fix="correct this row of published.expected",
            )


@dataclass(kw_only=True)
class NeedConfig(Section):
    """An override that an experiment cannot do without, and nobody can ship."""

    override: str = execution("", "As typed, with a word in capitals for what is yours.")
    about: str = execution("", "What stands for that word.")


@dataclass(kw_only=True)
class PublishedConfig(Section):
    """A published result: where it stands, what it costs, what to expect."""

    about: str = execution("", "What is fitted to what, in one sentence.")
    source: str = execution("", "Paper and table.")
    stage: str = execution("encode", "The stage whose artefact has the figures.")
    data: str = execution("", "The dataset as the source used it.")
    cost: str = execution("", "Time, disk and memory at full size, and where from.")
    parameters: int | None = execution(
        None, "Trained parameters at full size; null where none are trained by gradients."
    )
    memory_gb: float | None = execution(
        None, "Weights, their gradients and two moments of AdamW at full size, GB."
    )
    simulated: bool = execution(False, "Figures are of simulated responses.")
    needs: list[NeedConfig] = execution(
        [], "Overrides that have to be set beside the dataset's, as in backbone.model=CLIP."
    )
    expected: list[ExpectedConfig] = execution([], "Figures and what they should be.")


def experiments() -> dict[str, Path]:
    """Shipped experiments by name."""
    folder = shipped("conf") / "experiment"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def told(name: str) -> Mapping[str, Any]:
    """The section ``published`` of a shipped experiment, as it stands in its file."""
    content = yaml.safe_load(experiments()[name].read_text())
    return dict(content.get("published", {}))
