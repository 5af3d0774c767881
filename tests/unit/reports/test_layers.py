"""The section on layers: shares and weights by region, nothing where a readout joins its layers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.figures.theme import Stamp
from neuroattn.reports.blocks import Picture, Table
from neuroattn.reports.registry import ReportConfig
from neuroattn.reports.sections import layers

SCORES = pd.DataFrame({"rois": ["V1", "V1", "FFA", ""], "r": [0.2, 0.4, 0.5, 0.1]})


def blocks(scores: pd.DataFrame) -> Any:
    stamp = Stamp(source="encode/banded_ridge-00000000", simulated=True)
    sources: Any = SimpleNamespace(
        scores=scores, has=lambda stage: True, stamp=lambda stage: stamp, options=ReportConfig()
    )
    return layers.blocks(sources)


@pytest.mark.parametrize("kind", ["share", "mix"])
def test_each_layer_has_its_mean_in_every_region(kind: str) -> None:
    first = np.array([0.2, 0.4, 1.1, np.nan])
    made = blocks(SCORES.assign(**{f"{kind}_blocks.4": first, f"{kind}_gabor:pyramid": 1 - first}))
    picture, table, _ = made
    assert isinstance(picture, Picture)
    assert "gabor:pyramid 0.433" in picture.alt
    assert isinstance(table, Table)
    assert [column.title for column in table.columns] == ["Region", "blocks.4", "gabor:pyramid"]
    rows = {row[0]: row[1:] for row in table.rows}
    assert list(rows) == ["all targets", "FFA", "V1"], "from the best mean to the worst"
    assert rows["V1"] == ("0.300", "0.700")
    assert rows["FFA"][1].endswith("0.100"), "a negative share is told"


def test_layers_that_are_joined_have_no_section() -> None:
    assert blocks(SCORES) == ()
    assert blocks(SCORES.assign(share_one=1.0)) == (), "one layer has nothing to share"
