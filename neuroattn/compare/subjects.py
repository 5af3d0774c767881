"""From single subjects to a group: every subject shown, the mean over them, and the prevalence.

A subject is a group of members (``ridge@subj01``), or one of several within a dataset. Effects are
tested within each subject; the table over subjects says how many show them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.compare.resample import Plan, Resampled, ends, region_p
from neuroattn.compare.tables import column
from neuroattn.stats.correlation import target_average
from neuroattn.stats.group import over_subjects, prevalence

LEVEL = 0.025  # of a test in one direction; two-sided tests are at 5 %


@dataclass(frozen=True)
class Unit:
    """One subject: rows by model and by pair, of every region."""

    subject: str
    models: list[dict[str, Any]]
    pairs: list[dict[str, Any]]


def units(
    group: str,
    plan: Plan,
    scores: Mapping[str, pd.DataFrame],
    drawn: Resampled,
    targets: pd.DataFrame,
) -> list[Unit]:
    """The subjects of one group with what they show in each region."""
    named = [name.partition("\t") for name in plan.regions]
    inside = sorted({subject for _, _, subject in named if subject})
    alone = group or str(targets["subject"].iloc[0])
    found = []
    for subject in inside or [""]:
        shown = f"{group}.{subject}".strip(".") if subject else alone
        places = {roi: index for index, (roi, _, owner) in enumerate(named) if owner == subject}
        rows = list(plan.regions.values())
        models = [
            {
                "subject": shown, "model": model, "roi": roi, "n_targets": len(rows[index]),
                "r": target_average(column(scores[model], "r")[rows[index]]),
                "r_low": ends(drawn.r[model].value)[0][index],
                "r_high": ends(drawn.r[model].value)[1][index],
            }
            for model in plan.models
            for roi, index in places.items()
        ]  # fmt: skip
        pairs = [
            _pair_row(shown, pair, roi, drawn, index)
            for pair in plan.pairs
            for roi, index in places.items()
        ]
        found.append(Unit(shown, models, pairs))
    return found


def _pair_row(
    subject: str, pair: tuple[str, str], roi: str, drawn: Resampled, index: int
) -> dict[str, Any]:
    low, high = (end[index] for end in ends(drawn.difference[pair].value))
    null = drawn.null[pair].value
    row = {"subject": subject, "first": pair[0], "second": pair[1], "roi": roi}
    row |= {"difference": null[0, index], "low": low, "high": high}
    return row | {"p": region_p(null)[index]}


def group_tables(found: Sequence[Unit]) -> dict[str, pd.DataFrame]:
    """Tables by file name: every subject, and the group, for models and for pairs."""
    models = pd.DataFrame([row for unit in found for row in unit.models])
    pairs = pd.DataFrame([row for unit in found for row in unit.pairs])
    files = {"subjects.tsv": models, "group.tsv": _models_over_subjects(models)}
    if len(pairs):
        files |= {"subject-pairs.tsv": pairs, "group-pairs.tsv": _pairs_over_subjects(pairs)}
    return files


def _models_over_subjects(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (model, roi), part in table.groupby(["model", "roi"], sort=False):
        above = column(part, "r_low")
        row = {"model": model, "roi": roi, **_estimate("r", column(part, "r"))}
        rows.append(row | _prevalence("prevalence", above > 0, np.isfinite(above)))
    return pd.DataFrame(rows)


def _pairs_over_subjects(table: pd.DataFrame) -> pd.DataFrame:
    rows = []
    for (first, second, roi), part in table.groupby(["first", "second", "roi"], sort=False):
        difference, p = column(part, "difference"), column(part, "p")
        row = {"first": first, "second": second, "roi": roi}
        row |= _estimate("difference", difference)
        found = p <= 2 * LEVEL
        for name, sign in (("first", 1.0), ("second", -1.0)):
            effect = found & (sign * difference > 0)
            row |= _prevalence(f"prevalence_{name}", effect, np.isfinite(p))
        rows.append(row)
    return pd.DataFrame(rows)


def _estimate(name: str, values: NDArray[np.float64]) -> dict[str, Any]:
    mean = over_subjects(values)
    known = int(np.isfinite(values).sum())
    ends_ = {f"{name}_low": mean.low, f"{name}_high": mean.high}
    return {"n_subjects": known, name: mean.value, **ends_}


def _prevalence(name: str, effect: NDArray[np.bool_], known: NDArray[np.bool_]) -> dict[str, float]:
    """How many subjects show the effect, and what that says of the population."""
    tested, shown = int(known.sum()), int((effect & known).sum())
    row = {f"{name}_shown": float(shown), name: np.nan}
    row |= {f"{name}_low": np.nan, f"{name}_high": np.nan}
    if tested:
        found = prevalence(shown, tested, alpha=LEVEL)
        row |= {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return row
