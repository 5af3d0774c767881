"""The tables of a comparison: models, pairs and partitions by region and by target."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.compare.members import Member
from neuroattn.compare.registry import ENSEMBLE
from neuroattn.compare.resample import PARTS, Plan, Resampled, ends, parts_of, region_p
from neuroattn.core.tables import rois_of
from neuroattn.stats.correlation import target_average
from neuroattn.stats.multiple import benjamini_hochberg

Floats = NDArray[np.float64]
Scores = Mapping[str, pd.DataFrame]
Regions = Mapping[str, NDArray[np.int64]]

ALL = "all targets"
LEVEL = 0.05
KEYS = ("target", "rois", "hemisphere", "subject")


def regions_of(targets: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Rows of all targets, then of each region; a target may stand in several."""
    rows: dict[str, list[int]] = {}
    for row, cell in enumerate(targets["rois"]):
        for name in rois_of(cell):
            rows.setdefault(name, []).append(row)
    return {ALL: np.arange(len(targets)), **{name: np.array(each) for name, each in rows.items()}}


def member_table(members: Sequence[Member]) -> pd.DataFrame:
    """One row per member: what it is, and how many training images it had (mean over folds)."""
    return pd.DataFrame(
        {
            "member": member.model,
            "artefact": member.artefact.label,
            "fingerprint": member.artefact.fingerprint,
            "encoder": member.option("encoder.name"),
            "backbone": member.option("backbone.name"),
            "seed": member.option("seed"),
            "training_images": member.training_images,
            "sessions": _listed(member.option("encoder.sessions")),
        }
        for member in members
    )


def _listed(sessions: Any) -> str | None:
    """Sessions that a member was trained on in words; None where it had all."""
    return ", ".join(map(str, sessions)) if sessions else None


def by_target(
    targets: pd.DataFrame, scores: Scores, weights: Floats, apart: Collection[str] = ()
) -> pd.DataFrame:
    """``scores-<model>`` and ``weight-<member>`` of each target, and its best member.

    Those ``apart`` (an oracle) are the best of none.

    Parameters
    ----------
    weights : (folds, members, targets), members in the order of ``scores`` less the ensemble.
    """
    members = [name for name in scores if name != ENSEMBLE]
    table = np.stack([column(scores[name], "r") for name in members])
    columns: dict[str, Any] = {f"scores-{name}": column(scores[name], "r") for name in scores}
    for name, weight in zip(members, weights.mean(0), strict=True):
        columns[f"weight-{name}"] = weight
    table[[name in apart for name in members]] = np.nan
    known = np.isfinite(table).any(0)
    best = np.where(np.isfinite(table), table, -np.inf).argmax(0)
    columns["best"] = np.where(known, np.array(members, dtype=object)[best], None)
    return keys(targets).assign(**columns)


def keys(targets: pd.DataFrame) -> pd.DataFrame:
    """What identifies a target."""
    return targets[list(KEYS)].reset_index(drop=True)


def by_region(
    plan: Plan, scores: Scores, drawn: Resampled, best: NDArray[Any], trained: Mapping[str, float]
) -> pd.DataFrame:
    """A row for each model and region: mean r with its interval over images, ceiling, best share.

    ``share_best`` is the share of targets at which the model is the best member.
    """
    rows = []
    for model, table in scores.items():
        low, high = ends(drawn.r[model].value)
        for index, (name, places) in enumerate(plan.regions.items()):
            part = table.iloc[places]
            row: dict[str, Any] = {"model": model, "roi": name, "n_targets": len(part)}
            row["training_images"] = trained.get(model, np.nan)
            row |= {"r": mean(part, "r"), "r_low": low[index], "r_high": high[index]}
            row |= {name: mean(part, name) for name in ("r_squared", "nc", "r_squared_over_nc")}
            mine = best[places] == model
            row["share_best"] = np.nan if model == ENSEMBLE else float(mine.mean())
            rows.append(row)
    return pd.DataFrame(rows)


def differences(targets: pd.DataFrame, drawn: Resampled) -> pd.DataFrame:
    """Columns ``difference``, ``low``, ``high``, ``p``, ``q``, ``p_max`` of every pair, by target.

    A column is called ``difference-<first>-<second>``: r of the first less that of the second.
    """
    columns = {
        f"{name}-{first}-{second}": values
        for (first, second), table in drawn.target.items()
        for name, values in table.items()
    }
    return keys(targets).assign(**columns)


def pairs(plan: Plan, drawn: Resampled) -> pd.DataFrame:
    """A row for each pair and region: mean difference, interval, p, and who wins where.

    ``q`` corrects for all regions and pairs. ``share_first`` and ``share_second`` are the shares
    of targets at which one is better at an FDR of 5 %.
    """
    rows = []
    for first, second in plan.pairs:
        low, high = ends(drawn.difference[first, second].value)
        null = drawn.null[first, second].value
        p = region_p(null)
        target = drawn.target[first, second]
        for index, (name, places) in enumerate(plan.regions.items()):
            better = (target["q"] <= LEVEL)[places]
            sign = np.sign(target["difference"][places])
            known = np.isfinite(target["q"][places])
            rows.append(
                {
                    "first": first, "second": second, "roi": name, "n_targets": len(places),
                    "difference": null[0, index], "low": low[index], "high": high[index],
                    "p": p[index],
                    "share_first": _share(better & (sign > 0), known),
                    "share_second": _share(better & (sign < 0), known),
                }
            )  # fmt: skip
    table = pd.DataFrame(rows)
    table.insert(8, "q", benjamini_hochberg(table["p"].to_numpy(dtype=np.float64)))
    return table


def partition_tables(
    plan: Plan, scores: Scores, drawn: Resampled, targets: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Unique and shared variance by region (with intervals over images), and by target."""
    rows: list[dict[str, Any]] = []
    columns: dict[str, Floats] = {}
    for joint, first, second in plan.partitions:
        explained = (column(scores[name], "r_squared") for name in (first, second, joint))
        shares = parts_of(*explained)
        columns |= {f"{part}-{joint}": values for part, values in shares.items()}
        intervals = {part: ends(drawn.shares[joint, first, second][part].value) for part in PARTS}
        for index, (name, places) in enumerate(plan.regions.items()):
            row: dict[str, Any] = {"joint": joint, "first": first, "second": second, "roi": name}
            row["n_targets"] = len(places)
            for part, values in shares.items():
                low, high = (end[index] for end in intervals[part])
                row |= {part: target_average(values[places])}
                row |= {f"{part}_low": low, f"{part}_high": high}
            rows.append(row)
    return pd.DataFrame(rows), keys(targets).assign(**columns)


def learning_curve(table: pd.DataFrame, members: pd.DataFrame) -> pd.DataFrame | None:
    """Rows of `by_region` by region and number of training images; None where all had as many.

    ``readout`` says which belong to one curve: members of one name before ``+`` (``ridge+200``),
    or of one readout and backbone. ``sessions`` is what a member was trained on, where not all.

    Parameters
    ----------
    members : see `member_table`.
    """
    known = table[table["training_images"].notna()]
    if known["training_images"].nunique() < 2:
        return None
    curve = {str(row["member"]): _curve_of(row) for _, row in members.iterrows()}
    sessions = dict(zip(members["member"], members["sessions"], strict=True))
    known = known.assign(readout=known["model"].map(curve), sessions=known["model"].map(sessions))
    order = pd.Categorical(known["roi"], categories=list(dict.fromkeys(known["roi"])))
    kept = ["roi", "readout", "training_images", "sessions", "model", "n_targets", *_R]
    by = ["order", "readout", "training_images", "model"]
    return known.assign(order=order).sort_values(by)[kept]


_R = ("r", "r_low", "r_high")


def _curve_of(member: pd.Series[Any]) -> str:
    name, plus, _ = str(member["member"]).rpartition("+")
    return name if plus else f"{member['encoder']}, {member['backbone']}"


def column(table: pd.DataFrame, name: str) -> Floats:
    """A column as float64 (rows,); NaN where it is missing."""
    if name not in table:
        return np.full(len(table), np.nan)
    return pd.to_numeric(table[name], errors="coerce").to_numpy(dtype=np.float64)


def mean(table: pd.DataFrame, name: str) -> float:
    """Mean of what is defined in a column."""
    values = column(table, name)
    return target_average(values) if len(values) else float("nan")


def _share(mask: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
    return float(mask[known].mean()) if known.any() else float("nan")
