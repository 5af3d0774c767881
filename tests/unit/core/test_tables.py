from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroattn.core.errors import ArtefactError
from neuroattn.core.tables import flags, read_tsv, rois_of, write_tsv


def test_floats_come_back_bit_for_bit(tmp_path: Path) -> None:
    bits = np.random.default_rng(0).integers(0, 2**63, 20_000, dtype=np.uint64)
    values = bits.view(np.float64)
    values = values[np.isfinite(values)]
    write_tsv(tmp_path / "t.tsv", pd.DataFrame({"x": values}))
    assert np.array_equal(read_tsv(tmp_path / "t.tsv").x.to_numpy(), values)


def test_text_that_looks_like_missing_stays_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"roi": ["NA", "null", "", "nan"], "x": [1.0, None, 2.0, 3.0]})
    write_tsv(tmp_path / "t.tsv", frame)
    back = read_tsv(tmp_path / "t.tsv")
    assert back.roi.tolist() == ["NA", "null", "", "nan"]
    assert back.x.isna().tolist() == [False, True, False, False]


def test_names_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    frame = pd.DataFrame({"subject": ["01", "02"], "rois": ["17", "17|18"], "x": [1, 2]})
    write_tsv(tmp_path / "t.tsv", frame.assign(roi=["17", None]))
    back = read_tsv(tmp_path / "t.tsv")
    assert back["subject"].tolist() == ["01", "02"]
    assert [rois_of(cell) for cell in back["rois"]] == [["17"], ["17", "18"]]
    assert [rois_of(cell) for cell in back["roi"]] == [["17"], []]
    assert back["roi"].isna().tolist() == [False, True]
    assert back["x"].dtype == "int64"


def test_one_numbered_roi_a_target_is_a_roi(tmp_path: Path) -> None:
    write_tsv(tmp_path / "t.tsv", pd.DataFrame({"target": [0, 1], "rois": ["17", "18"]}))
    assert [rois_of(cell) for cell in read_tsv(tmp_path / "t.tsv")["rois"]] == [["17"], ["18"]]


def test_absent_columns_are_named(tmp_path: Path) -> None:
    write_tsv(tmp_path / "t.tsv", pd.DataFrame({"a": [1]}))
    with pytest.raises(ArtefactError, match="lacks the columns b"):
        read_tsv(tmp_path / "t.tsv", ("a", "b"))


def test_rois_of_one_cell() -> None:
    assert rois_of("V1|V2") == ["V1", "V2"]
    assert rois_of("") == rois_of(float("nan")) == []


def test_flags_come_back_where_a_gap_made_them_text(tmp_path: Path) -> None:
    write_tsv(tmp_path / "t.tsv", pd.DataFrame({"whole": [True, False], "gap": [True, None]}))
    table = read_tsv(tmp_path / "t.tsv")
    assert flags(table["whole"]).tolist() == [True, False]
    assert flags(table["gap"]).tolist() == [True, False]
