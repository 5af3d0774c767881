"""The stage on fabricated scores: every file, its index, its picture; what it refuses."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from neuroattn.core.artefact import Artefact, ArtefactWriter
from neuroattn.core.atomic import write_json
from neuroattn.core.errors import ConfigError
from neuroattn.core.stage import StageContext
from neuroattn.core.tables import read_tsv
from neuroattn.maps.registry import MapsConfig
from neuroattn.maps.stage import run

COUNT = 40


def finish(out: ArtefactWriter, stage: str) -> Artefact:
    payload = {"stage": stage, "version": 1, "science": {}, "parents": {}, "leaves": {}}
    write_json(out.folder / "fingerprint.json", payload)
    out.finish(provenance={}, metrics={}, methods="As fabricated.")
    return Artefact(out.folder)


def context(tmp_path: Path, config: MapsConfig, name: str = "map") -> StageContext:
    for folder in ("prepare", "encode", name):
        (tmp_path / folder).mkdir(exist_ok=True)
    side = np.where(np.arange(COUNT) % 2, "rh", "lh")
    targets = pd.DataFrame(
        {
            "target": range(COUNT), "subject": "s", "hemisphere": side,
            "vertex": np.arange(COUNT) + 100, "rois": "V1v",
        }
    )  # fmt: skip
    prepare = ArtefactWriter(tmp_path / "prepare")
    prepare.table("targets.tsv", targets)
    prepare.json("dataset.json", {"name": "f", "space": "fsaverage5", "simulated": True})
    r = np.linspace(-0.1, 0.6, COUNT)
    scores = pd.DataFrame(
        {
            "target": range(COUNT), "rois": "V1v", "hemisphere": side, "r": r, "r_squared": r**2,
            "r2": r, "r_pooled": r, "nc": 0.5,
        }
    )  # fmt: skip
    encode = ArtefactWriter(tmp_path / "encode")
    encode.table("scores.tsv", scores.iloc[::-1])  # any order: rows are matched by target
    tracker: Any = None
    return StageContext(
        config=SimpleNamespace(maps=config),
        parents={"prepare": finish(prepare, "prepare"), "encode": finish(encode, "encode")},
        out=ArtefactWriter(tmp_path / name),
        tracker=tracker,
        seed=0,
        fingerprint="0" * 64,
    )


def test_every_score_has_its_files_and_its_picture(tmp_path: Path) -> None:
    made = context(tmp_path, MapsConfig(formats=["gifti", "mgz"]))
    result = run(made)
    index = read_tsv(tmp_path / "map" / "maps.tsv")
    assert set(index["stat"]) == {"r", "nc"}, "a score is not shown without its ceiling"
    assert len(index) == 2 * 2 * 2
    assert result.metrics == {"maps": 2.0, "vertices": COUNT}
    row = index[(index["stat"] == "r") & (index["hemisphere"] == "rh")].iloc[0]
    data = nib.load(tmp_path / "map" / row["file"]).darrays[0].data
    expected = np.linspace(-0.1, 0.6, COUNT)[1::2].astype(np.float32)
    np.testing.assert_array_equal(data[np.arange(1, COUNT, 2) + 100], expected)
    assert np.isfinite(data).sum() == COUNT // 2 == row["vertices"]
    for stat in ("r", "nc"):
        assert (tmp_path / "map" / f"figures/{stat}.png").read_bytes()[:4] == b"\x89PNG"


def test_equal_scores_give_equal_bytes(tmp_path: Path) -> None:
    config = MapsConfig(formats=["gifti", "mgz"])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run(context(tmp_path / name, config))
    files = sorted(
        path.relative_to(tmp_path / "a/map") for path in (tmp_path / "a/map").rglob("*.*")
    )
    assert len(files) >= 10
    for file in files:
        assert (tmp_path / "a/map" / file).read_bytes() == (tmp_path / "b/map" / file).read_bytes()


def test_an_unknown_score_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column elegance") as caught:
        run(context(tmp_path, MapsConfig(stats=["elegance"])))
    assert "r_squared" in str(caught.value)
