"""Pictures drawn from captions: what a caption artefact says of an objective's targets, as prompts.

A caption is worth something if pictures of it drive its targets. So it takes the place of a
gradient: the generator is told the caption of a target that the objective raises, and guide, judge
and all others look at the picture as at any other. Which captions there are is read from a finished
artefact; how they came about is its own affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.tables import TARGETS, read_tsv
from neuroattn.synthesis.jobs import Record
from neuroattn.synthesis.objectives import Objective
from neuroattn.synthesis.registry import TOLD, CaptionsConfig
from neuroattn.synthesis.steering import Unguided

TABLE: Final = "told.tsv"
_SAID = ("target", "caption")
COLUMNS: Final = ("file", "objective", "seed", *_SAID)
_READ = ("target", "caption", "confidence", "gated", "null")


class FromCaptions(Unguided):
    """The generator alone, told a caption; the stage hands one over for each seed."""

    def __init__(self, config: CaptionsConfig) -> None:
        super().__init__(config)


@dataclass(frozen=True)
class Prompts:
    """Captions of an objective's targets, the surest first; seeds take them in turn."""

    told: tuple[tuple[int, str], ...]

    def __call__(self, seed: int) -> dict[str, Any]:
        """Target and caption of a picture: its seed alone decides, never the other pictures."""
        target, caption = self.told[seed % len(self.told)]
        return {"target": target, "caption": caption}


def prompts(
    parents: Mapping[str, Artefact], objectives: Sequence[Objective], targets: pd.DataFrame
) -> dict[str, Prompts]:
    """Objective -> captions of the targets that it raises.

    Parameters
    ----------
    targets : the guide's, whose rows are those of the objectives' weights.

    Raises
    ------
    ConfigError : captions of another dataset, or an objective none of whose targets has one.
    """
    artefact = parents.get(TOLD) or parents["caption"]
    _check_same(artefact, parents["encode"])
    table = read_tsv(artefact.path("captions.tsv"), _READ)
    flags = {name: table[name].astype(str).str.lower() == "true" for name in ("gated", "null")}
    known = table[flags["gated"] & ~flags["null"] & table["caption"].notna()]
    known = known.sort_values(["confidence", "target"], ascending=[False, True], kind="stable")
    names = read_tsv(parents["prepare"].path("targets.tsv"), TARGETS)["target"].to_numpy()
    known = known.assign(target=names[known["target"].to_numpy(dtype=np.int64)])  # from its row
    return {one.wish.text: _of(one, known, targets, artefact) for one in objectives}


def _of(
    objective: Objective, known: pd.DataFrame, targets: pd.DataFrame, artefact: Artefact
) -> Prompts:
    raised = targets["target"].to_numpy()[objective.raised.numpy() > 0]
    own = known[np.isin(known["target"].to_numpy(), raised)]
    if not len(own):
        raise ConfigError(
            f"no target of {objective.wish.text} has a caption",
            file=artefact.folder,
            expected="an objective that raises targets which passed the gate of the captions",
            found=f"{len(raised)} targets raised, {known['target'].nunique()} captioned elsewhere",
            fix="leave it out of synthesis.objectives, or lower caption.gate.threshold",
        )
    pairs = zip(own["target"].tolist(), own["caption"].astype(str).tolist(), strict=True)
    return Prompts(tuple((int(target), caption) for target, caption in pairs))


def _check_same(artefact: Artefact, encode: Artefact) -> None:
    found, expected = (one.inputs["prepare"]["fingerprint"] for one in (artefact, encode))
    if found != expected:
        raise ConfigError(
            "the captions are of another dataset than the encoder",
            file=artefact.folder,
            expected=f"prepare {expected[:8]}",
            found=f"prepare {found[:8]}",
            fix="set synthesis.captions to captions of the same dataset",
        )


def told_table(records: Sequence[Record]) -> pd.DataFrame:
    """Which picture was drawn from which caption (`COLUMNS`); no rows where none was."""
    rows = [
        (one["file"] or None, one["objective"], one["seed"], *(one["told"][key] for key in _SAID))
        for one in records
        if one.get("told")
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
