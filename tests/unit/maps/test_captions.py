"""Layers of captions: below the gate is a kind of its own, and colours are those of the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from neuroattn.figures.captions import BELOW, CLASS_COLOURS
from neuroattn.maps.captions import _classes, caption_layers
from neuroattn.maps.layers import Layer


class Caption:
    """A caption artefact with the one table that maps read."""

    stage, label = "caption", "x"

    def __init__(self, folder: Any) -> None:
        self.folder = folder

    def path(self, name: str) -> Any:
        return self.folder / name


@pytest.fixture
def layers(tmp_path: Any) -> dict[str, Layer]:
    table = pd.DataFrame(
        {
            "target": [0, 1, 2, 3, 1], "null": [False] * 4 + [True], "gated": [True, True, False,
            True, False], "person_share": [1.0, 0.25, np.nan, 0.0, 0.5],
            "class": ["face", "food", "", "face", "word"], "red": [1, 0.5, np.nan, 0, 0.2],
            "green": [0, 0.5, np.nan, 1, 0.2], "blue": [0, 0.5, np.nan, 0, 0.2],
            "concept-a dog": [0.1, 0.5, np.nan, -0.2, 0.0],
        }
    )  # fmt: skip
    table.to_csv(tmp_path / "caption_maps.tsv", sep="\t", index=False, na_rep="n/a")
    caption: Any = Caption(tmp_path)
    found = caption_layers(caption, pd.Series([3, 2, 1, 0]))
    return {layer.stat: layer for layer in found}


def colours(layer: Layer) -> list[str]:
    assert layer.key is not None
    assert layer.drawn is not None
    return [layer.key.colours[int(code)] for code in layer.drawn]


def test_values_stand_in_the_order_of_the_targets(layers: dict[str, Layer]) -> None:
    assert list(layers) == ["personshare", "nounclass", "captioncolour", "conceptadog"]
    np.testing.assert_array_equal(layers["personshare"].values, [0, np.nan, 0.25, 1])
    assert {layer.source for layer in layers.values()} == {"caption/x"}


def test_below_the_gate_is_a_colour_of_its_own(layers: dict[str, Layer]) -> None:
    for layer in layers.values():
        shown = colours(layer)
        assert [one == BELOW for one in shown] == [False, True, False, False]
        assert layer.key is not None
        assert layer.key.names["below the gate"] == BELOW


def test_classes_have_their_colours(layers: dict[str, Layer]) -> None:
    shown = colours(layers["nounclass"])
    assert shown[2:] == [CLASS_COLOURS["food"], CLASS_COLOURS["face"]]
    assert "null targets: word 1" in layers["nounclass"].note


def test_weights_are_painted_and_written_as_three_maps(layers: dict[str, Layer]) -> None:
    layer = layers["captioncolour"]
    np.testing.assert_allclose(to_rgb(colours(layer)[3]), (1, 0, 0))
    assert layer.files is not None
    np.testing.assert_array_equal(layer.files["captioncolour-green"], [1, np.nan, 0.5, 0])
    assert layer.key is not None
    assert "null targets" in layer.key.names


def test_nulls_are_told_in_the_notes(layers: dict[str, Layer]) -> None:
    assert layers["personshare"].note == "null targets: mean 0.50 (n = 1)"


def test_classes_of_null_targets_fit_beside_the_title() -> None:
    kinds = ["person"] * 5 + ["face"] * 4 + ["animal"] * 3 + ["word"] * 2 + ["vehicle"]
    null = pd.DataFrame({"class": kinds})
    assert _classes(null, null).note == "null targets: person 5, face 4, animal 3 …"
