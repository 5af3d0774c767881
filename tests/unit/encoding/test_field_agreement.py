"""Learned receptive fields against measured ones: by hand, and as ``encode`` writes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import ArtefactWriter
from neuroattn.core.tables import read_tsv, write_tsv
from neuroattn.data.localisers import FILE as LOCALISERS
from neuroattn.encoding.field_agreement import FILE, REGIONS, field_agreement, write_fields
from neuroattn.encoding.looks import in_degrees

COUNT = 200


def learned(seed: int = 0) -> pd.DataFrame:
    """Fields in the picture, and the same in degrees."""
    rng = np.random.default_rng(seed)
    fields = pd.DataFrame(rng.uniform(-0.7, 0.7, (COUNT, 2)), columns=["rf_x", "rf_y"])
    fields["rf_size"] = rng.uniform(0.1, 0.3, COUNT)
    return pd.concat([fields, in_degrees(fields, 8.4)], axis=1)


def test_equal_fields_agree_and_turned_ones_are_so_much_off() -> None:
    found = learned()
    angle = found["rf_angle_deg"].to_numpy(copy=True)
    eccentricity = found["rf_eccentricity_deg"].to_numpy(copy=True)
    eccentricity[3] = np.nan
    same = field_agreement(found, angle, eccentricity, found["rf_size_deg"].to_numpy())
    assert same["targets"] == COUNT - 1
    assert same["eccentricity_r"] == pytest.approx(1)
    assert same["size_r"] == pytest.approx(1)
    assert same["angle_error"] == pytest.approx(0, abs=1e-9)
    assert same["field_distance"] == pytest.approx(0, abs=1e-9)
    turned = field_agreement(found, (angle + 350) % 360, eccentricity)
    assert turned["angle_error"] == pytest.approx(10)
    assert field_agreement(found, angle, np.full(COUNT, np.nan)) == {"targets": 0.0}


def test_chance_is_what_fields_of_other_targets_give() -> None:
    one, other = learned(), learned(1)
    apart = field_agreement(
        one, other["rf_angle_deg"].to_numpy(), other["rf_eccentricity_deg"].to_numpy()
    )
    assert apart["field_distance"] == pytest.approx(apart["distance_chance"], rel=0.15)
    assert abs(apart["eccentricity_r"]) < 0.2
    assert 70 < apart["angle_error"] < 110


class Known:
    """As much of a prepared dataset as the comparison reads."""

    def __init__(self, folder: Path, degrees: float | None, fields: pd.DataFrame | None) -> None:
        self.columns = np.arange(COUNT)
        self.description = {} if degrees is None else {"degrees": degrees}
        self.artefact = self
        self.file = folder / LOCALISERS
        if fields is not None:
            write_tsv(self.file, fields)

    def has(self, name: str) -> bool:
        return name == LOCALISERS and self.file.exists()

    def path(self, _: str) -> Path:
        return self.file


def written(tmp_path: Path, scores: pd.DataFrame, known: Any) -> tuple[dict[str, float], Path]:
    out = ArtefactWriter(tmp_path)
    return write_fields(out, known, scores, draws=30, seed=0), tmp_path


def test_what_encode_writes(tmp_path: Path) -> None:
    found = learned()
    scores = found.assign(target=range(COUNT), rois=["V1"] * 120 + ["V2|V3"] * 77 + [""] * 3)
    measured = pd.DataFrame(
        {
            "target": range(COUNT),
            "prf_angle": (found["rf_angle_deg"] + 5) % 360,
            "prf_eccentricity": found["rf_eccentricity_deg"],
        }
    )
    figures, folder = written(tmp_path, scores, Known(tmp_path, 8.4, measured))
    assert figures["field.angle_error"] == pytest.approx(5)
    assert figures["field.targets"] == COUNT
    assert "field.size_r" not in figures  # no size was measured
    regions = read_tsv(folder / REGIONS).set_index("roi")
    assert list(regions.index) == ["all targets", "V1", "V2", "V3"]
    assert regions.at["V1", "targets"] == 120
    row = regions.loc["V1"]
    assert row["field_distance_low"] <= row["field_distance"] <= row["field_distance_high"]
    table = read_tsv(folder / FILE)
    np.testing.assert_allclose(table["prf_angle"], measured["prf_angle"])
    assert {"rf_x_deg", "rf_size_deg", "target", "rois"} <= set(table)


def test_nothing_is_written_where_nothing_can_be_compared(tmp_path: Path) -> None:
    found = learned().assign(target=range(COUNT), rois="V1")
    flat = pd.DataFrame({"target": range(COUNT), "t_faces": 1.0})
    for number, (scores, degrees, maps) in enumerate(
        [
            (found, 8.4, None),
            (found, None, flat),
            (found, 8.4, flat),
            (found[["target"]], 8.4, flat),
        ]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        figures, _ = written(folder, scores, Known(folder, degrees, maps))
        assert figures == {}
        assert not (folder / FILE).exists()
