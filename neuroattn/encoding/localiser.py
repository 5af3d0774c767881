"""A category localiser in silico: predicted responses to pictures by category, as contrasts.

Each category is contrasted with all other pictures, as the fLoc localiser's maps of NSD are
(Stigliani, Weiner & Grill-Spector 2015; Allen et al. 2022), and each map of predicted selectivity
is held against what the localiser measured: Pearson's r with the t values over targets, and the
area under the ROC curve of the regions that were drawn on them. Intervals are over pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import derive_seed
from neuroattn.core.tables import rois_of
from neuroattn.stats.selectivity import (
    Agreement,
    Selectivity,
    areas,
    correlations,
    resampled,
    selectivity,
    with_interval,
)

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SELECTIVITY, TABLE = "selectivity.tsv", "localiser.tsv"
FEWEST = 5  # pictures on either side of a contrast
#: Names of pictures' categories by the contrast of NSD's localiser that they belong to.
DOMAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "faces": ("face", "adult", "child"),
    "bodies": ("body", "limb"),
    "places": ("place", "house", "corridor", "scene"),
    "characters": ("character", "word", "number"),
    "objects": ("object", "car", "instrument"),
}
#: Regions drawn on the maps of each contrast, in NSD and in its simulation.
REGIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "places": ("OPA", "PPA", "RSC"),
    "characters": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
}


def domain(category: str) -> str:
    """The contrast that a picture's category belongs to: its domain, or its own name."""
    name = category.strip().lower()
    for found, members in DOMAINS.items():
        if name == found or name.removesuffix("s") in members or name in members:
            return found
    return name


def groups(categories: Sequence[frozenset[str]]) -> dict[str, Mask]:
    """Pictures of each contrast (pictures,): those with enough pictures on either side.

    Parameters
    ----------
    categories : what each picture shows.
    """
    shown = [{domain(name) for name in names} for names in categories]
    found = {name: np.array([name in own for own in shown]) for name in sorted(set().union(*shown))}
    return {
        name: inside
        for name, inside in found.items()
        if min(inside.sum(), (~inside).sum()) >= FEWEST
    }


@dataclass(frozen=True)
class Localiser:
    """What is compared, and against what.

    Parameters
    ----------
    contrasts : pictures (pictures,) of each.
    measured : t values (targets,) of a localiser by contrast, as far as there are any.
    rois : the ``rois`` cell of every target.
    spread : (targets,) standard deviation of the measured responses, the unit of differences.
    draws : bootstrap draws of the pictures.
    """

    contrasts: Mapping[str, Mask]
    measured: Mapping[str, Floats]
    rois: Sequence[str]
    spread: Floats
    draws: int
    seed: int

    def run(self, predicted: NDArray[np.float32]) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Maps by target (`SELECTIVITY`), and how they agree with what was measured (`TABLE`).

        Parameters
        ----------
        predicted : (pictures, targets).
        """
        values = predicted / np.where(self.spread > 0, self.spread, np.nan)
        maps: dict[str, Floats] = {}
        rows: list[dict[str, object]] = []
        for name, inside in self.contrasts.items():
            found = selectivity(values, inside)
            maps |= {f"difference-{name}": found.difference, f"t-{name}": found.t}
            if name in REGIONS:
                maps[f"region-{name}"] = self.members(name).astype(np.float64)
            if name in self.measured:
                maps[f"measured-{name}"] = self.measured[name]
            rows += self._agreement(name, values, inside, found)
        return pd.DataFrame(maps), pd.DataFrame(rows)

    def members(self, contrast: str) -> Mask:
        """Targets (targets,) in a region that is drawn on the contrast."""
        wanted = set(REGIONS.get(contrast, ()))
        return np.array([bool(wanted & set(rois_of(cell))) for cell in self.rois])

    def _agreement(
        self, name: str, values: Floats, inside: Mask, found: Selectivity
    ) -> list[dict[str, object]]:
        measured = self.measured.get(name, np.full(values.shape[1], np.nan))
        members = self.members(name)
        drawn: dict[str, list[Floats]] = {key: [] for key in ("dr", "da", "tr", "ta")}
        seed = derive_seed(self.seed, "localiser", name)
        for maps in resampled(values, inside, self.draws, seed):
            for key, each in (("d", maps.difference), ("t", maps.t)):
                drawn[f"{key}r"].append(correlations(each, measured))
                drawn[f"{key}a"].append(areas(each, members))
        rows = []
        for key, title, each in (("d", "difference", found.difference), ("t", "t", found.t)):
            r = _with(correlations(each[None], measured), drawn[f"{key}r"])
            area = _with(areas(each[None], members), drawn[f"{key}a"])
            rows.append(
                {
                    "contrast": name, "measure": title, "n_pictures": int(inside.sum()),
                    "n_others": int((~inside).sum()),
                    "n_targets": int((np.isfinite(each) & np.isfinite(measured)).sum()),
                    "n_region": int((np.isfinite(each) & members).sum()),
                    "r": r.value, "r_low": r.low, "r_high": r.high,
                    "auc": area.value, "auc_low": area.low, "auc_high": area.high,
                }
            )  # fmt: skip
        return rows


def _with(value: Floats, drawn: list[Floats]) -> Agreement:
    return with_interval(float(value[0]), np.concatenate(drawn) if drawn else np.empty(0), 1.0)


def summary(table: pd.DataFrame) -> dict[str, float]:
    """Metrics: ``localiser.<contrast>.r`` and ``.auc`` of the differences, where defined."""
    rows = table[table["measure"] == "difference"]
    return {
        f"localiser.{row['contrast']}.{name}": float(row[name])
        for _, row in rows.iterrows()
        for name in ("r", "auc")
        if np.isfinite(row[name])
    }
