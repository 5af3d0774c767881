"""How well scores are known: p values and intervals of each target, and of each region.

Test images are permuted, and drawn again, within folds and equally at all targets
(`neuroattn.stats.permutation`, `neuroattn.stats.bootstrap`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.seeding import derive_seed
from neuroattn.core.tables import RESAMPLED
from neuroattn.encoding.evaluate import FoldResult, roi_rows
from neuroattn.encoding.registry import ScoringConfig
from neuroattn.stats.bootstrap import bootstrap_r, percentile_interval
from neuroattn.stats.permutation import permutation_test

ALL = "all targets"
FEWEST = 3  # test images of a fold that can be permuted at all

Table = NDArray[np.float32]
Floats = NDArray[np.float64]
Sides = tuple[Table, Table, NDArray[np.int64]]


def resampled(
    scores: pd.DataFrame, results: Sequence[FoldResult], options: ScoringConfig, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Columns (r_low, r_high, p, q, p_max) for each target, and a table of regions.

    Folds of fewer than `FEWEST` test images give neither: the columns are then NaN.

    Returns
    -------
    (targets, …) in the order of ``scores``; and a row for all targets and for each region:
    roi, n_targets, r, r_low, r_high, r_squared, nc, r_squared_over_nc, share_q05 (the share of
    its targets above chance at an FDR of 5 %).
    """
    found = resample(scores, results, options, seed)
    q = found.columns["q"].to_numpy()
    return found.columns, region_table(scores, q, found.regions, found.means)


@dataclass(frozen=True, eq=False)
class Resampled:
    """What resampling gave for some targets.

    Parameters
    ----------
    columns : (r_low, r_high, p, q, p_max) for each target.
    regions : rows of each region, all targets first.
    total, known : (draws, regions) sum of the defined r of its targets in each draw, and their
        number; None where nothing was drawn.
    """

    columns: pd.DataFrame
    regions: dict[str, NDArray[np.int64]]
    total: Floats | None = None
    known: Floats | None = None

    @property
    def means(self) -> Floats | None:
        """Mean r of each region in each draw (draws, regions)."""
        if self.total is None or self.known is None:
            return None
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(self.total / self.known)


def resample(
    scores: pd.DataFrame, results: Sequence[FoldResult], options: ScoringConfig, seed: int
) -> Resampled:
    """Permute and draw again the test images of one subject's folds."""
    sides = _joined(results)
    enough = min(len(result.test) for result in results) >= FEWEST
    columns = {name: np.full(len(scores), np.nan) for name in RESAMPLED}
    regions = {ALL: np.arange(len(scores)), **roi_rows(scores["rois"])}
    total = known = None
    if enough and options.bootstraps:
        draws_seed = derive_seed(seed, "bootstrap")
        columns["r_low"], columns["r_high"], total, known = _intervals(
            sides, list(regions.values()), options.bootstraps, draws_seed
        )
    if enough and options.permutations:
        test = permutation_test(
            *sides, draws=options.permutations, seed=derive_seed(seed, "permutation")
        )
        columns |= {"p": test.p, "q": test.q, "p_max": test.p_max}
    return Resampled(pd.DataFrame(columns), regions, total, known)


def _joined(results: Sequence[FoldResult]) -> Sides:
    """Predicted, measured (rows, targets) and fold (rows,) of all test images."""
    predicted = np.concatenate([result.predicted for result in results])
    measured = np.concatenate([result.measured for result in results])
    fold = np.concatenate([np.full(len(result.test), result.index) for result in results])
    return predicted, measured, fold


def _intervals(
    sides: Sides, regions: list[NDArray[np.int64]], draws: int, seed: int
) -> tuple[Floats, Floats, Floats, Floats]:
    """Ends of each target's interval; sum and number of r of each region in each draw."""
    count = sides[0].shape[1]
    low, high = np.full(count, np.nan), np.full(count, np.nan)
    member = np.zeros((count, len(regions)))
    for index, rows in enumerate(regions):
        member[rows, index] = 1
    total, known = np.zeros((draws, len(regions))), np.zeros((draws, len(regions)))
    for part, r in bootstrap_r(*sides, draws=draws, seed=seed):
        low[part], high[part] = percentile_interval(r)
        defined = np.isfinite(r)
        total += np.where(defined, r, 0.0) @ member[part]
        known += defined.astype(float) @ member[part]
    return low, high, total, known


def region_table(
    scores: pd.DataFrame, q: Floats, regions: dict[str, NDArray[np.int64]], means: Floats | None
) -> pd.DataFrame:
    """A row for each region, see `resampled`."""
    table = []
    for index, (name, rows) in enumerate(regions.items()):
        part = scores.iloc[rows]
        draws = None if means is None else means[:, index]
        known = draws is not None and bool(np.isfinite(draws).all())
        low, high = percentile_interval(draws) if known and draws is not None else (np.nan, np.nan)
        row: dict[str, Any] = {"roi": name, "n_targets": len(part), "r": _mean(part["r"])}
        row |= {"r_low": float(low), "r_high": float(high)}
        row |= {name: _mean(part[name]) for name in ("r_squared", "nc", "r_squared_over_nc")}
        tested = q[rows][np.isfinite(q[rows])]
        row["share_q05"] = float((tested <= 0.05).mean()) if tested.size else np.nan
        table.append(row)
    return pd.DataFrame(table)


def _mean(column: pd.Series[Any]) -> float:
    known = column.to_numpy(dtype=np.float64)
    known = known[np.isfinite(known)]
    return float(known.mean()) if known.size else np.nan
