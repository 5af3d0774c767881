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
from neuroattn.maps.registry import MINUS, MapsConfig
from neuroattn.maps.stage import run

COUNT = 40
SIDE = np.where(np.arange(COUNT) % 2, "rh", "lh")
SHAPE, AFFINE = (4, 5, 6), np.diag([2.0, 2, 2, 1])
AFFINE[:3, 3] = (-4, 10, -20)
R = np.linspace(-0.1, 0.6, COUNT)


def finish(out: ArtefactWriter, stage: str) -> Artefact:
    payload = {"stage": stage, "version": 1, "science": {}, "parents": {}, "leaves": {}}
    write_json(out.folder / "fingerprint.json", payload)
    out.finish(provenance={}, metrics={}, methods="As fabricated.")
    return Artefact(out.folder)


def targets(*, volume: bool) -> pd.DataFrame:
    side = "" if volume else SIDE
    vertex = np.arange(COUNT) + (7 if volume else 100)
    return pd.DataFrame(
        {
            "target": range(COUNT),
            "subject": "s",
            "hemisphere": side,
            "vertex": vertex,
            "rois": "V1v",
        }
    )


def encode(folder: Path, r: np.ndarray, table: pd.DataFrame, step: int = -1) -> Artefact:
    folder.mkdir(exist_ok=True)
    scores = table[["target", "rois", "hemisphere"]].assign(
        r=r, r_squared=r**2, r2=r, r_pooled=r, nc=0.25, q=np.where(r > 0.2, 0.01, 0.5)
    )
    writer = ArtefactWriter(folder)
    writer.table("scores.tsv", scores.iloc[::step])  # any order: rows are matched by target
    writer.table("targets.tsv", table)
    return finish(writer, "encode")


def context(
    tmp_path: Path, config: MapsConfig, name: str = "map", *, volume: bool = False
) -> StageContext:
    for folder in ("prepare", name):
        (tmp_path / folder).mkdir(exist_ok=True)
    table = targets(volume=volume)
    prepare = ArtefactWriter(tmp_path / "prepare")
    prepare.table("targets.tsv", table)
    space = "func1pt8mm" if volume else "fsaverage5"
    prepare.json("dataset.json", {"name": "f", "space": space, "simulated": True})
    if volume:
        prepare.json("grid.json", {"shape": SHAPE, "affine": AFFINE.tolist()})
    tracker: Any = None
    parents = {
        "prepare": finish(prepare, "prepare"),
        "encode": encode(tmp_path / "encode", R, table),
    }
    return StageContext(
        config=SimpleNamespace(maps=config),
        parents=parents,
        out=ArtefactWriter(tmp_path / name),
        tracker=tracker,
        seed=0,
        fingerprint="0" * 64,
    )


def data(folder: Path, index: pd.DataFrame, stat: str, side: str = "rh") -> np.ndarray:
    row = index[(index["stat"] == stat) & (index["hemisphere"] == side)].iloc[0]
    return np.asarray(nib.load(folder / row["file"]).darrays[0].data)


def test_every_score_has_its_files_and_its_picture_beside_its_ceiling(tmp_path: Path) -> None:
    made = context(tmp_path, MapsConfig(formats=["gifti", "mgz"]))
    result = run(made)
    index = read_tsv(tmp_path / "map" / "maps.tsv")
    assert set(index["stat"]) == {"r", "nc"}, "a score is not shown without its ceiling"
    assert len(index) == 2 * 2 * 2
    assert result.metrics == {"maps": 2.0, "vertices": COUNT}
    found = data(tmp_path / "map", index, "r")
    np.testing.assert_array_equal(found[np.arange(1, COUNT, 2) + 100], R[1::2].astype(np.float32))
    assert np.isfinite(found).sum() == COUNT // 2 == index["vertices"].iloc[0]
    assert set(index["figure"]) == {"figures/r.png"}
    assert (tmp_path / "map" / "figures/r.png").read_bytes()[:4] == b"\x89PNG"


def test_a_difference_is_mapped_with_a_mask_of_what_is_above_chance(tmp_path: Path) -> None:
    made = context(tmp_path, MapsConfig(significant=0.05))
    other = encode(tmp_path / "other", R[::-1] / 2, targets(volume=False), step=1)
    run(StageContext(**{**vars(made), "parents": {**made.parents, MINUS: other}}))
    index = read_tsv(tmp_path / "map" / "maps.tsv")
    assert list(index["stat"].unique()) == ["r", "nc", "r-difference", "significant"]
    found = data(tmp_path / "map", index, "r-difference")
    expected = (R - R[::-1] / 2)[1::2].astype(np.float32)
    np.testing.assert_allclose(found[np.arange(1, COUNT, 2) + 100], expected, rtol=1e-6)
    either = (R > 0.2) | (R[::-1] / 2 > 0.2)
    mask = data(tmp_path / "map", index, "significant")[np.arange(1, COUNT, 2) + 100]
    np.testing.assert_array_equal(mask, either[1::2])
    names = index["file"].tolist()
    assert "maps/hemi-R_space-fsaverage5_stat-r_desc-difference_statmap.func.gii" in names
    assert (tmp_path / "map" / "figures/r-difference.png").stat().st_size > 5_000


def test_other_targets_are_not_subtracted(tmp_path: Path) -> None:
    made = context(tmp_path, MapsConfig())
    moved = targets(volume=False).assign(vertex=np.arange(COUNT) + 101)
    other = encode(tmp_path / "other", R, moved)
    with pytest.raises(ConfigError, match="different targets"):
        run(StageContext(**{**vars(made), "parents": {**made.parents, MINUS: other}}))


def test_a_volume_is_written_with_its_affine(tmp_path: Path) -> None:
    run(context(tmp_path, MapsConfig(formats=["nifti", "mgz"]), volume=True))
    index = read_tsv(tmp_path / "map" / "maps.tsv")
    assert index["file"].iloc[0] == "maps/space-func1pt8mm_stat-r_statmap.nii.gz"
    for file in index["file"][:2]:
        image = nib.load(tmp_path / "map" / file)
        np.testing.assert_allclose(image.affine, AFFINE)
        flat = np.asarray(image.dataobj).reshape(-1, order="F")
        np.testing.assert_array_equal(flat[7 : 7 + COUNT], R.astype(np.float32))
        assert np.isfinite(flat).sum() == COUNT
    header = nib.load(tmp_path / "map" / index["file"][0]).header
    assert header.get_intent()[0] == "correlation"
    assert b"Pearson r" in header["descrip"].tobytes()
    assert (tmp_path / "map" / "figures/r.png").read_bytes()[:4] == b"\x89PNG"


def test_a_format_that_the_space_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        run(context(tmp_path, MapsConfig(formats=["gifti"]), volume=True))


def test_equal_scores_give_equal_bytes(tmp_path: Path) -> None:
    config = MapsConfig(formats=["gifti", "mgz"])
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run(context(tmp_path / name, config))
    files = sorted(
        path.relative_to(tmp_path / "a/map") for path in (tmp_path / "a/map").rglob("*.*")
    )
    assert len(files) >= 9
    for file in files:
        assert (tmp_path / "a/map" / file).read_bytes() == (tmp_path / "b/map" / file).read_bytes()


def test_an_unknown_score_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column elegance") as caught:
        run(context(tmp_path, MapsConfig(stats=["elegance"])))
    assert "r_squared" in str(caught.value)
