"""What is captioned: gated targets and null targets, each with its weight or its top pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from neuroattn.captioning.bank import Bank
from neuroattn.captioning.gates import (
    SELECTION,
    Gate,
    evidence,
    evidence_of_nulls,
    gate_nulls,
)
from neuroattn.captioning.linear import space_weights
from neuroattn.captioning.nulls import Again, Nulls, drawn, refitted, untrained
from neuroattn.captioning.registry import CaptionConfig, Measure, Scored
from neuroattn.captioning.top_route import top_pictures
from neuroattn.core.artefact import Artefact
from neuroattn.core.atomic import ensure_folder
from neuroattn.core.errors import ConfigError
from neuroattn.core.seeding import derive_seed, generator
from neuroattn.core.stage import StageContext
from neuroattn.data.prepared import Prepared
from neuroattn.data.registry import DatasetConfig, Normalise
from neuroattn.data.splits import Fold, folds
from neuroattn.encoding.encoder import selected
from neuroattn.encoding.readout import DESCRIPTION, read_model
from neuroattn.encoding.registry import EncoderConfig, TrainedConfig
from neuroattn.encoding.sides import Side, Unit, images_of, units_of
from neuroattn.encoding.trained import held_out
from neuroattn.features.store import FeatureStore

Ids = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Rows:
    """What is captioned, row by row.

    Parameters
    ----------
    table : target null gated r nc measure evidence.
    weights : (rows, dim) in the space of the encoder; None where it is no image-text space.
    top : (rows, n) places in the bank with the highest predicted activation; None with weights.
    ranked : the images whose r says how rarely a null target is predicted as well.
    """

    table: pd.DataFrame
    weights: NDArray[np.float32] | None
    top: Ids | None
    ranked: Scored


@dataclass(frozen=True, eq=False)
class Fitted:
    """The encoder of one fold, for the targets that were fitted together.

    Parameters
    ----------
    columns : (targets,) the dataset's targets that the model predicts, in its order.
    held : (images,) the unit's training images that the model held out to select; None where the
        readout has no such images or does not say which.
    """

    unit: Unit
    side: Side
    model: Any
    columns: Ids
    held: Ids | None = None


def chosen_fold(prepared: Prepared, dataset: DatasetConfig, number: int) -> Fold:
    """The fold whose encoder is captioned.

    Raises
    ------
    ConfigError : there is no such fold.
    """
    plan = folds(prepared, dataset.split)
    if number >= len(plan):
        raise ConfigError(
            "there is no such fold",
            expected=f"caption.fold from 0 to {len(plan) - 1}",
            found=number,
            fix="set caption.fold to one of them",
        )
    return plan[number]


def fitted_parts(context: StageContext, prepared: Prepared, fold: Fold) -> list[Fitted]:
    """The encoder of a fold, part by part: whole, or subject by subject."""
    encode = context.parents["encode"]
    config = context.section("encoder", EncoderConfig)
    dataset = context.section("dataset", DatasetConfig)
    parts, units = [], units_of(prepared)
    sides = {
        unit.name: images_of(fold, unit, config.images, context.seed, config.sessions)
        for unit in units
    }
    everyone = np.unique(np.concatenate([train for train, _ in sides.values()]))
    seed = derive_seed(context.seed, "encode", fold.name)
    for unit in units:
        name = f"fold-{fold.index}-{unit.name}" if unit.name else f"fold-{fold.index}"
        joint = f"{name}/{DESCRIPTION}" not in encode.files
        folder = f"fold-{fold.index}" if joint else name
        train, test = sides[unit.name]
        view = unit.data
        if dataset.normalise is not Normalise.none:
            whole, _ = images_of(fold, unit, None, context.seed)
            seen = whole if dataset.normalise is Normalise.session_train else None
            view = view.scaled(view.session_scale(seen))
        columns = _fitted_columns(encode, folder, prepared, unit, joint)
        own = np.flatnonzero(np.isin(unit.columns, columns))
        side = Side(unit, view, train, test, own)
        held = _held_out(config, everyone if joint else train, train, seed)
        parts.append(Fitted(unit, side, read_model(config, encode, folder), columns, held))
    return parts


def _held_out(config: EncoderConfig, fitted: Ids, own: Ids, seed: int) -> Ids | None:
    """Those of a unit's ``own`` training images that chose the epoch of a trained readout."""
    if not isinstance(config, TrainedConfig) or config.sessions:
        return None
    return np.intersect1d(held_out(fitted, config.selection, seed), own)


def _fitted_columns(
    encode: Artefact, folder: str, prepared: Prepared, unit: Unit, joint: bool
) -> Ids:
    everything = np.arange(len(prepared.targets)) if joint else unit.columns
    columns = selected(encode, folder)
    return everything if columns is None else np.asarray(everything[columns])


def rows_of(
    context: StageContext, parts: list[Fitted], scores: pd.DataFrame, gate: Gate, bank: Bank
) -> Rows:
    """Gated targets and null targets of all parts."""
    config = context.section("caption", CaptionConfig)
    tables, weights, tops = [], [], []
    share = -(-config.nulls // len(parts))
    left = config.nulls
    for part in parts:
        count, left = min(share, left), max(0, left - share)
        own = np.flatnonzero(gate.passed & np.isin(np.arange(len(scores)), part.unit.columns))
        nulls = _nulls(context, part, scores, count)
        tables.append(_table(part, own, nulls, scores, gate))
        found = space_weights(part.model)
        if found is not None:
            weights.append(_side_by_side(found[np.searchsorted(part.columns, own)], nulls))
        else:
            tops.append(_top(context, part, own, nulls, bank))
    table = pd.concat(tables, ignore_index=True)
    ranked = ranked_on(table, gate)
    return Rows(
        with_evidence(table, ranked),
        np.concatenate(weights) if weights else None,
        np.concatenate(tops) if tops else None,
        ranked,
    )


def _nulls(context: StageContext, part: Fitted, scores: pd.DataFrame, count: int) -> Nulls:
    config = context.section("caption", CaptionConfig)
    candidates = part.side.fitted
    if config.gate.measure is Measure.corrected:  # the hardest ones: each has a ceiling
        ceiling = scores["nc"].to_numpy(np.float64)[part.unit.columns[candidates]]
        candidates = candidates[ceiling >= config.gate.min_ceiling]
    columns = drawn(candidates, count, context.seed, part.unit.name)
    features = FeatureStore(context.parents["features"])
    if not len(columns):
        return Nulls(columns, np.zeros(0), np.zeros(0))
    if space_weights(part.model) is None:
        return untrained(
            part.side, columns, _Columns(part), features, seed=context.seed, held=part.held
        )
    again = Again(
        features,
        context.section("encoder", EncoderConfig),
        context.seed,
        ensure_folder(context.out.work / f"nulls-{part.unit.name}"),
        context.config.runtime.device.value,
    )
    return refitted(part.side, columns, again)


class _Columns:
    """A model that predicts the fitted targets of one unit, also where several are joint."""

    def __init__(self, part: Fitted) -> None:
        wanted = part.unit.columns[part.side.fitted]
        self.model, self.at = part.model, np.searchsorted(part.columns, wanted)

    def predict(self, features: Any, images: Ids) -> NDArray[np.float32]:
        """(images, fitted targets of the unit)."""
        out: NDArray[np.float32] = self.model.predict(features, images)[:, self.at]
        return out


def _side_by_side(real: NDArray[np.float32], nulls: Nulls) -> NDArray[np.float32]:
    if nulls.model is None:
        return real
    found = space_weights(nulls.model)
    return real if found is None else np.concatenate([real, found])


def _top(context: StageContext, part: Fitted, own: Ids, nulls: Nulls, bank: Bank) -> Ids:
    """Top places of real targets; of a null target, whose predictions mean nothing, any places."""
    count, seed = context.section("caption", CaptionConfig).top_n, context.seed
    places, _ = top_pictures(part.model, bank, np.searchsorted(part.columns, own), count)
    rng = generator(seed, "nulls", "top", part.unit.name)
    count = min(count, len(bank))
    drawn = [rng.choice(len(bank), count, replace=False) for _ in nulls.columns]
    return np.concatenate([places, np.array(drawn, dtype=np.int64).reshape(-1, count)])


def _table(part: Fitted, own: Ids, nulls: Nulls, scores: pd.DataFrame, gate: Gate) -> pd.DataFrame:
    source, config = part.unit.columns[nulls.columns], gate.config
    ceiling = _of(scores, "nc")
    # Nulls of a readout that does not say what it held out were tested alone: that stands in.
    selection = np.full(len(source), np.nan) if nulls.selection is None else nulls.selection
    known = nulls.selection if gate.images is Scored.training else None
    r = nulls.r if known is None else known
    let_through = gate_nulls(r, nulls.p, ceiling[source], gate)
    squared = np.where(r > 0, r**2, 0.0)
    corrected = config.measure is Measure.corrected
    null_measure = squared / ceiling[source] if corrected else squared
    return pd.DataFrame(
        {
            "target": np.concatenate([own, source]),
            "null": np.repeat([False, True], [len(own), len(source)]),
            "gated": np.concatenate([gate.passed[own], let_through]),
            "r": np.concatenate([_of(scores, "r")[own], nulls.r]),
            SELECTION: np.concatenate([_of(scores, SELECTION)[own], selection]),
            "nc": ceiling[np.concatenate([own, source])],
            "measure": np.concatenate([gate.measure[own], null_measure]),
        }
    )


def _of(scores: pd.DataFrame, name: str) -> NDArray[np.float64]:
    found = scores.get(name)
    return np.full(len(scores), np.nan) if found is None else np.asarray(found, np.float64)


def ranked_on(table: pd.DataFrame, gate: Gate) -> Scored:
    """On which images targets are ranked among null targets: the gate's, where nulls have them."""
    nulls = table.loc[table["null"], SELECTION].to_numpy(np.float64)
    return gate.images if np.isfinite(nulls).all() else Scored.test


def with_evidence(table: pd.DataFrame, ranked: Scored) -> pd.DataFrame:
    """Beside each row, how rarely a null target is predicted as well on these images."""
    name = SELECTION if ranked is Scored.training else "r"
    null, r = table["null"].to_numpy(bool), table[name].to_numpy(np.float64)
    found = np.full(len(table), np.nan)
    found[~null] = evidence(r[~null], r[null])
    if null.sum() > 1:
        found[null] = evidence_of_nulls(r[null])
    return table.drop(columns=SELECTION).assign(evidence=found)
