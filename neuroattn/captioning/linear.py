"""Weights of a linear encoder as directions of the space that it reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroattn.captioning.bank import POOLED
from neuroattn.core.errors import ConfigError
from neuroattn.encoding.ridge import RidgeModel


def space_weights(model: Any) -> NDArray[np.float32] | None:
    """Weights (targets, dim) of a fitted ridge on embeddings; None for any other encoder.

    Standardised features are undone: what is returned multiplies embeddings as they are. The
    intercept is left out, for it prefers nothing.
    """
    if not isinstance(model, RidgeModel) or list(model.scalers) != [POOLED]:
        return None
    if model.coefficients is None:
        raise ConfigError(
            "this ridge was stored without its weights",
            expected="its primal form",
            found="one coefficient per training image and target",
            fix="fit it again with a larger encoder.primal_gb",
        )
    scaler = model.scalers[POOLED]
    inverse = np.divide(1.0, scaler.sd, out=np.zeros_like(scaler.sd), where=scaler.sd > 0)
    return np.asarray((model.coefficients[POOLED] * inverse[:, None]).T, dtype=np.float32)
