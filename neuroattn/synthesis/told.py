"""Pictures from words: what a caption artefact says of an objective's targets, as prompts.

A caption is worth something if pictures of it drive its targets. So it takes the place of a
gradient (`FromCaptions`) or opens the way for one (`Primed`): the generator is told the captions of
targets that the objective raises, or the nouns that stand out in them, and guide, judge and all
others look at the picture as at any other. Which captions there are is read from a finished
artefact; how they came about is its own affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.phrases import with_article
from neuroattn.core.tables import TARGETS, flags, read_tsv
from neuroattn.generators.contract import Condition, Level
from neuroattn.synthesis.drawing import Scene
from neuroattn.synthesis.guidance_schemas import CaptionsConfig, PrimedConfig, Said, WordsConfig
from neuroattn.synthesis.jobs import Record
from neuroattn.synthesis.objectives import Objective
from neuroattn.synthesis.registry import TOLD
from neuroattn.synthesis.steering import Unguided, Windowed

TABLE: Final = "told.tsv"
_SAID = ("target", "caption")
COLUMNS: Final = ("file", "objective", "seed", *_SAID)
_READ = ("target", "caption", "confidence", "gated", "null")
_NOUNS = ("target", "noun", "class", "share", "null")
_PLACE = "place"  # the class of nouns that other things stand in
_STANDS_OUT = 0.75  # nouns are told whose excess is at least this share of the first one's


class FromCaptions(Unguided):
    """The generator alone, told a caption; the stage hands one over for each seed."""

    def __init__(self, config: CaptionsConfig) -> None:
        super().__init__(config)


class Primed(Windowed):
    """Words until the window begins, the gradient in it; the stage hands the words over."""

    config: PrimedConfig

    def _said(
        self, scene: Scene, latents: Tensor, level: Level, condition: Condition
    ) -> tuple[Tensor, Tensor]:
        """From the window on words are not exaggerated any more, so that one pass is enough."""
        before = level.index < self.config.window[0]
        weighed = replace(scene, guidance=scene.guidance if before else 1.0)
        return super()._said(weighed, latents, level, condition)


@dataclass(frozen=True)
class Prompts:
    """What is told of an objective's targets, the surest first; seeds take them in turn."""

    told: tuple[tuple[int, str], ...]

    def __call__(self, seed: int) -> dict[str, Any]:
        """Target and caption of a picture: its seed alone decides, never the other pictures."""
        target, caption = self.told[seed % len(self.told)]
        return {"target": target, "caption": caption}


def prompts(
    parents: Mapping[str, Artefact],
    objectives: Sequence[Objective],
    targets: pd.DataFrame,
    config: WordsConfig,
) -> dict[str, Prompts]:
    """Objective -> what captions say of the targets that it raises.

    Parameters
    ----------
    targets : the guide's, whose rows are those of the objectives' weights.

    Raises
    ------
    ConfigError : captions of another dataset, an objective none of whose targets has one, or
        (for nouns) one whose captions name nothing that the others do not.
    """
    artefact = parents.get(TOLD) or parents["caption"]
    _check_same(artefact, parents["encode"])
    names = read_tsv(parents["prepare"].path("targets.tsv"), TARGETS)["target"].to_numpy()
    known = _known(artefact, names)
    nouns = Nouns.read(artefact, names, known) if config.said is Said.nouns else None
    found = {}
    for one in objectives:
        raised = targets["target"].to_numpy()[one.raised.numpy() > 0]
        own = known[np.isin(known["target"].to_numpy(), raised)]
        if not len(own):
            raise _silent(one, artefact, len(raised), known["target"].nunique())
        if nouns is None:
            pairs = list(zip(own["target"], own["caption"].astype(str), strict=True))
        else:
            pairs = nouns.told(own["target"].unique(), config.prompt)
        if not pairs:
            raise _nothing_own(one, artefact, own["target"].nunique(), known["target"].nunique())
        found[one.wish.text] = Prompts(tuple((int(target), text) for target, text in pairs))
    return found


@dataclass(frozen=True, eq=False)
class Nouns:
    """What captions name.

    Parameters
    ----------
    share : (targets, nouns) of each captioned target's captions; 0 where it does not name one.
    kinds : noun -> class.
    """

    share: pd.DataFrame
    kinds: Mapping[str, str]

    @classmethod
    def read(cls, artefact: Artefact, names: NDArray[np.int64], known: pd.DataFrame) -> Self:
        """Those of captioned targets; null targets have the numbers of real ones, and no say."""
        table = read_tsv(artefact.path("nouns.tsv"), _NOUNS)
        table = table[~flags(table["null"])]
        table = table.assign(target=names[table["target"].to_numpy(dtype=np.int64)])
        share = table.pivot(index="target", columns="noun", values="share")
        kinds = dict(zip(table["noun"], table["class"], strict=True))
        return cls(share.reindex(known["target"].unique()).fillna(0.0), kinds)

    def told(self, own: NDArray[np.int64], prompt: str) -> list[tuple[int, str]]:
        """For each target a noun that stands out in all of them, at the place that it names.

        One text for all pictures would draw them all alike: places differ from target to target.
        Empty if no noun stands out.
        """
        nouns = self.standing_out(own)
        return [
            (target, prompt.format(self._phrase(nouns[place % len(nouns)], target)))
            for place, target in enumerate(own.tolist() if nouns else [])
        ]

    def standing_out(self, own: NDArray[np.int64]) -> list[str]:
        """Nouns that these targets' captions name more often than those of all, the first first."""
        excess = (self.share.loc[own].mean() - self.share.mean()).sort_index()
        excess = excess.sort_values(ascending=False, kind="stable")
        found: list[str] = excess.index[excess >= max(_STANDS_OUT * excess.max(), 1e-6)].tolist()
        return found

    def _phrase(self, noun: str, target: int) -> str:
        places = [name for name in self.share.columns if self.kinds[name] == _PLACE]
        named = self.share.loc[target, places]
        if self.kinds[noun] == _PLACE or not named.any():
            return with_article(noun)
        return f"{with_article(str(named.idxmax()))} with {with_article(noun)}"


def _known(artefact: Artefact, names: NDArray[np.int64]) -> pd.DataFrame:
    """Captions of targets that passed the gate, the surest first; targets by their names."""
    table = read_tsv(artefact.path("captions.tsv"), _READ)
    known = table[flags(table["gated"]) & ~flags(table["null"]) & table["caption"].notna()]
    known = known.sort_values(["confidence", "target"], ascending=[False, True], kind="stable")
    return known.assign(target=names[known["target"].to_numpy(dtype=np.int64)])  # from its row


def _nothing_own(objective: Objective, artefact: Artefact, own: int, known: int) -> ConfigError:
    return ConfigError(
        f"captions of {objective.wish.text} name nothing that those of other targets do not",
        file=artefact.folder,
        expected="an objective whose targets prefer something else than all others",
        found=f"{own} of {known} captioned targets",
        fix="set guidance.said=captions, or leave it out of synthesis.objectives",
    )


def _silent(objective: Objective, artefact: Artefact, raised: int, others: int) -> ConfigError:
    return ConfigError(
        f"no target of {objective.wish.text} has a caption",
        file=artefact.folder,
        expected="an objective that raises targets which passed the gate of the captions",
        found=f"{raised} targets raised, {others} captioned elsewhere",
        fix="leave it out of synthesis.objectives, or lower caption.gate.threshold",
    )


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
