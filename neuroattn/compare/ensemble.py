"""Ensembles: at each target a weighted mean of the members' predictions.

The weights are a softmax of the members' accuracy on images that were held out from training to
select a penalty or an epoch, fold by fold: those of a fold know nothing of its test images. As
published for ensembles over layers and runs (Adeli et al. 2023; 2025), except that the weights of
all members sum to 1 at every target, so that predictions keep their scale.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from neuroattn.compare.members import Bench
from neuroattn.compare.registry import Weights
from neuroattn.core.errors import ConfigError

Floats = NDArray[np.float64]
Table = NDArray[np.float32]


def softmax_weights(accuracy: Floats, temperature: float) -> Floats:
    """Weights that sum to 1 over the first axis (members, …).

    A member without accuracy (NaN: it does not fit the target) weighs nothing; where no member
    has one, all weigh the same.
    """
    known = np.isfinite(accuracy)
    none = ~known.any(0)
    scaled = np.where(known, accuracy, -np.inf) / temperature
    top = np.where(none, 0.0, scaled.max(0))
    raised = np.where(none, 1.0, np.exp(scaled - top))
    return np.asarray(raised / raised.sum(0))


def ensemble_weights(
    bench: Bench, kind: Weights, temperature: float, apart: Collection[str] = ()
) -> Floats:
    """Weights (folds, members, targets); 0 for those ``apart``.

    Raises
    ------
    ConfigError : a member kept no accuracy on images held out from training.
    """
    inside = [index for index, name in enumerate(bench.names) if name not in apart]
    weights = np.zeros((len(bench.fold_numbers), len(bench.members), len(bench.targets)))
    if kind is Weights.equal or len(inside) == 1:
        weights[:, inside] = 1 / len(inside)
        return weights
    kept = [bench.selection(index) for index in inside]
    for index, accuracy in zip(inside, kept, strict=True):
        member = bench.members[index]
        if accuracy is None:
            raise ConfigError(
                f"the member {member.model} kept no accuracy on images held out from training",
                file=member.artefact.folder,
                expected="selection/r in predictions.h5",
                found="a readout that selects nothing, or an artefact of an older version",
                fix="fit it again, or set compare.weights=equal",
            )
    table = np.stack([accuracy for accuracy in kept if accuracy is not None], axis=1)
    weights[:, inside] = np.stack([softmax_weights(fold, temperature) for fold in table])
    return weights


def combine(predicted: Sequence[Table], weights: Floats) -> Table:
    """Weighted mean (rows, targets) of members' predictions; NaN where no member predicts.

    Parameters
    ----------
    predicted : (rows, targets) of each member, NaN where it does not fit the target.
    weights : (members, targets); those of members that do not predict go to the others.
    """
    total = np.zeros(predicted[0].shape)
    weight = np.zeros(predicted[0].shape)
    for table, share in zip(predicted, weights, strict=True):
        known = np.isfinite(table)
        total += np.where(known, table, 0.0) * share
        weight += known * share
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(weight > 0, total / weight, np.nan), dtype=np.float32)
