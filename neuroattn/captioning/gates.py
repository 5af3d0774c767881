"""Which targets are captioned, and how far a caption can be trusted.

A weight fitted to noise projects onto the bank as well as any other, and its caption reads as
naturally. So a caption is given only where the encoder explains the target, and what it says of
null targets (shuffled responses) stands beside it. Which targets are shown should not be decided
by the images that then say how well they are explained: the gate takes r on training images that
were held out to select, wherever the encoder keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.registry import GateConfig, Measure, Scored
from neuroattn.core.errors import DataError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
CORRECTED, SELECTION = "r_squared_over_nc", "r_selection"


@dataclass(frozen=True, eq=False)
class Gate:
    """What was asked of each target.

    Parameters
    ----------
    measure : (targets,) what is compared with the threshold; NaN where unknown.
    passed : (targets,) whether it is captioned.
    reason : (targets,) why not; empty where it is.
    config : what was asked.
    largest_p : largest p value of a target that is significant; 1 where nothing was asked.
    images : on which images targets were scored, which may not be those asked for.
    """

    measure: Floats
    passed: Bools
    reason: NDArray[np.str_]
    config: GateConfig
    largest_p: float
    images: Scored = Scored.test


def scored_on(scores: pd.DataFrame, config: GateConfig) -> Scored:
    """On which images targets can be scored as asked: test images where no others are known."""
    known = np.isfinite(_column(scores, SELECTION)).any()
    return config.images if known else Scored.test


def gate(scores: pd.DataFrame, config: GateConfig, chosen: Bools | None = None) -> Gate:
    """Apply the gate to the encoder's scores.

    Parameters
    ----------
    scores : ``scores.tsv`` of the encoder, with r of the captioned fold (`fold_scores`).
    chosen : (targets,) those in the regions asked for; None is all.

    Raises
    ------
    DataError : the gate divides by the ceiling, and no target has one.
    """
    images = scored_on(scores, config)
    trained = images is Scored.training
    r = _column(scores, SELECTION if trained else "r")
    squared = np.where(np.isnan(r), np.nan, np.clip(r, 0, None) ** 2)
    squared = squared if trained else _column(scores, "r_squared")
    everything = np.ones(len(scores), dtype=bool), 1.0
    significant, largest_p = everything if trained else _significant(scores, config)
    if config.measure is Measure.corrected:
        ceiling = _column(scores, "nc")
        _check_ceiling(ceiling)
        low = ~(ceiling >= config.min_ceiling)
        measure = np.where(low, np.nan, _ratio(squared, ceiling))
    else:
        low = np.zeros(len(scores), dtype=bool)
        measure = squared
    reason = np.full(len(scores), "", dtype="U24")
    reason[~(measure >= config.threshold)] = "below the threshold"
    reason[~(r > 0)] = "not predicted"
    reason[~significant & (reason == "")] = "not significant"
    reason[low] = "no noise ceiling"
    reason[~np.isfinite(r)] = "not fitted"
    if chosen is not None:
        reason[~chosen] = "not asked for"
    return Gate(measure, np.asarray(reason == ""), reason, config, largest_p, images)


def gate_nulls(r: Floats, p: Floats, ceiling: Floats, real: Gate) -> Bools:
    """Whether null targets (rows,) would be let through by the same rule.

    Parameters
    ----------
    r : on the images on which real targets were scored; p : of r on test images.
    ceiling : of the target whose responses were shuffled.
    """
    squared, config = np.where(r > 0, r**2, 0.0), real.config
    measure = _ratio(squared, ceiling) if config.measure is Measure.corrected else squared
    return np.asarray((r > 0) & (measure >= config.threshold) & (p <= real.largest_p))


def _significant(scores: pd.DataFrame, config: GateConfig) -> tuple[Bools, float]:
    everything = np.ones(len(scores), dtype=bool)
    if config.q >= 1 or "q" not in scores or not np.isfinite(_column(scores, "q")).any():
        return everything, 1.0
    found = np.asarray(_column(scores, "q") <= config.q)
    p = _column(scores, "p")[found]
    return found, float(p.max()) if len(p) else 0.0


def _check_ceiling(ceiling: Floats) -> None:
    if not np.isfinite(ceiling).any():
        raise DataError(
            "no target has a noise ceiling, so no score can be corrected for it",
            expected="repeated pictures, or a ceiling that came with the dataset",
            found="none (column nc of the encoder's scores)",
            fix="set caption.gate.measure=r_squared; every table then says so",
        )


def _column(scores: pd.DataFrame, name: str) -> Floats:
    if name not in scores:
        return np.full(len(scores), np.nan)
    return np.asarray(scores[name], dtype=np.float64)


def _ratio(share: Floats, ceiling: Floats) -> Floats:
    known = np.isfinite(ceiling) & (ceiling > 0)
    out: Floats = np.divide(share, ceiling, out=np.full(len(share), np.nan), where=known)
    return out


def evidence(r: Floats, nulls: Floats) -> Floats:
    """1 - p (rows,): how rarely a null target is predicted as well; NaN without nulls.

    A null target is compared with the other nulls: pass it without itself.
    """
    if not len(nulls):
        return np.full(len(r), np.nan)
    ordered = np.sort(nulls)
    above = len(nulls) - np.searchsorted(ordered, r, side="left")
    return np.asarray(1 - (1 + above) / (1 + len(nulls)))


def evidence_of_nulls(nulls: Floats) -> Floats:
    """`evidence` of each null target among the others."""
    return np.array([evidence(nulls[[row]], np.delete(nulls, row))[0] for row in range(len(nulls))])


def confidence(evidence: Floats, stability: Floats, sure: Floats) -> Floats:
    """How far captions can be trusted (rows,), 0 to 1: the product of three shares.

    Parameters
    ----------
    evidence : that the target prefers anything (against null targets).
    stability : that the bank does not matter (cosine of projections over its draws).
    sure : that the captioner means what it says.

    A part that is not known (NaN) takes no part.
    """
    product = np.ones(len(sure))
    for part in (evidence, stability, sure):
        product *= np.where(np.isfinite(part), np.clip(part, 0, 1), 1.0)
    return product.round(6)  # the last bits depend on how many captions were written at a time
