"""How good the pictures are, by everything but the guide that made them.

Sets of one objective are held side by side: the guided pictures, the share of them that the
guide selects, the unguided ones of the same seeds, the same share of those (the best of n at
equal numbers), and the real pictures that the guide puts highest. Differences are paired by
seed.

===================  ==========================================================================
measure              of a picture, or of a set
===================  ==========================================================================
guide, judge         predicted activation; the judge saw other pictures through another network
gap                  guide less judge: what only the guide believes
referee              the preferred category is there, by a detector of things
zero_shot            the preferred category's words are the nearest of all categories' words
nearest_features     1 - cosine to the nearest training picture
nearest_pixels       root mean squared difference to it, at 32 pixels; 0 is a copy
frechet              Fréchet distance of features to training pictures (the set)
frechet_class        the same to the fifth of them that the judge puts highest
diversity            1 - cosine over all pairs (the set)
===================  ==========================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.stats.pictures import best_scale as best_of_scales
from neuroattn.stats.pictures import (
    diversity,
    frechet,
    leading,
    mean_and_interval,
    nearest,
    nearest_pixels,
)
from neuroattn.synthesis.views import Pictures, Views, preferred, small
from neuroattn.synthesis.wishes import Wish

Floats = NDArray[np.float64]
NONE, SELECTED = "none", "selected"
MEASURES: Final = ("objective", "set", "selected", "measure", "value", "low", "high", "n")
GAINS: Final = ("objective", "method", "measure", "gain", "low", "high", "n")
MATRIX: Final = ("objective", "method", "region", "by", "value", "low", "high", "z", "own")
_CLASS_SHARE = 0.2
_FEWEST = 4  # pictures for a distance of sets
_PAIRED = ("guide", "judge", "referee", "zero_shot")


@dataclass(frozen=True, eq=False)
class Reference:
    """Real training pictures.

    Parameters
    ----------
    features, pixels : (pictures, …).
    values : objective -> (pictures,) activation by the judge, or by the guide without one.
    """

    features: Floats
    pixels: Floats
    values: Mapping[str, Floats]


@dataclass(frozen=True, eq=False)
class Seen:
    """What the views say of each file: numbers by measure, features, the nearest words."""

    rows: Mapping[str, int]
    features: Floats
    pixels: Floats
    referee: Mapping[str, Floats]
    matched: Sequence[str]


def look(files: Sequence[str], blocks: Iterable[Pictures], views: Views) -> Seen:
    """Show pictures, in the order of their files and some at a time, to all views once."""
    seen = [
        (views.features(block), small(list(block)), views.judged(block), views.matched(block))
        for block in blocks
    ]
    features, pixels, judged, matched = zip(*seen, strict=True)
    return Seen(
        {file: row for row, file in enumerate(files)},
        np.concatenate(features),
        np.concatenate(pixels),
        {name: np.concatenate([one[name] for one in judged]) for name in judged[0]},
        [name for part in matched for name in part],
    )


def picture_table(
    table: pd.DataFrame, wishes: Sequence[Wish], seen: Seen, reference: Reference | None
) -> pd.DataFrame:
    """``images.tsv`` without the failed, with a column for each measure of a picture."""
    made = table[table["file"].notna() & table["file"].isin(list(seen.rows))].copy()
    rows = np.array([seen.rows[file] for file in made["file"]], dtype=np.int64)
    made["guide"], made["judge"] = made["guide_activation"], made["judge_activation"]
    made["gap"] = made["guide"] - made["judge"]
    kinds = {wish.text: preferred(wish) for wish in wishes}
    wanted = [kinds.get(text) for text in made["objective"]]
    made["referee"] = [
        seen.referee[kind][row] if kind and kind in seen.referee else np.nan
        for kind, row in zip(wanted, rows, strict=True)
    ]
    made["zero_shot"] = [
        float(seen.matched[row] == kind) if kind and len(seen.matched) else np.nan
        for kind, row in zip(wanted, rows, strict=True)
    ]
    if reference is not None:
        made["nearest_features"] = nearest(seen.features, reference.features)[0][rows]
        made["nearest_pixels"] = nearest_pixels(seen.pixels, reference.pixels)[rows]
    return made.assign(row=rows)


def sets(made: pd.DataFrame) -> Iterator[tuple[str, str, bool, pd.DataFrame]]:
    """(objective, method, selected, rows) of every set."""
    for (objective, method), rows in made.groupby(["objective", "method"], sort=False):
        yield str(objective), str(method), False, rows
        chosen = rows[rows["selected"].astype(bool)]
        if len(chosen) and len(chosen) < len(rows):
            yield str(objective), str(method), True, chosen


def measure_table(
    made: pd.DataFrame, seen: Seen, reference: Reference | None, directions: int, draws: int
) -> pd.DataFrame:
    """Every measure of every set (`MEASURES`); sets have an interval where pictures have values."""
    found: list[tuple[Any, ...]] = []
    per_picture = [
        name
        for name in ("guide", "judge", "gap", "referee", "zero_shot", "nearest_features",
                     "nearest_pixels")
        if name in made
    ]  # fmt: skip
    for objective, method, chosen, rows in sets(made):
        head = (objective, method, chosen)
        for name in per_picture:
            values = rows[name].to_numpy(dtype=np.float64)
            if np.isfinite(values).any():
                count = int(np.isfinite(values).sum())
                found.append((*head, name, *mean_and_interval(values, draws), count))
        for name, value in _of_set(rows, seen, reference, objective, directions).items():
            found.append((*head, name, value, np.nan, np.nan, len(rows)))
    return pd.DataFrame(found, columns=list(MEASURES))


def _of_set(
    rows: pd.DataFrame, seen: Seen, reference: Reference | None, objective: str, directions: int
) -> dict[str, float]:
    features = seen.features[rows["row"].to_numpy()]
    found = {"diversity": diversity(features)}
    if reference is None or len(features) < _FEWEST or len(reference.features) < _FEWEST:
        return found
    to = leading(reference.features, directions)
    found["frechet"] = frechet(to(features), to(reference.features))
    values = reference.values.get(objective)
    if values is not None:
        best = np.argsort(-values)[: max(_FEWEST, round(_CLASS_SHARE * len(values)))]
        found["frechet_class"] = frechet(to(features), to(reference.features[best]))
    return found


def gain_table(made: pd.DataFrame, draws: int) -> pd.DataFrame:
    """Guided less unguided pictures of the same seeds (`GAINS`), with intervals over seeds."""
    found: list[tuple[Any, ...]] = []
    for objective, rows in made.groupby("objective", sort=False):
        none = rows[rows["method"] == NONE].set_index("seed")
        for method, guided in rows[rows["method"] != NONE].groupby("method", sort=False):
            own = guided.set_index("seed")
            both = own.index.intersection(none.index)
            for name in _PAIRED:
                change = own.loc[both, name].to_numpy(float) - none.loc[both, name].to_numpy(float)
                if np.isfinite(change).any():
                    count = int(np.isfinite(change).sum())
                    told = mean_and_interval(change, draws)
                    found.append((objective, method, name, *told, count))
    return pd.DataFrame(found, columns=list(GAINS))


def matrix_table(
    made: pd.DataFrame, regions: pd.DataFrame, wishes: Sequence[Wish], draws: int
) -> pd.DataFrame:
    """Mean activation of every region to every set, by guide and judge (`MATRIX`).

    ``z`` counts from the unguided pictures, in their deviations over pictures; ``own`` marks the
    region that was asked for. Sets with method ``none`` have no objective.
    """
    table = regions.set_index("file")
    found: list[tuple[Any, ...]] = []
    plain, guided = made[made["method"] == NONE], made[made["method"] != NONE]
    by_set: list[tuple[str | None, str, pd.DataFrame]] = [
        (None, NONE, plain.drop_duplicates("file"))
    ]
    for (objective, method), rows in guided.groupby(["objective", "method"], sort=False):
        by_set.append((str(objective), str(method), rows))
    asked = {wish.text: asked_regions(wish) for wish in wishes}
    wide = {
        by: table.pivot_table(index="file", columns="region", values=f"{by}_activation", sort=False)
        for by in ("guide", "judge")
        if table[f"{by}_activation"].notna().any()
    }
    for by, values in wide.items():
        none = values.reindex(by_set[0][2]["file"])
        for objective, method, rows in by_set:
            own = values.reindex(rows["file"])
            for region in values.columns:
                told = mean_and_interval(own[region].to_numpy(float), draws)
                spread = float(none[region].std()) if len(none) > 1 else np.nan
                z = (told[0] - float(none[region].mean())) / spread if spread > 0 else np.nan
                is_own = objective is not None and region in asked.get(objective, ())
                found.append((objective, method, region, by, *told, z, is_own))
    return pd.DataFrame(found, columns=list(MATRIX))


def asked_regions(wish: Wish) -> frozenset[str]:
    """The regions that an objective raises, without their hemispheres."""
    raised = [part for part in wish.raised if part.factor > 0 and part.kind == "region"]
    names = [name for part in raised for name in part.regions]
    return frozenset(name.removeprefix("lh.").removeprefix("rh.") for name in names)


def referee_table(files: Sequence[str], seen: Seen) -> pd.DataFrame:
    """A row for each picture: presence of categories, places, and attributes."""
    return pd.DataFrame({"file": list(files), **seen.referee})


def headline(
    measures: pd.DataFrame, gains: pd.DataFrame, slugs: Mapping[str, str]
) -> dict[str, float]:
    """Numbers for ``metrics.json``: gains by objective, and ratios of distances to unguided."""
    found: dict[str, float] = {}
    for objective, measure, gain in zip(
        gains["objective"], gains["measure"], gains["gain"].astype(float), strict=True
    ):
        found[f"objective.{slugs[str(objective)]}.gain.{measure}"] = float(gain)
    chosen = measures["selected"].astype(bool)
    for which, rows in (("selected", measures[chosen]), ("all", measures[~chosen])):
        guided = rows[(rows["set"] != NONE) & (rows["measure"] == "zero_shot")]
        for objective, value in zip(
            guided["objective"], guided["value"].astype(float), strict=True
        ):
            found[f"objective.{slugs[str(objective)]}.zero_shot.{which}"] = float(value)
        if len(guided):
            found[f"zero_shot.{which}"] = float(guided["value"].astype(float).mean())
    whole = measures[~chosen]
    for (objective, measure), rows in whole.groupby(["objective", "measure"], sort=False):
        if not str(measure).startswith("frechet") and measure != "diversity":
            continue
        by_set = dict(zip(rows["set"].map(str), rows["value"].map(float), strict=True))
        none = by_set.pop(NONE, 0.0)
        for value in by_set.values():
            if none > 0:
                found[f"objective.{slugs[str(objective)]}.{measure}.ratio"] = value / none
    return found


def sweep_table(parts: Mapping[float, pd.DataFrame]) -> pd.DataFrame:
    """Scale against every measure: rows of ``evaluation.tsv`` of several runs, by scale.

    The unguided set of each run is its scale 0.
    """
    rows = []
    for scale, measures in sorted(parts.items()):
        whole = measures[~measures["selected"].astype(bool)]
        rows.append(whole[whole["set"] != NONE].assign(scale=scale))
        rows.append(whole[whole["set"] == NONE].assign(scale=0.0))
    table = pd.concat(rows, ignore_index=True)
    return table.drop_duplicates(["scale", "objective", "measure"]).sort_values(
        ["objective", "measure", "scale"], ignore_index=True
    )


def best_scale(sweep: pd.DataFrame, objective: str, limit: float = 1.1) -> float:
    """The scale with the highest judge activation whose Fréchet distance stays within ``limit``.

    Seeds of the sweep may not be those of the result: choose on some, report on others.

    Raises
    ------
    ValueError : the sweep has no such objective, or no scale stays within the limit.
    """
    own = sweep[sweep["objective"] == objective].pivot_table(
        index="scale", columns="measure", values="value"
    )
    by = "judge" if "judge" in own and own["judge"].notna().any() else "guide"
    scales, reached = own.index.to_numpy(dtype=float), own[by].to_numpy(dtype=float)
    realism = None
    if "frechet" in own and (scales == 0).any():
        distance = own["frechet"].to_numpy(dtype=float)
        realism = distance / distance[scales == 0][0]
    best = best_of_scales(scales, reached, realism, limit)
    if not np.isfinite(best):
        raise ValueError(f"no scale for {objective} among {scales.tolist()}")
    return best
