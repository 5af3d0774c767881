"""What is mapped: scores, their ceilings and differences, by target, with words and scales."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.core.artefact import Artefact
from neuroattn.core.errors import ConfigError
from neuroattn.core.tables import SCORES, read_tsv
from neuroattn.figures.cortex import Key
from neuroattn.maps.registry import MapsConfig

Values = NDArray[np.float64]
CEILING = "nc"
TITLES = {
    "r": ("Prediction accuracy", "Pearson r, mean over folds"),
    "r_squared": ("Explained variance", "r², mean over folds"),
    "r2": ("Coefficient of determination", "R²"),
    "r_pooled": ("Pooled prediction accuracy", "Pearson r over all test images"),
    "r_squared_over_nc": ("Explained variance over the ceiling", "r² / noise ceiling"),
    CEILING: ("Noise ceiling", "explainable share of the variance"),
    "p": ("Chance level", "p, permutation of images"),
    "q": ("Chance level, corrected", "q, false discovery rate"),
}
_TEXT = ("target", "rois", "hemisphere")
_PLACE = ["target", "hemisphere", "vertex"]


@dataclass(frozen=True, eq=False)
class Layer:
    """One map, by target.

    Parameters
    ----------
    stat : its name in files; ``r-difference`` is a difference of ``r``.
    values : (targets,), NaN where there are none.
    limits : ends of the colour scale.
    beside : the ceiling in the units of ``values`` (targets,), and its title.
    drawn, key : numbers of colours (targets,) that are drawn in place of values, and the colours.
    files : maps that are written in place of the values, by name; None writes the values.
    source, note : the artefact that it is of, and what is said of it; "" for scores.
    """

    stat: str
    title: str
    unit: str
    values: Values
    limits: tuple[float, float]
    diverging: bool = False
    beside: tuple[str, Values] | None = None
    drawn: Values | None = None
    key: Key | None = None
    files: Mapping[str, Values] | None = None
    source: str = ""
    note: str = ""

    @property
    def units(self) -> str:
        """The units without what is said of the picture."""
        return self.unit.split(";")[0]


def scores_of(encode: Artefact) -> pd.DataFrame:
    """The table of scores of an encoder."""
    return read_tsv(encode.path("scores.tsv"), SCORES)


def check_same_targets(first: Artefact, second: Artefact) -> None:
    """Scores are subtracted target by target, so these must be the same places.

    Raises
    ------
    ConfigError : they are not.
    """
    left, right = (item.table("targets.tsv") for item in (first, second))
    columns = [name for name in _PLACE if name in left and name in right]
    if len(left) == len(right) and left[columns].equals(right[columns]):
        return
    raise ConfigError(
        "the encoders predict different targets, so there is no difference to map",
        file=second.folder,
        expected=f"the {len(left)} targets of {first.label}, in their order",
        found=f"{len(right)} targets",
        fix="subtract an encoder that was fitted to the same dataset",
    )


def layers(
    options: MapsConfig, scores: pd.DataFrame, other: pd.DataFrame | None, names: tuple[str, str]
) -> list[Layer]:
    """Every map that is asked for, and those that belong beside it.

    Parameters
    ----------
    other : scores to subtract, row by row; None without.
    names : of both encoders.

    Raises
    ------
    ConfigError : a score that the table does not have.
    """
    _check_stats(options.stats, scores, names[0])
    found = [_layer(options, stat, scores) for stat in options.stats]
    if CEILING not in options.stats and _known(scores, CEILING):
        found.append(_layer(options, CEILING, scores))
    if other is not None:
        _check_stats(options.stats, other, names[1])
        found += [_difference(options, stat, scores, other, names) for stat in options.stats]
    return found


def significant(level: float, tables: Sequence[pd.DataFrame]) -> NDArray[np.bool_]:
    """Targets (targets,) with q at or below ``level`` in one of the tables at least.

    Raises
    ------
    ConfigError : nothing was permuted.
    """
    for table in tables:
        if not _known(table, "q"):
            raise ConfigError(
                "the scores have no q, so no target is known to be above chance",
                expected="scores of an encoder with scoring.permutations above 0",
                found="no q",
                fix="set maps.significant=null, or encode with scoring.permutations=1000",
            )
    passed = np.stack([numbers(table["q"]) <= level for table in tables])
    return np.asarray(passed.any(axis=0))


def numbers(column: pd.Series[Any]) -> Values:
    """A column as float64, NaN where missing."""
    return np.asarray(pd.to_numeric(column, errors="coerce"), dtype=np.float64)


def _layer(options: MapsConfig, stat: str, scores: pd.DataFrame) -> Layer:
    title, unit = TITLES.get(stat, (stat, stat))
    beside = None
    if stat in ("r", "r_squared", "r2") and _known(scores, CEILING):
        ceiling = numbers(scores[CEILING]).clip(min=0)
        beside = ("Noise ceiling", np.sqrt(ceiling) if stat == "r" else ceiling)
        unit += "; right: √ of the noise ceiling" if stat == "r" else "; right: noise ceiling"
    tops = {"r": options.top, "r_pooled": options.top, "r_squared": options.top**2}
    top = tops.get(stat, options.top**2 if stat == "r2" else 1.0)
    return Layer(stat, title, unit, numbers(scores[stat]), (0.0, top), beside=beside)


def _difference(
    options: MapsConfig,
    stat: str,
    scores: pd.DataFrame,
    other: pd.DataFrame,
    names: tuple[str, str],
) -> Layer:
    title, unit = TITLES.get(stat, (stat, stat))
    return Layer(
        stat=f"{stat}-difference",
        title=f"{title}: {names[0]} minus {names[1]}",
        unit=f"difference of {unit.split(',')[0]}; red: {names[0]} is better",
        values=numbers(scores[stat]) - numbers(other[stat]),
        limits=(-options.span, options.span),
        diverging=True,
    )


def _known(scores: pd.DataFrame, name: str) -> bool:
    return name in scores and bool(scores[name].notna().any())


def _check_stats(stats: Sequence[str], scores: pd.DataFrame, name: str) -> None:
    absent = [stat for stat in stats if stat not in scores.columns]
    if absent:
        raise ConfigError(
            f"the scores have no column {', '.join(absent)}",
            file=f"scores.tsv of {name}",
            expected=" | ".join(name for name in scores.columns if name not in _TEXT),
            found=", ".join(absent),
            fix="choose maps.stats among them",
        )
