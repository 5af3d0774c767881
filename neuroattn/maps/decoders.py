"""Maps of where a decoder reads: its gradients, which the stage ``decode`` folded to targets."""

from __future__ import annotations

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact
from neuroattn.core.tables import read_tsv
from neuroattn.maps.layers import Layer, Values, numbers

TABLE = "scores.tsv"
COLUMNS = ("target", "sensitivity", "contribution")
END = 99  # per cent of the targets that lie inside the colour scale


def decoder_layers(decode: Artefact, targets: pd.Series[str]) -> list[Layer]:
    """Sensitivity and contribution of these targets, in their order; NaN where nothing is read.

    Raises
    ------
    ArtefactError : the table lacks a column.
    """
    own = read_tsv(decode.path(TABLE), COLUMNS).set_index("target").reindex(targets.to_numpy())
    source = f"{decode.stage}/{decode.label}"
    sensitivity, contribution = (numbers(own[name]) for name in COLUMNS[1:])
    return [
        Layer(
            "sensitivity", "Sensitivity of the decoder",
            "change of the cosine with the seen picture per deviation of the response",
            sensitivity, (0.0, _end(sensitivity)), source=source,
        ),
        Layer(
            "contribution", "Contribution to decoding",
            "response times gradient of the cosine with the seen picture, mean over brains",
            contribution, (-_end(contribution), _end(contribution)), diverging=True,
            source=source,
        ),
    ]  # fmt: skip


def _end(values: Values) -> float:
    size = np.abs(values[np.isfinite(values)])
    return float(np.percentile(size, END)) if size.size and size.any() else 1.0
