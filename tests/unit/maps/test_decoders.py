"""Maps of where a decoder reads: rows matched by target, scales that outliers do not set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.maps.decoders import decoder_layers
from tests.unit.maps.test_stage import finish


def test_rows_are_matched_by_target(tmp_path: Path) -> None:
    out = ArtefactWriter(tmp_path)
    values = np.linspace(0, 1, 200)
    values[7] = np.nan  # a target that is not read
    values[199] = 1e6
    table = pd.DataFrame(
        {"target": range(200), "sensitivity": values, "contribution": 0.5 - values}
    )
    out.table("scores.tsv", table.iloc[::-1])
    sensitivity, contribution = decoder_layers(finish(out, "decode"), table["target"])
    np.testing.assert_allclose(sensitivity.values, values)
    assert sensitivity.limits[0] == 0
    assert sensitivity.limits[1] < 2
    assert contribution.diverging
    assert contribution.limits[0] == -contribution.limits[1]
    assert sensitivity.source.startswith("decode/")
