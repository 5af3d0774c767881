"""Null targets: real responses, shuffled over images, fitted and tested as the real ones were.

They are what a caption of nothing looks like. Each is a target with a noise ceiling whose
responses were permuted, once over training images and once over test images, so it has the same
distribution, the same number of images and the same solver behind it. Each has an order of its own:
under one order for all, targets that share a signal would share its chance, as if there were one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.core.seeding import derive_seed, generator
from neuroattn.data.registry import ResponsesMode
from neuroattn.encoding.readout import Features, TrainingSet
from neuroattn.encoding.registry import ENCODERS, EncoderConfig
from neuroattn.encoding.sides import Side, training_rows
from neuroattn.stats.correlation import pearson

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]
_FEWEST = 3  # images for a correlation


@dataclass(frozen=True, eq=False)
class Nulls:
    """Null targets of one unit.

    Parameters
    ----------
    columns : (nulls,) the unit's targets whose responses were shuffled.
    r, p : (nulls,) correlation on shuffled test images, and its one-sided p.
    selection : (nulls,) on shuffled training images held out to select; None where not known.
    model : fitted to the shuffled training responses; None where nothing was refitted.
    """

    columns: Ids
    r: Floats
    p: Floats
    model: Any = None
    selection: Floats | None = None


def drawn(columns: Ids, count: int, seed: int, name: str) -> Ids:
    """Some of these targets, ascending; a smaller draw is part of a larger one."""
    order = generator(seed, "nulls", name).permutation(columns)
    return np.sort(order[:count])


@dataclass(frozen=True, eq=False)
class Again:
    """What an encoder is fitted again with.

    Parameters
    ----------
    work : a folder for what the readout keeps.
    """

    features: Features
    config: EncoderConfig
    seed: int
    work: Path
    device: str


def refitted(side: Side, columns: Ids, again: Again) -> Nulls:
    """Fit the encoder of the real targets to shuffled responses of ``columns``."""
    images, responses = training_rows(
        side.view, side.train, ResponsesMode.mean, columns, sessions=again.config.sessions
    )
    order = generator(again.seed, "nulls", "train", side.unit.name)
    train = TrainingSet(
        features=again.features,
        images=images,
        responses=np.ascontiguousarray(order.permuted(responses, axis=0)),
        targets=side.unit.data.targets.iloc[columns].reset_index(drop=True),
        seed=derive_seed(again.seed, "nulls", side.unit.name),
        work=again.work,
        device=again.device,
    )
    model = ENCODERS.load(again.config.name)(replace(again.config, images=None)).fit(train)
    predicted = model.predict(again.features, side.test)
    r, p = _tested(side, columns, predicted, again.seed)
    return Nulls(columns, r, p, model, model.columns().get("r_selection"))


def untrained(
    side: Side,
    columns: Ids,
    model: Any,
    features: Features,
    *,
    seed: int,
    held: Ids | None = None,
) -> Nulls:
    """Real predictions against shuffled responses, for encoders too dear to fit again.

    Parameters
    ----------
    held : (images,) training images that the encoder held out to select; None where not known.
    """
    at = np.searchsorted(side.fitted, columns)
    r, p = _tested(side, columns, model.predict(features, side.test)[:, at], seed)
    if held is None or len(held) < _FEWEST:
        return Nulls(columns, r, p)
    selection, _ = _tested(side, columns, model.predict(features, held)[:, at], seed, held)
    return Nulls(columns, r, p, selection=selection)


def _tested(
    side: Side,
    columns: Ids,
    predicted: NDArray[np.float32],
    seed: int,
    held: Ids | None = None,
) -> tuple[Floats, Floats]:
    """Correlation and its p over test images, or over those ``held`` out to select."""
    images, name = (side.test, "test") if held is None else (held, "selection")
    measured = side.view.image_responses(images, ResponsesMode.mean, columns=columns)
    order = generator(seed, "nulls", name, side.unit.name)
    r = np.nan_to_num(pearson(predicted, order.permuted(measured, axis=0)))
    return r, one_sided(r, len(measured))


def one_sided(r: Floats, count: int) -> Floats:
    """One-sided p of correlations (rows,) over ``count`` images."""
    from scipy.stats import t as student

    freedom = max(count - 2, 1)
    statistic = r * np.sqrt(freedom / np.maximum(1 - r**2, 1e-12))
    return np.asarray(student.sf(statistic, freedom))
