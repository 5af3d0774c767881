"""Where queries look, in numbers: by hand on small maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import DataError
from neuroattn.data.arrays_tables import read_description
from neuroattn.encoding.looks import (
    centre,
    cosines,
    entropy,
    in_degrees,
    in_view,
    look_table,
)

GRID = (2, 4)


def peak(token: int) -> np.ndarray:
    return np.eye(8)[token]


def test_entropy_is_a_share_of_the_most_there_can_be() -> None:
    maps = np.stack([np.full(8, 1 / 8), peak(3), np.repeat([0.25, 0.0], 4)])
    np.testing.assert_allclose(entropy(maps), [1.0, 0.0, np.log(4) / np.log(8)])


def test_centres_and_spread_row_by_row() -> None:
    found = centre(np.stack([peak(0), peak(7), (peak(0) + peak(3)) / 2]), GRID)
    np.testing.assert_allclose(found[0], [-0.75, -0.5, 0])
    np.testing.assert_allclose(found[1], [0.75, 0.5, 0])
    np.testing.assert_allclose(found[2], [0, -0.5, 0.75 / np.sqrt(2)])


def test_cosines_of_known_vectors() -> None:
    vectors = np.array([[2, 0], [0, 3], [1, 1], [0, 0]], dtype=np.float32)
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        cosines(vectors), [[1, 0, half, 0], [0, 1, half, 0], [half, half, 1, 0], [0, 0, 0, 0]],
        atol=1e-6,
    )  # fmt: skip


def test_a_query_that_follows_pictures_differs_from_one_that_looks_wide() -> None:
    follows = np.stack([peak(0), peak(7)])
    wide = np.stack([(peak(0) + peak(7)) / 2] * 2)
    maps = np.stack([follows, wide], axis=1)
    table = look_table(("lh.A", "lh.B"), maps, cosines(np.eye(2, dtype=np.float32)), GRID)
    assert table["entropy"].tolist() == pytest.approx([0, 1 / 3])
    assert table["entropy_of_mean"].tolist() == pytest.approx([1 / 3, 1 / 3])
    assert table["nearest"].tolist() == ["lh.B", "lh.A"]
    assert table["cosine"].tolist() == [0, 0]
    alone = look_table(("all",), maps[:, :1], np.ones((1, 1), np.float32), GRID)
    assert np.isnan(alone["cosine"][0])


def test_degrees_count_upwards_and_counter_clockwise() -> None:
    """A quarter above the middle of a picture of 8.4 degrees lies at 90 degrees, 2.1 away."""
    fields = pd.DataFrame({"rf_x": [0.0, -1.0, 1.0], "rf_y": [-0.5, 0.0, 1.0], "rf_size": 0.5})
    found = in_degrees(fields, 8.4)
    assert found["rf_y_deg"].tolist() == pytest.approx([2.1, 0, -4.2])
    assert found["rf_angle_deg"].tolist() == pytest.approx([90, 180, 315])
    assert found["rf_eccentricity_deg"].tolist() == pytest.approx([2.1, 4.2, 4.2 * 2**0.5])
    assert found["rf_size_deg"].tolist() == pytest.approx([2.1] * 3)


def test_degrees_stand_beside_fields_where_they_are_known() -> None:
    fields = pd.DataFrame({"rf_x": [0.0], "rf_y": [0.0], "rf_size": [1.0]})
    assert "rf_x_deg" in in_view(fields, 8.4)
    assert in_view(fields, None) is fields
    assert list(in_view(pd.DataFrame({"r": [1.0]}), 8.4)) == ["r"]


@pytest.mark.parametrize("said", ["wide", "0", "true", "200"])
def test_a_dataset_may_say_how_large_its_pictures_were(tmp_path: Path, said: str) -> None:
    path = tmp_path / "dataset.yaml"
    keys = ("name", "species", "modality", "units", "space", "licence", "citation")
    plain = "".join(f"{key}: unknown\n" for key in keys)
    path.write_text(plain)
    assert read_description(path)[0].degrees is None
    path.write_text(plain + "degrees: 8.4\n")
    assert read_description(path)[0].degrees == 8.4
    path.write_text(plain + f"degrees: {said}\n")
    with pytest.raises(DataError, match="no visual angle"):
        read_description(path)
