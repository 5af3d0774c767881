"""Sections of a localiser in silico and of receptive fields: every number is on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.reports.blocks import Notice, Picture, Prose, Table
from neuroattn.reports.sections import fields, localiser
from neuroattn.reports.sources import Sources

COUNT = 40


def artefact(folder: Path, stage: str, **tables: pd.DataFrame) -> Artefact:
    folder.mkdir()
    out = ArtefactWriter(folder)
    for name, table in tables.items():
        out.table(f"{name.replace('_', '-')}.tsv", table)
    payload = {"stage": stage, "version": 1, "science": {}, "parents": {}, "leaves": {}}
    write_json(folder / "fingerprint.json", payload)
    out.finish(provenance={}, metrics={}, methods="As fabricated.")
    return Artefact(folder)


def numbers(seed: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(size=COUNT)


def located(tmp_path: Path, measured: bool) -> Sources:
    rows = [
        {"contrast": name, "measure": measure, "n_pictures": 30, "n_others": 90, "n_targets": COUNT,
         "n_region": 7, "r": r, "r_low": r - 0.1, "r_high": r + 0.1,
         "auc": 0.9, "auc_low": 0.85, "auc_high": 0.95}
        for name, r in (("faces", 0.7), ("characters", 0.5 if measured else np.nan))
        for measure in ("difference", "t")
    ]  # fmt: skip
    maps = {"target": range(COUNT), "rois": "OFA", "difference-faces": numbers(0),
            "region-faces": 1.0}  # fmt: skip
    if measured:
        maps |= {"measured-faces": numbers(1)}
    tables = {"localiser": pd.DataFrame(rows), "selectivity": pd.DataFrame(maps)}
    return Sources({"predict": artefact(tmp_path / "predict-a-12345678", "predict", **tables)})


def test_every_contrast_is_drawn_and_listed(tmp_path: Path) -> None:
    blocks = localiser.blocks(located(tmp_path, measured=True))
    areas, clouds, table, prose = blocks
    assert isinstance(areas, Picture)
    assert "faces r 0.700, area 0.900" in areas.alt
    assert isinstance(clouds, Picture)
    assert isinstance(table, Table)
    assert [row[:3] for row in table.rows][:2] == [
        ("faces", "difference, sd", "0.700"), ("faces", "t", "0.700"),
    ]  # fmt: skip
    assert isinstance(prose, Prose)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    notices = [b for b in localiser.blocks(located(tmp_path, measured=False)) if b.kind == "notice"]
    assert [notice.title for notice in notices if isinstance(notice, Notice)] == [
        "No localiser was measured"
    ]
    bare = Sources({"predict": artefact(tmp_path / "predict-b-12345678", "predict")})
    (only,) = localiser.blocks(bare)
    assert isinstance(only, Notice)


def test_fields_stand_beside_those_that_were_measured(tmp_path: Path) -> None:
    names = (*fields.LEARNED, *fields.MEASURED)
    each = pd.DataFrame({name: np.abs(numbers(i)) for i, name in enumerate(names)})
    row = {"targets": COUNT, "eccentricity_r": 0.9, "angle_error": 12.4, "field_distance": 0.5,
           "distance_chance": 2.25, "size_r": np.nan}  # fmt: skip
    ends = {f"{name}{end}": 0.1 for name in row for end in ("_low", "_high")}
    regions = pd.DataFrame([{"roi": name, **row, **ends} for name in ("all targets", "V1v")])
    encode = artefact(tmp_path / "encode-12345678", "encode", fields=each, fields_rois=regions)
    picture, table, _ = fields.blocks(Sources({"encode": encode}))
    assert isinstance(picture, Picture)
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["all targets", "V1v"]
    assert table.rows[1][5] == "2.25"
    assert fields.blocks(Sources({"encode": artefact(tmp_path / "bare-12345678", "encode")})) == ()
    assert fields.blocks(Sources({})) == ()
