"""The scale of guidance: activation, realism and diversity against it, and which one to take.

Several artefacts of ``synthesize`` that differ in ``guidance.scale`` make one curve. The scale is
chosen on even seeds and what it gives is told of odd ones: a maximum over scales, read off the
pictures that it was chosen by, flatters itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv
from neuroattn.figures import Stamp, to_svg
from neuroattn.figures.synthesis import Curve, scale_curves
from neuroattn.reports.blocks import Block, Column, Notice, Picture, Prose, Table
from neuroattn.reports.registry import SYNTHESIS
from neuroattn.reports.sources import Sources
from neuroattn.reports.wording import cell, count, plural, score, span
from neuroattn.stats.pictures import best_scale

STAGE, HALVES = "synthesize", "halves.tsv"
COLUMNS = ("objective", "method", "half", "measure", "value", "low", "high", "n")
NONE, CHOSEN_ON, REPORTED_ON = "none", "even", "odd"
LIMIT = 1.1  # of the unguided pictures' Fréchet distance: what still counts as real
_PANELS = (
    ("judge", "Predicted activation by the judge", None),
    ("guide", "Predicted activation by the guide", None),
    ("realism", "Fréchet distance, unguided = 1", LIMIT),
    ("diversity", "Diversity (1 - cosine)", None),
)
_MOST = 6  # objectives on one figure
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Sweep:
    """What artefacts of several scales say, and which scale was chosen for each objective.

    Parameters
    ----------
    table : `COLUMNS` and ``scale``; scale 0 are the unguided pictures.
    by : who decides: the judge, or the guide where there is none.
    chosen : objective -> scale; NaN where no scale kept pictures real.
    """

    table: pd.DataFrame
    by: str
    chosen: Mapping[str, float]

    @property
    def scales(self) -> Floats:
        """All scales, 0 first."""
        return np.unique(self.table["scale"].to_numpy(dtype=np.float64))

    def values(self, objective: str, measure: str, half: str) -> tuple[Floats, Floats, Floats]:
        """Value, low and high at every scale; NaN where unknown."""
        known = self.table
        rows = known[
            (known["objective"] == objective) & (known["measure"] == measure)
            & (known["half"] == half)
        ].drop_duplicates("scale").set_index("scale").reindex(self.scales)  # fmt: skip
        value, low, high = (rows[name].to_numpy(dtype=float) for name in ("value", "low", "high"))
        return value, low, high


def blocks(sources: Sources) -> tuple[Block, ...]:
    """The curves, the chosen scale and what it gives; nothing where there is one scale alone."""
    parts, left_out = _scaled(sources)
    if len({_scale(part) for part in parts}) < 2:
        return ()
    sweep = swept(parts)
    objectives = list(sweep.chosen)
    name = next(name for name, one in sources.parents.items() if one is parts[0])
    return (
        Prose((_READING,)),
        *(Notice("warning", "Left out of the curve", cell(one)) for one in left_out),
        _figure(sources.stamp(name), sweep, objectives[:_MOST]),
        _table(sweep),
    )


_READING = (
    "Guidance is exaggerated by its scale. Too little does nothing; too much leaves what pictures"
    " look like, and then the judge believes it less. Each point is a run of its own on the same"
    " seeds; scale 0 are the unguided pictures. The scale with the highest activation by the"
    f" judge (by the guide where there is none), among those whose Fréchet distance is at most"
    f" {LIMIT:g} of the unguided pictures', was chosen on even seeds. Curves and figures are"
    " those of odd seeds, which had no part in the choice."
)


def _scaled(sources: Sources) -> tuple[list[Artefact], list[str]]:
    """The main artefact and others like it but for the scale; what differs in more is named."""
    parts = [sources.parents[STAGE]] if sources.has(STAGE) else []
    parts += [one for name, one in sorted(sources.parents.items()) if name.startswith(SYNTHESIS)]
    own = [one for one in parts if _scale(one) is not None and one.has(HALVES)]
    if not own:
        return [], []
    method = own[0].config["guidance"]["name"]
    same = [one for one in own if one.config["guidance"]["name"] == method]
    alike = [one for one in same if _rest(one) == _rest(own[0])]
    others = [f"{one.label}: more than its scale differs" for one in same if one not in alike]
    return alike, others


def _scale(artefact: Artefact) -> float | None:
    found = artefact.config.get("guidance", {}).get("scale")
    return None if found is None else float(found)


def _rest(artefact: Artefact) -> Any:
    """All that makes the pictures but the scale: settings, generator, guides and judge."""
    config = artefact.config
    guidance = {name: value for name, value in config["guidance"].items() if name != "scale"}
    facts, told = artefact.json("generator.json"), config.get("synthesis", {})
    names = ("objectives", "images", "first_seed", "chunk", "text", "text_guidance", "fold",
             "judge_fold")  # fmt: skip
    settings = {name: told.get(name) for name in names}
    digests = (facts.get("generator") or {}).get("digests")
    return guidance, settings, digests, facts.get("guides"), facts.get("judge")


def swept(parts: list[Artefact]) -> Sweep:
    """The curve of some artefacts, and the scale chosen on even seeds."""
    rows = []
    for part in sorted(parts, key=lambda one: _scale(one) or 0.0):
        table = read_tsv(part.path(HALVES), COLUMNS)
        plain = table["method"] == NONE
        rows.append(table[plain].assign(scale=0.0))
        rows.append(table[~plain].assign(scale=_scale(part)))
    whole = pd.concat(rows, ignore_index=True)
    by = "judge" if (whole["measure"] == "judge").any() else "guide"
    objectives = [str(one) for one in dict.fromkeys(whole["objective"])]
    first = Sweep(whole, by, dict.fromkeys(objectives, float("nan")))
    return Sweep(whole, by, {one: _chosen(first, one) for one in objectives})


def _chosen(sweep: Sweep, objective: str) -> float:
    reached, realism = (
        sweep.values(objective, name, CHOSEN_ON)[0] for name in (sweep.by, "realism")
    )
    known = realism if np.isfinite(realism[1:]).any() else None
    return best_scale(sweep.scales, reached, known, LIMIT)


def _figure(stamp: Stamp, sweep: Sweep, objectives: list[str]) -> Picture:
    curves = []
    for measure, name, level in _PANELS:
        found = {one: sweep.values(one, measure, REPORTED_ON) for one in objectives}
        if any(np.isfinite(value).any() for value, _, _ in found.values()):
            value, low, high = ({one: told[n] for one, told in found.items()} for n in range(3))
            curves.append(Curve(name, sweep.scales, value, low, high, level))
    figure = scale_curves(
        curves, {one: sweep.chosen[one] for one in objectives}, stamp,
        subtitle="odd seeds; bands: 95 % intervals over seeds; ring: chosen on even seeds",
    )  # fmt: skip
    told = "; ".join(f"{one}: {_said(sweep.chosen[one])}" for one in objectives)
    more = len(sweep.chosen) - len(objectives)
    return Picture(
        to_svg(figure),
        alt=f"Activation, realism and diversity against the scale of guidance. Chosen: {told}",
        caption="Each measure against the scale, one line an objective; dashed: the limit of"
        " realism. Intervals of distances and diversity leave out pictures in turn."
        + (f" {plural(more, 'objective')} more stand in the table." if more > 0 else ""),
    )


def _said(scale: float) -> str:
    if not np.isfinite(scale):
        return "none keeps pictures real"
    return f"{scale:g}" if scale else "0 (no guidance)"


def _table(sweep: Sweep) -> Table:
    rows = []
    for objective, scale in sweep.chosen.items():
        cells: list[str] = []
        at = np.flatnonzero(sweep.scales == scale)
        for measure in (f"{sweep.by}_gain", "guide_gain", "realism", "diversity"):
            value, low, high = sweep.values(objective, measure, REPORTED_ON)
            one = (value[at[0]], low[at[0]], high[at[0]]) if len(at) else (np.nan,) * 3
            cells += [score(one[0]), span(one[1], one[2])]
        rows.append((cell(objective), _said(scale), *cells, count(_pictures(sweep, objective))))
    titles = (f"Gain, {sweep.by}", "95 %", "Gain, guide", "95 %", "Fréchet ratio", "95 %",
              "Diversity", "95 %", "n")  # fmt: skip
    columns = (Column("Objective"), Column("Scale"),
               *(Column(title, numeric=True) for title in titles))  # fmt: skip
    caption = (
        "The scale chosen on even seeds, and what it gives on odd ones: gain over the unguided"
        " pictures of the same seeds, Fréchet distance over theirs, diversity."
    )
    return Table(caption, columns, tuple(rows))


def _pictures(sweep: Sweep, objective: str) -> int:
    own = sweep.table[
        (sweep.table["objective"] == objective) & (sweep.table["half"] == REPORTED_ON)
    ]
    return int(own["n"].max()) if len(own) else 0
